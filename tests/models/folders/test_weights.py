"""A finished folder has every weight it needs and no other; a model to start from need not."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification
from transformers.utils import logging as transformers_logging

from tokenexit.errors import UserError
from tokenexit.models.folders import load_network


@pytest.fixture
def work(folders: Any, tmp_path: Path) -> Path:
    """A tagger's folder to damage."""
    return Path(shutil.copytree(folders("tagger"), tmp_path / "model"))


def change(path: Path, edit: Any) -> None:
    weights = load_file(path)
    edit(weights)
    save_file(weights, path, metadata={"format": "pt"})


def drop(*keys: str) -> Any:
    return lambda weights: [weights.pop(key) for key in keys]


def put(key: str, value: torch.Tensor) -> Any:
    return lambda weights: weights.update({key: value})


LAYER = "bert.encoder.layer.1.output.dense.weight"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop("classifier.weight"), r"classifier\.weight is missing"),
        (drop("classifier.weight", "classifier.bias", LAYER), rf"{LAYER}, .*are missing"),
        (put("bert.more", torch.ones(2)), r"bert\.more is of no use"),
        (put("classifier.bias", torch.ones(2)), r"classifier\.bias is of another shape"),
        (put("classifier.bias", torch.tensor([0, float("nan"), 1])), "not a number or infinite"),
        (put("classifier.bias", torch.tensor([0, float("inf"), 1])), r"classifier\.bias"),
        (lambda weights: weights.clear(), "and .* more are missing"),
    ],
)
def test_weights_that_are_not_all_there(edit, message, work, kinds, capfd):
    change(work / "model.safetensors", edit)
    for _ in range(2):
        with pytest.raises(UserError, match=message):
            kinds["tagger"].loads.from_pretrained(work)
    assert "MISSING" not in capfd.readouterr().err


@pytest.mark.parametrize("pair", [("tagger", "generator"), ("generator", "classifier")])
def test_weights_of_another_kind(pair, folders, kinds, tmp_path):
    mine, other = pair
    work = shutil.copytree(folders(mine), tmp_path / "model")
    shutil.copy(folders(other) / "model.safetensors", work / "model.safetensors")
    with pytest.raises(UserError, match=r"are missing; .*are of no use"):
        kinds[mine].loads.from_pretrained(work)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop("exits.1.project.bias"), r"Missing key.*exits\.1\.project\.bias"),
        (put("exits.9.x", torch.ones(1)), r"Unexpected key.*exits\.9\.x"),
        (put("exits.1.project.bias", torch.ones(9)), "size mismatch"),
        (put("exits.1.project.bias", torch.full((3,), float("nan"))), r"exits\.1\.project\.bias"),
        (put("crf.chain.transitions", torch.ones(2, 2)), "belongs to another model"),
    ],
)
def test_heads_that_do_not_fit(edit, message, work, kinds):
    change(work / "exit_heads.safetensors", edit)
    with pytest.raises(UserError, match=message):
        kinds["tagger"].loads.from_pretrained(work)


def test_a_crf_of_a_wrong_shape_or_none(folders, kinds, tmp_path):
    pytest.importorskip("torchcrf")
    for number, edit in enumerate((put("crf.chain.transitions", torch.ones(2, 2)), None)):
        work = shutil.copytree(folders("crf"), tmp_path / str(number))
        if edit is None:
            shutil.copy(folders("tagger") / "exit_heads.safetensors", work)
        else:
            change(work / "exit_heads.safetensors", edit)
        with pytest.raises(UserError, match=r"exit_heads\.safetensors is damaged"):
            kinds["crf"].loads.from_pretrained(work)


