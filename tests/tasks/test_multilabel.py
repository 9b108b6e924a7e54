"""Several labels a text: read as sets, scored by label, trained, saved and told as lists."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tokenexit
from tokenexit.data.labels import UNLABELLED, Cell
from tokenexit.errors import UserError
from tokenexit.tasks import Rows, labelled_task
from tokenexit.tasks.multilabel import LabelSetSplit, members, read_set
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.workflows.commands import open_model

NAMES = ("account", "bill", "card")
TASK: Any = labelled_task("multilabel")


def split(*labels: Any, origin: str = "here") -> LabelSetSplit:
    tags = [[read_set(Cell(value, None, origin, False))] for value in labels]
    return LabelSetSplit([["text"]] * len(tags), tags, origin)


def test_values_become_sets():
    found = split(["b", "a", "b"], [], "b|a", " a | c ", "", "none", None, [3], "b")
    told = ["a|b", "none", "a|b", "a|c", "none", "none", UNLABELLED, "3", "b"]
    assert [row[0] for row in found.tags or []] == told


@pytest.mark.parametrize("value", [["a|b"], ["none"], [""], [None], 3, {"a": 1}, [["a"]], [1.5]])
def test_what_is_no_set_is_refused(value):
    with pytest.raises(UserError, match=r"here: .*(set|label)"):
        split(value)


def test_classes_are_all_sets_of_few_labels_and_the_seen_ones_of_many():
    assert TASK.labels(split("a", "b")) == ("none", "a", "b", "a|b")
    many = [f"l{number}" for number in range(9)]
    found = TASK.labels(split(*many, "l1|l0", None))
    assert found == ("none", *many, "l0|l1")
    with pytest.raises(UserError, match="at most 50 labels"):
        TASK.labels(split(*(f"l{number}" for number in range(51))))
    with pytest.raises(UserError, match="no text has a label"):
        TASK.labels(split([], []))


def test_figures_are_those_of_scikit_learn():
    labels = ("none", *"abc", "a|b", "b|c")  # as if there were more
    held = split("a", "a|c", "d|a", [], "b|c", None, "a|b")
    gold = np.array(class_numbers(held, labels)).squeeze(-1)
    known = TASK.known(gold)
    assert known.tolist() == [True] * 5 + [False, True]
    gold, said = gold[known], np.array([1, 1, 4, 0, 2, 4])
    true, found = (members(one, labels) for one in (gold, said))
    assert true.astype(int).tolist() == [
        [1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0],
    ]  # fmt: skip
    text = np.arange(6)
    figures = TASK.graded(said, gold, text, labels)
    assert figures["quality"] == figures["micro_f1"]
    for average in ("micro", "macro"):
        wanted = f1_score(true, found, average=average, zero_division=0.0)  # type: ignore[arg-type]
        assert figures[f"{average}_f1"] == pytest.approx(wanted)
    assert figures["exact_match"] == 3 / 6
    sums = TASK.parts(Rows(said, gold, text, labels), 6).sum(axis=0)
    assert sums[0] / sums[1] == pytest.approx(figures["micro_f1"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    things = list(itertools.product([True, False], repeat=3))
    for name, times in (("train", 16), ("validation", 4), ("test", 4)):
        sets = [[x for x, there in zip(NAMES, one, strict=True) if there] for one in things * times]
        rows = [{"sentence": f"it has {' '.join(one)} !", "labels": one} for one in sets]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_run_and_what_is_done_with_it(data, tmp_path):
    model = tokenexit.train(
        "multilabel", data=data, output_dir=tmp_path / "run",
        model={"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2,
               "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40},
        train={"max_steps": 60, "batch_size": 32, "epochs": 20, "lr": 5e-3, "head_lr": 5e-3},
        calibrate={"grid": 4, "verify": 1, "loose": True},
    )  # fmt: skip
    run = tmp_path / "run"
    assert model.labels[:4] == ("none", "account", "bill", "card")
    assert len(model.labels) == 8
    assert model.settings.heads["sets"] == 3
    metrics = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert metrics["metric"] == "micro_f1"
    assert metrics["quality"] > 0.9
    text = "it has bill card !"
    (found,) = model.predict([text])
    assert found.labels == ["bill", "card"]
    assert found.to_dict().keys() == {"labels", "confidence", "exit_layer", "text"}
    # The folder is a plain checkpoint with the very same top, thresholds included.
    plain = AutoModelForSequenceClassification.from_pretrained(run).eval()
    batch = AutoTokenizer.from_pretrained(run)([text], return_tensors="pt")
    with torch.no_grad():
        z = plain(**batch).logits[0]
    torch.testing.assert_close(z[-1], z[1] + z[2] + z[3] - 2 * z[0], atol=1e-4, rtol=1e-4)
    deep = model.predict([text], policy="never")[0]
    assert deep.labels == [x for x in model.labels[int(z.argmax())].split("|") if x != "none"]
    opened = open_model(str(run))
    assert opened.evaluate(opened.split(None, "test"), "test", None).quality == pytest.approx(
        metrics["quality"]
    )
    card = (run / "README.md").read_text()
    assert "3 labels: `account`, `bill`, `card`" in card
    assert "print(result.labels" in card
    assert "micro F1" in card
    assert (run / "report.html").is_file()
