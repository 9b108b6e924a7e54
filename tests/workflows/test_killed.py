"""overwrite=true over a finished run: stopped anywhere, the old model is never the new run's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.training import TrainConfig
from tokenexit.workflows import run as runner
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.recipes import labels
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """As SIGKILL."""


def config(run: Path, data: Path, model: Any, **more: Any) -> TaggingConfig:
    train = TrainConfig(max_steps=2, objective={"name": "joint"}, checkpoint_every=1)
    settings: dict[str, Any] = {"train": train, "policy": {"name": "never"}, "seed": 7, **more}
    return TaggingConfig(output_dir=str(run), data=str(data), model=model, **settings)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, corpus, small_bert) -> Path:
    """The new run in a folder of its own."""
    return run_task(config(tmp_path_factory.mktemp("alone") / "run", corpus, small_bert))


@pytest.mark.parametrize(
    ("place", "where"), [(runner, "train"), (labels, "fit_heads"), (runner, "finish")]
)
def test_stopped_while_overwriting(place, where, alone, own_run, corpus, small_bert, monkeypatch):
    old = (own_run / "model.safetensors").read_bytes()

    def killed(*args: Any, **options: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(place, where, killed)
        with pytest.raises(Killed):
            run_task(config(own_run, corpus, small_bert, overwrite=True))
    for name in ("model.safetensors", "exit_heads.safetensors", "metrics.json", "README.md"):
        assert not (own_run / name).exists()
    with pytest.raises(UserError, match=r"exit_config\.json"):
        open_model(str(own_run))
    run_task(config(own_run, corpus, small_bert, resume=True))
    for name in ("model.safetensors", "exit_heads.safetensors", "metrics.json", "README.md"):
        assert (own_run / name).read_bytes() == (alone / name).read_bytes()
    assert (own_run / "model.safetensors").read_bytes() != old


@pytest.mark.parametrize(
    "mistake",
    [
        {"data": "nowhere.jsonl"},
        {"exit_layers": [9]},
        {"column": "chunks"},
        {"train": TrainConfig(objective={"name": "jiont"})},
    ],
)
def test_a_mistake_does_not_cost_the_run_that_was_to_be_overwritten(
    mistake, own_run, corpus, small_bert
):
    before = {path: path.read_bytes() for path in own_run.rglob("*") if path.is_file()}
    wrong = config(own_run, corpus, small_bert, overwrite=True)
    for key, value in mistake.items():
        object.__setattr__(wrong, key, value)
    with pytest.raises(UserError):
        run_task(wrong)
    assert {path: path.read_bytes() for path in own_run.rglob("*") if path.is_file()} == before


def test_every_file_of_a_run_may_be_read_by_others(alone):
    """In particular weights, which safetensors writes for their owner alone."""
    shut = [p.name for p in alone.glob("*") if p.is_file() and p.stat().st_mode & 0o077 != 0o044]
    assert not shut
    assert json.loads((alone / "metrics.json").read_text(encoding="utf-8"))["seed"] == 7


@pytest.mark.parametrize(
    "generation",
    [{"max_new_tokens": 0}, {"max_new_tokens": "abc"}, {"foo": 1}, {"num_return_sequences": 3}],
)
def test_generation_that_cannot_work_is_refused_before_anything_is_read(generation, tmp_path):
    wrong = Seq2SeqConfig(str(tmp_path / "run"), data="nowhere", generation=generation)
    with pytest.raises(UserError, match=next(iter(generation))):
        run_task(wrong)
    assert not list(tmp_path.iterdir())
