"""Settings that cannot work are refused with one message."""

from __future__ import annotations

import pytest

from tokenexit.errors import UserError
from tokenexit.training import TrainConfig, make_accelerator


def test_defaults_are_allowed():
    assert TrainConfig().objective == {"name": "halt_and_copy"}
    assert TrainConfig(clip=0, warmup=0, weight_decay=0, max_steps=1, checkpoint_every=1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"precision": "bf"}, "Did you mean 'bf16'"),
        ({"epochs": 0}, "train.epochs must be 1 or more, not 0"),
        ({"batch_size": 0}, "train.batch_size"),
        ({"accumulation": -1}, "train.accumulation"),
        ({"log_every": 0}, "train.log_every"),
        ({"max_steps": 0}, "train.max_steps"),
        ({"checkpoint_every": 0}, "train.checkpoint_every"),
        ({"lr": 0}, "train.lr must be above 0"),
        ({"head_lr": float("nan")}, "train.head_lr must be above 0"),
        ({"clip": -1}, "train.clip must be 0 or more"),
        ({"weight_decay": -0.1}, "train.weight_decay must be 0 or more"),
        ({"warmup": 1.0}, "train.warmup"),
        ({"warmup": -0.1}, "train.warmup"),
    ],
)
def test_mistakes_are_explained(settings, said):
    with pytest.raises(UserError, match=said):
        TrainConfig(**settings)


def test_a_tracker_that_is_not_there(tmp_path):
    config = TrainConfig(trackers=["tensorboardd"])
    with pytest.raises(UserError, match="Tracker 'tensorboardd' is not installed"):
        make_accelerator(config, tmp_path)


def test_fp16_needs_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        make_accelerator(TrainConfig(precision="fp16"), tmp_path)
