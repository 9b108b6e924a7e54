"""Saving over a folder: the old model, the new one, or none, and nobody else's files."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tokenexit.errors import UserError
from tokenexit.models.folders import save_settings

pytestmark = pytest.mark.slow

KILLED = Path(__file__).with_name("killed.py")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def pair(kinds: Any, tmp_path: Path) -> Any:
    """Folders of two models that differ in all weights and in nothing else."""

    def make(name: str) -> tuple[Any, Path, Path]:
        kind = kinds[name]
        old, new = kind.make(0), kind.make(0)
        with torch.no_grad():
            for weight in new.parameters():
                weight.copy_(torch.randn_like(weight))
        for model, folder in ((old, "old"), (new, "new")):
            model.save_pretrained(tmp_path / folder)
        return kind, tmp_path / "old", tmp_path / "new"

    return make


def run_killed(kind: Any, old: Path, new: Path, *more: str) -> list[str]:
    scratch = old.parent / "scratch"
    done = subprocess.run(
        [sys.executable, str(KILLED), kind.loads.__name__, old, new, scratch, *more],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.multiproc
@pytest.mark.parametrize(("name", "stride"), [("tagger", "2"), ("cascade", "7")])
def test_a_kill_leaves_the_old_the_new_or_a_folder_that_is_refused(pair, name, stride):
    outcomes = run_killed(*pair(name), stride)
    assert [outcome for outcome, _ in groupby(outcomes)] == ["old", "refused", "new"]
    assert outcomes.count("old") > 3


@pytest.mark.multiproc
def test_a_kill_leaves_no_settings_beside_a_record_of_others(pair):
    kind, old, new = pair("tagger")
    for file in new.glob("*.safetensors"):  # the same weights, another policy
        shutil.copy(old / file.name, file)
    data = json.loads((new / "exit_config.json").read_text())
    data["policy"] = {"name": "max_prob", "threshold": 0.0}
    data["files"] = json.loads((old / "exit_config.json").read_text())["files"]
    (new / "exit_config.json").write_text(json.dumps(data))
    outcomes = run_killed(kind, old, new, "1", "settings")
    assert [outcome for outcome, _ in groupby(outcomes)] == ["old", "new"]


def test_nothing_of_an_older_model_is_left(kinds, tmp_path):
    kinds["generator"].make(0).save_pretrained(tmp_path)
    for name in ("spiece.model", "adapter_config.json", "model-00001-of-00002.safetensors"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "chat_templates").mkdir()
    kept = {"config.yaml": "task: ner", "traces/test.parquet": "x", "mine.bin": "x"}
    (tmp_path / "traces").mkdir()
    for name, text in kept.items():
        (tmp_path / name).write_text(text)
    kinds["tagger"].make(0).save_pretrained(tmp_path)
    fresh = tmp_path.with_name("fresh")
    kinds["tagger"].make(0).save_pretrained(fresh)
    assert contents(tmp_path).keys() == contents(fresh).keys() | kept.keys()
    assert not (tmp_path / "chat_templates").exists()
    kinds["tagger"].loads.from_pretrained(tmp_path)


@pytest.mark.parametrize("pair_of", [("tagger", "cascade"), ("cascade", "classifier")])
def test_kinds_may_take_turns_in_a_folder(pair_of, kinds, tmp_path):
    for name in (*pair_of, pair_of[0]):
        model = kinds[name].make(0)
        model.save_pretrained(tmp_path)
        loaded = kinds[name].loads.from_pretrained(tmp_path)
        assert kinds[name].ask(loaded) == kinds[name].ask(model)


def test_files_of_the_runs_of_stages_stay(kinds, tmp_path):
    kinds["cascade"].make(0).save_pretrained(tmp_path)
    (tmp_path / "stage-1" / "metrics.json").write_text("{}")
    (tmp_path / "stage-1" / "spiece.model").write_text("{}")
    kinds["cascade"].make(0).save_pretrained(tmp_path)
    assert (tmp_path / "stage-1" / "metrics.json").is_file()
    assert not (tmp_path / "stage-1" / "spiece.model").exists()


def test_a_folder_that_holds_no_model_is_not_tidied(kinds, tmp_path):
    (tmp_path / "vocab.txt").write_text("mine")
    kinds["tagger"].make(0).save_pretrained(tmp_path)
    assert (tmp_path / "vocab.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["tagger", "cascade", "generator"])
def test_every_file_may_be_read_by_others(name, kinds, tmp_path):
    before = os.umask(0o022)
    try:
        kinds[name].make(0).save_pretrained(tmp_path / "model")
        model = kinds[name].loads.from_pretrained(tmp_path / "model")
        save_settings(model, tmp_path / "model", {"calibration.json": "{}"})
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "model").rglob("*") if p.is_file()}
    assert modes == {0o644}
    folders = [p for p in (tmp_path / "model").rglob("*") if p.is_dir()]
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o755 for p in folders)


@pytest.mark.parametrize("name", ["tagger", "cascade"])
def test_no_link_is_followed(name, kinds, tmp_path):
    folder, victim = tmp_path / "model", tmp_path / "victim"
    kinds[name].make(0).save_pretrained(folder)
    names = [path for path in folder.rglob("*") if path.is_file()]
    victim.mkdir()
    for path in [*names, folder / "calibration.json"]:
        target = victim / path.name
        target.write_text("precious")
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    if name == "cascade":
        shutil.rmtree(folder / "stage-1")
        (folder / "stage-1").symlink_to(victim)
    model = kinds[name].make(0)
    model.save_pretrained(folder)
    for path in (folder / "README.md", folder / "calibration.json"):
        path.unlink(missing_ok=True)
        path.symlink_to(victim / path.name)
    save_settings(model, folder, {"calibration.json": "{}"})
    assert {path.read_text() for path in victim.iterdir()} == {"precious"}
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    kinds[name].loads.from_pretrained(folder)


# --- what cannot be written -----------------------------------------------------------------


@pytest.mark.multiproc
@pytest.mark.parametrize(
    ("limit", "file"), [(9_000, "model.safetensors"), (1_000, "config.json|model.safetensors")]
)
def test_a_file_that_grows_too_large(limit, file, folders, tmp_path):
    old = shutil.copytree(folders("tagger"), tmp_path / "old")
    before = contents(old)
    code = (
        "import sys, tokenexit\n"
        "from tokenexit.config import friendly_errors\n"
        "model = tokenexit.ExitModelForTokenClassification.from_pretrained(sys.argv[1])\n"
        "with friendly_errors():\n    model.save_pretrained(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(old)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert any(name in done.stderr for name in file.split("|"))
    assert contents(old) == before


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("step", ["network", "tokenizer", "heads"])
def test_a_disk_that_refuses(error, step, kinds, folders, tmp_path, monkeypatch):
    old = shutil.copytree(folders("tagger"), tmp_path / "old")
    before, model = contents(old), kinds["tagger"].loads.from_pretrained(old)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(error, os.strerror(error))

    owner: Any = {
        "network": PreTrainedModel,
        "tokenizer": PreTrainedTokenizerBase,
        "heads": sys.modules["tokenexit.models.folders.save"],
    }[step]
    monkeypatch.setattr(owner, "save_file" if step == "heads" else "save_pretrained", refuse)
    with pytest.raises(UserError, match=r"cannot be written: .*(Make room|where you may write)"):
        model.save_pretrained(old)
    assert contents(old) == before


def test_a_library_that_says_in_its_own_way_that_a_disk_is_full(
    kinds, folders, tmp_path, monkeypatch
):
    old = shutil.copytree(folders("tagger"), tmp_path / "old")
    model = kinds["tagger"].loads.from_pretrained(old)

    def refuse(*_: Any, **__: Any) -> None:
        raise Exception("No space left on device (os error 28)")

    monkeypatch.setattr(PreTrainedTokenizerBase, "save_pretrained", refuse)
    with pytest.raises(UserError, match=r"tokenizer\.json cannot be written: the disk is full"):
        model.save_pretrained(old)


def test_a_file_in_the_place_of_a_folder(kinds, tmp_path):
    (tmp_path / "model").write_text("x")
    with pytest.raises(UserError, match="cannot be written"):
        kinds["tagger"].make(0).save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="cannot be written"):
        kinds["tagger"].make(0).save_pretrained(tmp_path / "model" / "inside")


def test_a_saved_folder_is_a_plain_checkpoint(kinds, tmp_path):
    model = kinds["tagger"].make(0)
    model.save_pretrained(tmp_path)
    plain: Any = AutoModelForTokenClassification.from_pretrained(tmp_path)
    for name, weight in model.network.state_dict().items():
        assert plain.state_dict()[name].equal(weight)


@pytest.mark.parametrize("name", ["tagger", "cascade"])
def test_odd_labels_stand_in_the_card_as_text(name, kinds, tmp_path):
    odd = ("<script>alert(1)</script>", "a\x1b[31m|b", "`c`")
    model = kinds[name].make(0)
    model.settings = replace(model.settings, labels=odd)
    card = model.settings_files()["README.md"]
    assert "`<script>alert(1)</script>`" in card
    assert "\x1b" not in card
    assert "`'c''`" in card or "`'c'`" in card
