"""Every published method is a preset that trains, calibrates and runs for each of its units."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.methods import METHODS, UNITS, Method, settings_of
from tokenexit.testing import check_method
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

pytestmark = pytest.mark.slow

PLACES = [(name, unit) for name, cls in METHODS.items() for unit in cls.units]
ENCODER = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32,
}  # fmt: skip
DECODER = {
    "model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2, "num_layers": 3,
    "num_decoder_layers": 3, "vocab_size": 300,
}  # fmt: skip
TRAIN = {"max_steps": 4, "batch_size": 6, "epochs": 5}
CALIBRATE = {
    "grid": 4,
    "verify": 1,
    "limit": 4,
    "loose": True,
    "reducer": {"rounds": 1, "children": 2},
}
COMMON = {"train": TRAIN, "calibrate": CALIBRATE}
SCHEMAS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "text": (ClassificationConfig, run_task, {**COMMON, "model": ENCODER}),
    "word": (TaggingConfig, run_task, {**COMMON, "model": ENCODER}),
    "token": (
        Seq2SeqConfig,
        run_task,
        {**COMMON, "model": DECODER, "generation": {"max_new_tokens": 3}, "validate_on": 3},
    ),
}
ROWS = [
    {
        "sentence": f"the {word} door",
        "label": label,
        "tokens": ["the", word, "door"],
        "ner_tags": ["O", f"B-{label}", "O"],
        "source": f"the {word} door",
        "target": f"a {label} thing",
    }
    for word, label in (("red", "warm"), ("blue", "cold"), ("orange", "warm"), ("green", "cold"))
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> dict[str, Path]:
    columns = {
        "text": ("sentence", "label"),
        "word": ("tokens", "ner_tags"),
        "token": ("source", "target"),
    }
    folders = {}
    for unit, names in columns.items():
        folders[unit] = tmp_path_factory.mktemp(unit)
        for split, times in (("train", 4), ("validation", 2), ("test", 2)):
            rows = [{name: row[name] for name in names} for row in ROWS * times]
            (folders[unit] / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folders


def without_repeats(phases: Any) -> list[Any]:
    """Phases, those once that are done several times on end, as pruning is."""
    return [one for place, one in enumerate(phases) if one not in phases[max(place - 1, 0) : place]]


@pytest.mark.parametrize(("name", "unit"), PLACES)
def test_a_method_trains_calibrates_and_runs(name, unit, data, tmp_path, monkeypatch):
    schema, run, defaults = SCHEMAS[unit]
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # disks are not what is tested
    train = METHODS.get(name).train
    if phases := without_repeats(train.get("phases", ())):
        monkeypatch.setattr(METHODS.get(name), "train", {**train, "phases": phases})
    if len(phases) > 3:  # whose steps are all alike
        defaults = {**defaults, "train": {**TRAIN, "max_steps": 2}}
    if METHODS.get(name).stages:  # models of two, four and all layers
        defaults = {**defaults, "model": {**ENCODER, "num_hidden_layers": 5}}
    argv = [f"data={data[unit]}", f"output_dir={tmp_path / 'run'}", f"method={name}"]
    config = load_with_method(schema, argv, defaults)
    metrics = json.loads((run(config) / "metrics.json").read_text())
    found = metrics["splits"]["test"]["policy"]["name"]
    assert found in {family["name"] for family in METHODS.get(name).policies} | {"never"}


@pytest.mark.parametrize("name", [name for name, _ in METHODS.items()])
def test_a_method_keeps_its_promises(name):
    check_method(name)


class Mine(Method):
    """Patience on plain heads; parts of it are broken below."""

    paper = "mine"
    fidelity = "own"
    train: ClassVar[Any] = {"objective": {"name": "joint"}}
    policies = ({"name": "patience"},)


class Ungated(Mine):
    """Reads a gate that nobody trains."""

    policies = ({"name": "learned_gate"},)


class Fixed(Mine):
    """Has nothing to calibrate."""

    policies = ({"name": "every_kth", "policy": {"name": "never"}},)


class Untold(Mine):
    """Is silent about its paper, as plug-ins of before are."""

    fidelity = Method.fidelity


class Wordy(Mine):
    """Says more than a line."""

    fidelity = "heads are wider, " * 8


class Unheard(Mine):
    """Asks for a head that there is not."""

    heads: ClassVar[Any] = {"name": "lineer"}


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Ungated, "its policies read a gate"),
        (Fixed, "no threshold"),
        (Untold, "at most 110 characters, not 'not said'"),
        (Wordy, "at most 110 characters, not 'heads are wider"),
        (Unheard, "Did you mean 'linear'"),
    ],
)
def test_a_broken_method_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(METHODS, "_members", {**METHODS._members, "mine": broken})
    with pytest.raises(AssertionError, match=f"(?s){broken.__name__}.*{told}"):
        check_method(broken)


def test_what_the_user_sets_wins(data):
    argv = ["output_dir=x", "method=pabee", "train.objective.weights=uniform", "heads.name=mlp"]
    config = load_with_method(ClassificationConfig, argv, {"train": TRAIN})
    assert config.train.objective == {"name": "joint", "weights": "uniform"}
    assert config.heads == {"name": "mlp"}
    assert config.train.max_steps == 4
    assert config.calibrate.policies == [{"name": "patience"}]
    plain = load_with_method(ClassificationConfig, ["output_dir=x"], {"train": TRAIN})
    assert plain.method is None
    assert plain.calibrate.policies == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU does not compute in int8")
def test_a_precision_that_serves_no_selected_widths_is_refused_at_once(data, tmp_path):
    argv = [f"data={data['text']}", f"output_dir={tmp_path / 'run'}", "method=ebert"]
    config = load_with_method(ClassificationConfig, [*argv, "precision=int8"], SCHEMAS["text"][2])
    with pytest.raises(UserError, match="'int8' lays out whole layers"):
        run_task(config)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_method_that_does_not_exist(data):
    with pytest.raises(UserError, match="pabee"):
        load_with_method(ClassificationConfig, ["output_dir=x", "method=pabe"], {})


@pytest.mark.parametrize("name", [n for n, cls in METHODS.items() if set(cls.units) < set(UNITS)])
def test_a_level_that_a_method_has_not(name):
    units = METHODS.get(name).units
    for unit in set(UNITS) - set(units):
        with pytest.raises(UserError, match=f"one for {UNITS[units[0]]}"):
            settings_of(name, unit)
