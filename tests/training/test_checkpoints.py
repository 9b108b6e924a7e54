"""Checkpoints that are damaged are named; the one before stays until the next is on the disk."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from tokenexit import files
from tokenexit.errors import UserError
from tokenexit.training import checkpoint as module
from tokenexit.training.checkpoint import complete

FILES = ("model.safetensors", "optimizer.bin", "random_states_0.pkl", "trainer_state.json")


def fit(toy: Any, folder: Path, resume: bool = False, steps: int = 4) -> Any:
    model = toy.build(dropout=0.2)
    toy.fit(
        model,
        toy.sentences(model, 8),
        folder,
        resume=resume,
        max_steps=steps,
        evaluate=lambda m: {"quality": 0.5},
    )
    return toy.weights(model)


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    fit(toy, folder)
    return folder


@pytest.fixture
def own(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "flipped": flip,
    "other": lambda path: path.write_bytes(b'{"a": 1}'),
}


@pytest.mark.parametrize("name", [*FILES[:3], "../best.safetensors"])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_named(how, name, own, toy):
    if (how, name) == ("flipped", "../best.safetensors"):
        pytest.skip("the weights of the best step are as large as they say, and that is checked")
    path = (complete(own / "checkpoints")[-1] / name).resolve()
    DAMAGE[how](path)
    with pytest.raises(UserError) as caught:
        fit(toy, own, resume=True)
    told = str(caught.value)
    assert str(path) in told
    assert "overwrite=true" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"step": 2}', '{"step": -1}', '{"best_quality": null}']
)
def test_a_damaged_state_is_named(content, own, toy):
    path = complete(own / "checkpoints")[-1] / "trainer_state.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"trainer_state\.json, from which"):
        fit(toy, own, resume=True)


@pytest.mark.parametrize("key", ["step", "processes", "stopped", "best_quality"])
def test_a_state_of_wrong_types_is_named(key, own, toy):
    path = complete(own / "checkpoints")[-1] / "trainer_state.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**held, key: "two"}), encoding="utf-8")
    with pytest.raises(UserError, match=r"trainer_state\.json, from which"):
        fit(toy, own, resume=True)


def test_a_checkpoint_of_an_older_version_is_gone_on_from(own, toy, same_bits):
    wanted = fit(toy, own, resume=True)
    path = complete(own / "checkpoints")[-1] / "trainer_state.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    for key in ("files", "waited", "stopped"):
        del held[key]
    path.write_text(json.dumps(held), encoding="utf-8")
    assert same_bits(fit(toy, own, resume=True), wanted)


def test_the_next_one_is_on_the_disk_before_the_last_one_goes(toy, tmp_path, monkeypatch):
    seen: list[tuple[str, list[str]]] = []

    def there() -> list[str]:
        return [path.name for path in complete(tmp_path / "checkpoints")]

    for name in ("sync_tree", "sync"):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda path, n=name, f=real: (seen.append((n, there())), f(path))
        )
    remove = shutil.rmtree
    monkeypatch.setattr(
        module.shutil, "rmtree", lambda path: (seen.append(("remove", there())), remove(path))
    )
    fit(toy, tmp_path)
    two, four = "step-00000002", "step-00000004"
    assert seen == [
        ("sync_tree", []),
        ("sync", [two]),
        ("sync_tree", [two]),
        ("sync", [two, four]),
        ("remove", [two, four]),
    ]


def test_a_full_disk_leaves_the_last_one_and_says_so(toy, tmp_path, monkeypatch, same_bits):
    wanted = fit(toy, tmp_path / "whole")
    run, saved = tmp_path / "run", []

    def full(path: Path) -> None:
        saved.append(path)
        if len(saved) == 2:
            raise OSError(28, "No space left on device")
        files.sync_tree(path)

    with monkeypatch.context() as patch:
        patch.setattr(module, "sync_tree", full)
        with pytest.raises(UserError, match="step-00000004 cannot be written: the disk is full"):
            fit(toy, run)
    assert [path.name for path in complete(run / "checkpoints")] == ["step-00000002"]
    assert same_bits(fit(toy, run, resume=True), wanted)
    assert not list(run.rglob("*.partial"))


def test_torchs_own_word_for_a_full_disk(toy, tmp_path, monkeypatch):
    """It does not name the disk, but the disk is full."""

    def full(*args: Any, **options: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] unexpected pos 257088 vs 256976")

    monkeypatch.setattr(Accelerator, "save_state", full)
    monkeypatch.setattr(files, "_space", lambda path: 4096)
    with pytest.raises(UserError, match="the disk is full"):
        fit(toy, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(toy, tmp_path):
    (tmp_path / "checkpoints").mkdir(mode=0o555)
    with pytest.raises(UserError, match="cannot be written: Permission denied"):
        fit(toy, tmp_path)


def test_files_of_the_user_in_its_folder_stay(toy, tmp_path):
    for name in ("step-notes.txt", "mine/a.txt", "best.pt"):
        (tmp_path / "checkpoints" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkpoints" / name).write_text("of the user")
    fit(toy, tmp_path)
    fit(toy, tmp_path)
    left = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert left == {"step-notes.txt", "mine", "best.pt", "best.safetensors", "step-00000004"}