def in_shards(folder: Path) -> None:
    network: Any = AutoModelForTokenClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    network.save_pretrained(folder, max_shard_size="5KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2


def test_weights_may_be_cut_into_shards(work, kinds):
    kind = kinds["tagger"]
    right = kind.ask(kind.loads.from_pretrained(work))
    in_shards(work)
    assert kind.ask(kind.loads.from_pretrained(work)) == right
    next(work.glob("model-00002*")).unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        kind.loads.from_pretrained(work)


def test_weights_may_be_a_variant(work, kinds):
    kind = kinds["tagger"]
    right = kind.ask(kind.loads.from_pretrained(work))
    (work / "model.safetensors").rename(work / "model.fp16.safetensors")
    with pytest.raises(UserError, match="cannot be loaded"):
        kind.loads.from_pretrained(work)
    assert kind.ask(kind.loads.from_pretrained(work, variant="fp16")) == right


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("executed"),))


def test_pickled_weights_are_not_read(work, kinds, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (work / "model.safetensors").unlink()
    (work / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="cannot be loaded"):
        kinds["tagger"].loads.from_pretrained(work)
    with pytest.raises(UserError, match="cannot be loaded"):
        load_network(work, AutoModelForTokenClassification)
    assert not (tmp_path / "executed").exists()


def test_a_model_to_start_from_may_lack_a_head(work):
    change(work / "model.safetensors", drop("classifier.weight", "classifier.bias"))
    assert load_network(work, AutoModelForTokenClassification).config.num_labels == 3


def test_loading_says_nothing_and_leaves_transformers_as_it_was(work, kinds, capfd):
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    kinds["tagger"].loads.from_pretrained(work).save_pretrained(work.parent / "again")
    assert (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    ) == before
    said = capfd.readouterr()
    assert said.err + said.out == ""


# --- files that changed ---------------------------------------------------------------------


def test_other_weights_that_fit_are_refused_unless_they_are_meant(work, kinds):
    change(work / "model.safetensors", put("classifier.bias", torch.ones(3)))
    load = kinds["tagger"].loads.from_pretrained
    with pytest.raises(UserError, match=r"model\.safetensors changed since it was saved"):
        load(work)
    file = work / "exit_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    del settings["files"]
    file.write_text(json.dumps(settings), encoding="utf-8")
    model = load(work)
    assert model.network.classifier.bias.eq(1).all()
    model.save_pretrained(work)
    load(work)


def test_line_ends_are_no_change(work, kinds):
    for file in (work / "config.json", work / "tokenizer.json"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    kinds["tagger"].loads.from_pretrained(work)


def test_a_tokenizer_that_was_loaded_and_saved_has_not_changed(work, kinds, caplog):
    kinds["tagger"].loads.from_pretrained(work).tokenizer.save_pretrained(work)
    kinds["tagger"].loads.from_pretrained(work)
    assert not caplog.text


def test_folders_of_before_have_no_list_of_files(work, kinds, caplog):
    kind = kinds["tagger"]
    right = kind.ask(kind.loads.from_pretrained(work))
    data = json.loads((work / "exit_config.json").read_text(encoding="utf-8"))
    del data["files"]
    (work / "exit_config.json").write_text(json.dumps(data))
    (work / "README.md").unlink()
    assert kind.ask(kind.loads.from_pretrained(work)) == right
    assert not caplog.text


def test_a_file_of_the_folder_that_is_gone(work, kinds):
    (work / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match=r"cannot be loaded: it lacks tokenizer_config\.json"):
        kinds["tagger"].loads.from_pretrained(work)


# --- code of others -------------------------------------------------------------------------


def test_no_code_of_a_folder_runs(work, kinds, monkeypatch, tmp_path):
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    data = json.loads((work / "config.json").read_text(encoding="utf-8"))
    data |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.C", "AutoModelForTokenClassification": "evil.M"},
    }
    (work / "config.json").write_text(json.dumps(data))
    (work / "evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    for load in (
        kinds["tagger"].loads.from_pretrained,
        lambda folder: load_network(folder, AutoModelForTokenClassification),
    ):
        with pytest.raises(UserError, match="wants to run Python code of its own"):
            load(work)
    with pytest.raises(UserError, match="leave trust_remote_code out"):
        kinds["tagger"].loads.from_pretrained(work, trust_remote_code=True)
    assert not (tmp_path / "executed").exists()
