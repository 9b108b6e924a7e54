.PHONY: help install test test-fast lint format types docs site tables notebook systems bench

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: ## the package with all that its tests need, and the hooks
	pip install -e ".[dev]"
	pre-commit install

test: ## everything, on two processes
	python -m pytest

test-fast: ## the first test of every file, and the promises of all members
	python -m pytest --fast

lint: ## what the hooks look for
	ruff check .
	ruff format --check .

format: ## mend what can be mended by itself
	ruff check --fix .
	ruff format .

types: ## types of the package
	pyright

docs: ## README, CONTRIBUTING and docs/: their code runs, their links lead somewhere
	python -m pytest -n 0 tests/docs tests/test_contributing.py

site: ## these pages as a site, on http://127.0.0.1:8000
	pip install ".[docs]"
	mkdocs serve

tables: ## tables of the README and docs/, from what was measured
	python benchmarks/headline.py --write README.md docs/benchmarks.md docs/choose_an_engine.md
	python benchmarks/reproduced.py --write
	python benchmarks/waiting.py --out benchmarks/results/waiting.json --write
	python benchmarks/table.py benchmarks/results/xeon_2_cores.json --readme docs/benchmarks.md
	python recipes/record_results.py

notebook: ## docs/quickstart.ipynb anew, with what its cells say
	pip install nbclient ipykernel
	python docs/theme/run_quickstart.py

systems: ## the table of docs/systems.md, from what the methods say of themselves
	{ sed '/^| method /,$$d' docs/systems.md; python -m tokenexit methods --table; } > docs/systems.new
	mv docs/systems.new docs/systems.md

bench: ## the clocks of docs/benchmarks.md, into benchmarks/results; can be stopped and goes on
	python benchmarks/run.py
