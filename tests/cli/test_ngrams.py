"""``tokenexit ngrams`` on a run whose lower layers read trigrams."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tokenexit import ExitModelForSequenceClassification
from tokenexit.config import load_config
from tokenexit.errors import UserError
from tokenexit.models.folders.names import TABLE
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.run import run_task

SMALL = {
    "model": {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 32,
    },
    "embeddings": {"name": "ngram"},
    "ngram_table": 4,
    "train": {"max_steps": 4, "batch_size": 8},
    "calibrate": {"grid": 2, "verify": 1, "limit": 4, "loose": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    words = [("red", "warm"), ("blue", "cold"), ("orange", "warm"), ("green", "cold")]
    rows = [{"sentence": f"the {word} door", "label": label} for word, label in words * 4]
    for name in ("train", "validation", "test"):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_run_looks_up_what_it_was_given_and_a_command_makes_more(cli, data, tmp_path):
    run = tmp_path / "run"
    argv = [f"data={data}", f"output_dir={run}"]
    run_task(load_config(ClassificationConfig, argv, SMALL))
    few = ExitModelForSequenceClassification.from_pretrained(run)
    assert few.settings.exit_layers == (2, 3)
    assert few.heads.embeddings.table is not None
    assert len(few.heads.embeddings.table) == 4
    before = (run / TABLE).stat().st_size
    done = cli("ngrams", run, "--data", data, "--json", tmp_path / "told.json")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "told.json").read_text())["ngrams"] > 4
    assert (run / TABLE).stat().st_size > before
    model = ExitModelForSequenceClassification.from_pretrained(run)
    texts = [["the red door"], ["the blue door"]]
    assert model.trace(texts).work[0].active == 0 < few.trace(texts).work[0].active
    assert model.mac_ratio(model.trace(texts)) < few.mac_ratio(few.trace(texts))
    assert (run / "metrics.json").is_file()
    assert not [path for path in run.iterdir() if path.name.startswith(".ngrams")]
    told = cli("evaluate", run, "--data", data, "--json", tmp_path / "figures.json")
    assert told.code == 0, told.err
    assert json.loads((tmp_path / "figures.json").read_text())["mac_ratio"] < 1


def test_mistakes_are_told(cli, folder, data, tmp_path):
    done = cli("ngrams", folder, "--data", data)
    assert done.code == 2
    told = {**SMALL, "embeddings": None}
    argv = [f"data={data}", f"output_dir={tmp_path}"]
    config = load_config(ClassificationConfig, argv, told)
    with pytest.raises(UserError, match=r"embeddings\.name=ngram"):
        run_task(config)


def test_the_benchmark_tells_what_a_table_is_worth(data, tmp_path, capsys):
    place = Path(__file__).parent.parent.parent / "benchmarks" / "variants.py"
    spec = importlib.util.spec_from_file_location("variants", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    argv = [f"data={data}", f"output_dir={tmp_path / 'run'}", "batching=by_depth"]
    run_task(load_config(ClassificationConfig, argv, {**SMALL, "ngram_table": 50}))
    told = [str(tmp_path / "run"), "--data", str(data), "--repeats", "2", "--batch-size", "4"]
    capsys.readouterr()
    script.main(told)
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    names = ["plain transformers", "as saved", "without table", "fixed batches"]
    assert [row[0].strip() for row in rows] == names
    macs = [float(row[3]) for row in rows]
    assert macs[1] == macs[3] < 1
    assert macs[1] < macs[2]
