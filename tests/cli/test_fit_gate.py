"""``tokenexit fit-gate`` on a trained run."""

from __future__ import annotations

import json
import shutil

import pytest

from tokenexit.models.words.token_classification import ExitModelForTokenClassification

QUICK = ("--epochs", "1", "--inner", "0", "--features", "entropy, margin", "--neighbours", "margin")


@pytest.fixture
def run(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "run")


@pytest.fixture
def data(tmp_path):
    rows = [{"tokens": ["ada", "paris", "born"], "ner_tags": ["B-PER", "O", "O"]}] * 60
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_fits_saves_and_tells(cli, run, data, tmp_path):
    before = ExitModelForTokenClassification.from_pretrained(run)
    out = tmp_path / "gate.json"
    done = cli("fit-gate", run, "--data", data, *QUICK, "--rounds", 2, "--json", out)
    assert done.code == 0, done.err
    assert "tokenexit calibrate" in done.out
    told = json.loads(out.read_text())
    assert told["features"] == ["entropy", "margin"]
    assert told["inputs"] == told["macs"] == 2 + 2 * 3
    model = ExitModelForTokenClassification.from_pretrained(run)
    assert model.context is not None
    assert model.policy == before.policy
    texts = [["ada", "born", "in", "paris"]]
    assert len(model.tag(texts, policy="context_gate:0.9")) == 4
    chosen = cli("calibrate", run, "--data", data, "--policy", "context_gate", "--split", "train")
    assert chosen.code == 0, chosen.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--features", "entropie"), "Did you mean 'entropy'"),
        (("--target", "cots"), "Did you mean 'cost'"),
        (("--reach", "17"), "context_gate.reach"),
        (("--limit", "2"), "Give about"),
    ],
)
def test_mistakes(cli, run, data, options, told):
    done = cli("fit-gate", run, "--data", data, *options)
    assert done.code == 2
    assert told in done.err
    assert ExitModelForTokenClassification.from_pretrained(run).context is None


def test_a_folder_that_is_not_there(cli, tmp_path):
    done = cli("fit-gate", tmp_path / "none", "--data", "x")
    assert done.code == 2
    assert "no folder" in done.err
