"""Trainings in processes of their own: ``worker.py long|stall|pair FOLDER``.

``long`` trains with a checkpoint each step until somebody kills it; ``stall`` stops in the
middle of writing one. ``pair`` is started by torchrun and goes through all of ``PAIR``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import toy
from accelerate import Accelerator
from safetensors.torch import save_file

from tokenexit.training import TrainConfig, make_accelerator
from tokenexit.training.encoder_loss import EncoderLossModule

LONG: dict[str, Any] = {"max_steps": 30, "checkpoint_every": 1}
STALL_AT = 4
# 13 sentences by 4: the fourth step of an epoch has one sentence, for two processes.
EASY: dict[str, Any] = {
    "name": "halt_and_copy",
    "policy": "entropy",
    "strict": 0.9999,
    "loose": 1.0,
    "full": 0.4,
    "warmup": 0,
}
PAIR: dict[str, dict[str, Any]] = {
    "joint": {"objective": {"name": "joint"}},
    "two_stage": {"objective": {"name": "two_stage", "split": 0.5}, "weight_decay": 0.1},
    "alternating": {"objective": {"name": "alternating"}, "gradient_equilibrium": True},
    # Words leave at the first exit or not at all, a sentence at a time.
    "uneven": {"objective": EASY, "epochs": 4},
    "uneven_parts": {"objective": EASY, "epochs": 4, "accumulation": 2},
    # A sentence that a process borrows teaches nobody; the rest learns without labels.
    "frozen": {"objective": {"name": "frozen_distillation", "split": 0.5}, "weight_decay": 0.1},
    "projected": {"objective": {"name": "gradient_projection"}, "accumulation": 2},
    "weighed": {"objective": {"name": "learned_weights"}},
    # Several passes of a step, each process with its own texts.
    "passes": {"objective": {"name": "length_drop", "ratio": 0.5}},
    # A gate learns of a network that stays, and the network before it from a teacher.
    "phases": {
        "phases": [
            {
                "objective": {"name": "distillation", "states": 0.1},
                "teacher": "previous",
                "epochs": 1,
            },
            {"freeze": ["network", "top", "heads"], "split": "few"},
        ],
        "splits": {"few": 0.5},
        "objective": {"name": "joint"},
    },
    # Steps of texts of like length, the same whoever takes which.
    "bucketed": {"objective": {"name": "joint"}, "bucket": True, "accumulation": 2},
}


def pupil() -> tuple[Any, list[Any]]:
    """A model that is fit for comparisons, and what it learns."""
    model = toy.build(double=True, sharp=3.0, gate=True)
    return model, toy.sentences(model, 13, unlabelled=0.3)


def long_run(folder: Path, *, resume: bool = False, accelerator: Any = None) -> Any:
    """The training that is going to be killed; dropout makes it depend on random numbers."""
    model = toy.build(dropout=0.2)
    examples = toy.sentences(model, 10)
    toy.fit(model, examples, folder, resume=resume, accelerator=accelerator, **LONG)
    return model


def stall(folder: Path) -> None:
    accelerator = make_accelerator(TrainConfig(), folder)

    def wait(models: Any, weights: Any, target: str) -> None:
        if f"{STALL_AT:08d}" in target:
            Path(target, "model.safetensors").write_bytes(b"half")
            time.sleep(600)

    accelerator.register_save_state_pre_hook(wait)
    long_run(folder, accelerator=accelerator)


def pair(folder: Path) -> None:
    depths: list[int] = []
    forward = EncoderLossModule.forward

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        losses = forward(self, *args, **kwargs)
        depths.append(max(losses.by_layer))
        return losses

    EncoderLossModule.forward = noted
    accelerator = make_accelerator(TrainConfig(), folder)
    told: dict[str, Any] = {"world": accelerator.num_processes, "depths": {}}
    for name, settings in PAIR.items():
        depths.clear()
        model, examples = pupil()
        toy.fit(
            model, examples, folder / name, accelerator=accelerator, **{"epochs": 2, **settings}
        )
        told["depths"][name] = list(depths)
        _save(model, folder / name, accelerator)
    told["best"] = _best_comes_back(folder / "best", accelerator)
    told["stopped"] = _stops_alike(folder / "stopped", accelerator)
    told["resumed"] = _resumed(folder, accelerator)
    (folder / f"rank{accelerator.process_index}.json").write_text(json.dumps(told))


def _save(model: Any, folder: Path, accelerator: Accelerator) -> None:
    save_file(toy.weights(model), folder / f"rank{accelerator.process_index}.safetensors")


def _best_comes_back(folder: Path, accelerator: Accelerator) -> list[bool]:
    """Whether the second of three evaluations, the best, is what every process ends with."""
    model, examples = pupil()
    seen: list[Any] = []

    def evaluate(model: Any) -> dict[str, float]:
        seen.append(toy.weights(model))
        return {"quality": [0.1, 0.7, 0.3][len(seen) - 1]}

    toy.fit(model, examples, folder, accelerator=accelerator, evaluate=evaluate)
    return [_same(toy.weights(model), one) for one in seen]


def _stops_alike(folder: Path, accelerator: Accelerator) -> list[int]:
    """Where each process stops early, though only the first measures no gain."""
    model, examples = pupil()
    qualities = iter(range(1, 9) if accelerator.process_index else [0.5, 0.4, 0.3, 0.2, 0.1])
    state = toy.fit(
        model, examples, folder, accelerator=accelerator, epochs=5, patience=2,
        evaluate=lambda _: {"quality": next(qualities)},
    )  # fmt: skip
    return [state.step, state.best_step]


def _resumed(folder: Path, accelerator: Accelerator) -> bool:
    """Whether a training interrupted in all processes ends as one that ran through."""
    ends = []
    for name, until in (("whole", 9), ("broken", 5)):
        model = toy.build(dropout=0.2)
        examples = toy.sentences(model, 13)
        settings: dict[str, Any] = {"max_steps": 9, "checkpoint_every": 2, "bucket": True}
        if until < 9:
            _interrupt_after(until)
            try:
                toy.fit(model, examples, folder / name, accelerator=accelerator, **settings)
            except KeyboardInterrupt:
                model = toy.build(dropout=0.2, seed=5)
            toy.fit(
                model, examples, folder / name, accelerator=accelerator, resume=True, **settings
            )
        else:
            toy.fit(model, examples, folder / name, accelerator=accelerator, **settings)
        ends.append(toy.weights(model))
    return _same(*ends)


def _interrupt_after(steps: int) -> None:
    from tokenexit.training import loop

    step = loop.one_step

    def counted(plan: Any, *rest: Any) -> Any:
        if plan.number == steps:
            loop.one_step = step
            raise KeyboardInterrupt
        return step(plan, *rest)

    loop.one_step = counted


def _same(first: Any, second: Any) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


if __name__ == "__main__":
    {"long": long_run, "stall": stall, "pair": pair}[sys.argv[1]](Path(sys.argv[2]))
