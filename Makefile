.PHONY: help install test test-fast lint format types docs systems bench

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
	python -m pytest -n 0 tests/test_readme.py tests/test_contributing.py

systems: ## the table of docs/systems.md, from what the methods say of themselves
	{ sed '/^| method /,$$d' docs/systems.md; python -m tokenexit methods --table; } > docs/systems.new
	mv docs/systems.new docs/systems.md

bench: ## the clocks of the README, into benchmarks/results; can be stopped and goes on
	python benchmarks/run.py
