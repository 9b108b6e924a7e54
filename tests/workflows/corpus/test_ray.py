"""The recipe on a local Ray: two workers write what one process writes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.workflows.corpus import predict_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "recipes" / "predict_corpus.py"
PATH = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
ENV = os.environ | {"PYTHONPATH": PATH, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
PATIENCE = 400

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray")

# The recipe as a program, which says in addition who wrote which block.
TELLING = """
import json, sys
import ray
import ray.data
ray.data.DataContext.get_current().wait_for_min_actors_s = 300  # both begin together
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20)
sys.argv = sys.argv[1:]
code = compile(open(sys.argv[0]).read().split("if __name__")[0], sys.argv[0], "exec")
exec(code)
with friendly_errors():
    done = predict(load_config(RayConfig, sys.argv[1:]))
    print("DONE", json.dumps([[int(one["block"]), int(one["process"])] for one in done]))
"""


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("predict_corpus_recipe", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def arguments(config: Any) -> list[str]:
    told = {"block_size": config.block_size, "batch_size": config.batch_size, "workers": 2}
    keys = [f"{name}={value}" for name, value in told.items()]
    places = [f"{name}={getattr(config, name)}" for name in ("model", "data", "output_dir")]
    return [*places, *keys, "keep=[id]"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=ENV, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def parts(config: Any) -> dict[str, bytes]:
    folder = Path(config.output_dir) / "parts"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@needs_ray
@pytest.mark.multiproc
def test_two_workers_write_what_one_process_writes(asked):
    predict_corpus(asked("alone", keep=["id"]))
    # What is there already is not written again.
    predict_corpus(asked(keep=["id"]))
    for block in (0, 1, 2, 4, 5):
        (Path(asked().output_dir) / "parts" / f"part-0000000{block}.jsonl").unlink()
    done = run(sys.executable, "-c", TELLING, str(RECIPE), *arguments(asked()))
    assert done.returncode == 0, done.stderr
    told = re.search(r"DONE (.*)", done.stdout)
    assert told is not None
    written = dict(json.loads(told[1]))
    assert sorted(written) == [0, 1, 2, 4, 5]
    assert len(set(written.values())) == 2  # the model was loaded in two processes, once in each
    assert "23 rows in 6 blocks; 5 to predict" in done.stdout
    assert parts(asked()) == parts(asked("alone"))


@needs_ray
@pytest.mark.multiproc
def test_a_mistake_in_a_row_is_told_in_one_line(asked, corpus):
    lines = (corpus / "1.jsonl").read_text().splitlines(keepends=True)
    (corpus / "1.jsonl").write_text("".join([*lines[:7], '{"text": null}\n', *lines[8:]]))
    done = run(sys.executable, str(RECIPE), *arguments(asked()))
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert "1.jsonl, row 7, column 'text': expected text" in last


def test_settings(recipe, tmp_path):
    told = {"model": str(tmp_path), "data": "d", "output_dir": "o"}
    on_gpus = recipe.settings_of(recipe.RayConfig(**told, cpus=2.5, gpus=0.5))
    assert (on_gpus["device"], on_gpus["threads"]) == ("cuda", 2)
    assert on_gpus["output_dir"] == str(Path("o").resolve())
    on_cpus = recipe.settings_of(recipe.RayConfig(**told, cpus=0.5, device="cpu"))
    assert (on_cpus["device"], on_cpus["threads"]) == ("cpu", 1)
    assert "workers" not in on_cpus


def test_more_than_fits_is_refused_before_ray_waits_for_it(recipe):
    told = {"model": "m", "data": "d", "output_dir": "o"}
    config = recipe.RayConfig(**told, workers=3, cpus=2, gpus=1)
    recipe.check_room(config, {"CPU": 6.0, "GPU": 3.0})
    with pytest.raises(UserError, match="3 workers with 2 CPUs and 1 GPUs each do not fit: Ray has "
        "6 CPUs, 0 GPUs here"):  # fmt: skip
        recipe.check_room(config, {"CPU": 6.0})
    recipe.check_room(recipe.RayConfig(**told, workers=3, address="auto"), {})  # it may grow


def test_without_ray(recipe, asked, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'tokenexit\[ray\]'"):
        recipe.predict(recipe.RayConfig(asked().model, asked().data, asked().output_dir))
    assert not Path(asked().output_dir).exists()


def test_help(recipe, capsys):
    with pytest.raises(SystemExit):
        recipe.main(["--help"])
    shown = capsys.readouterr().out
    for key in ("workers", "cpus", "gpus", "block_size", "keep"):
        assert key in shown
