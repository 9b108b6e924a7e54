"""The check of an exit head."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tokenexit.heads import HEADS, ExitHead, build_head
from tokenexit.testing.contract import Contract, require, require_close


@dataclass(frozen=True)
class HeadCase:
    """A head by name with settings of its own, and rows for it."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def build(self, width: int = 16, classes: int = 5, place: int = 0, **more: Any) -> ExitHead:
        """A head in eval mode, the ``place``-th of five."""
        torch.manual_seed(0)
        config = {"name": self.name, **self.settings, **more}
        return build_head(config, width, classes, place, exits=5).eval()

    @property
    def places(self) -> tuple[int, ...]:
        """Where it is tried: at the bottom, and higher up if it reads earlier exits."""
        return (0, 1, 3) if HEADS.get(self.name).reads_past else (0,)

    @property
    def has_dropout(self) -> bool:
        """Whether it is trained, and takes ``dropout``."""
        return "dropout" in inspect.signature(HEADS.get(self.name)).parameters

    def rows(self, count: int = 7, width: int = 16, place: int = 0) -> tuple[Tensor, ...]:
        """States, and those of earlier exits where there are any."""
        draw = torch.Generator().manual_seed(1)
        hidden = torch.randn(count, width, generator=draw)
        past = torch.randn(count, place, width, generator=draw)
        return (hidden, past) if place else (hidden,)


HEAD: Contract[HeadCase] = Contract("exit head")


def check_head(head: str | type[ExitHead], **settings: Any) -> None:
    """Check that an exit head keeps its promises.

    Args:
        head: A registered class or its name.
        settings: Of the head, other than its defaults.

    Raises:
        AssertionError: It breaks one; the message says which, and how to mend it.
    """
    name = head if isinstance(head, str) else HEADS.name_of(head)
    told = "".join(f", {key}={value!r}" for key, value in settings.items())
    HEAD.hold(HeadCase(name, settings), f"{HEADS.get(name).__name__}({name!r}{told})")


@HEAD.promise
def scores_each_row_alone(case: HeadCase) -> None:
    """It gives one score a class for each row, whatever other rows there are."""
    require(HEADS.get(case.name).__doc__, "give the class a docstring.")
    for place in case.places:
        head, rows = case.build(place=place), case.rows(place=place)
        logits = head(*rows)
        require(
            logits.shape == (7, 5),
            f"of 7 rows and 5 classes forward() gave {list(logits.shape)}, not [7, 5].",
        )
        alone = head(*(part[3:4] for part in rows))
        require_close(
            alone, logits[3:4], "a row scored alone differs from the same among others; normalise "
            "over the last axis only, with no statistics of the batch",
        )  # fmt: skip
        none = head(*(part[:0] for part in rows))
        require(none.shape == (0, 5), f"of no rows it gave {list(none.shape)}, not [0, 5].")
        require(logits.isfinite().all(), "states of ordinary size give logits that are not finite.")


@HEAD.promise
def is_steady_in_eval(case: HeadCase) -> None:
    """In eval mode the same rows get the same scores, and looking changes no weight."""
    for place in case.places:
        head, rows = case.build(place=place), case.rows(place=place)
        before = {name: weight.clone() for name, weight in head.state_dict().items()}
        first, second = head(*rows), head(*rows)
        require(
            first.equal(second),
            "asked twice, it scores differently: draw in training alone, as nn.Dropout does.",
        )
        after = head.state_dict()
        changed = [name for name, weight in before.items() if not weight.equal(after[name])]
        require(not changed, f"scoring changed {', '.join(changed)}: use no running statistics.")


@HEAD.promise
def dropout_is_for_training(case: HeadCase) -> None:
    """Its ``dropout``, if it takes any, acts in training alone, and 0 means none."""
    if not case.has_dropout:
        return
    rows = case.rows()
    head = case.build(dropout=0.5).train()
    require(
        not head(*rows).equal(head(*rows)),
        "with dropout=0.5 nothing is dropped in training: hand the setting on to nn.Dropout.",
    )
    head = case.build(dropout=0).train()
    require(head(*rows).equal(head(*rows)), "with dropout=0 training still draws.")


@HEAD.promise
def every_weight_learns(case: HeadCase) -> None:
    """Every weight of a head that is trained gets a gradient."""
    if not case.has_dropout:
        return  # nothing to train
    head = case.build(dropout=0.0).train()
    head(*case.rows()).square().sum().backward()
    idle = [name for name, w in head.named_parameters() if w.grad is None or not w.grad.any()]
    require(not idle, f"{', '.join(idle)} get no gradient: use them in forward(), or drop them.")


@HEAD.promise
def costs_what_it_says(case: HeadCase) -> None:
    """``macs`` is what torch counts for a row."""
    for width, classes in ((16, 5), (1, 1), (33, 2)):
        for place in case.places:
            head, rows = case.build(width, classes, place), case.rows(7, width, place)
            with FlopCounterMode(display=False) as counter:
                head(*rows)
            counted = counter.get_total_flops() / (2 * len(rows[0]))
            require(
                counted == head.macs,
                f"macs says {head.macs} for width {width}, {classes} classes and {place} exits "
                f"before; torch counts {counted:g} multiply-accumulates a row.",
            )


@HEAD.promise
def weights_come_back(case: HeadCase) -> None:
    """All that it knows is in its ``state_dict``."""
    for place in case.places:
        head = case.build(place=place)
        torch.manual_seed(7)
        with torch.no_grad():
            for weight in head.state_dict(keep_vars=True).values():
                if weight.is_floating_point():
                    weight.add_(torch.randn_like(weight), alpha=0.1)
        other = case.build(place=place)
        other.load_state_dict(head.state_dict())
        rows = case.rows(place=place)
        require(
            other(*rows).equal(head(*rows)),
            "a fresh head with its state_dict scores differently: keep tensors as parameters or "
            "with register_buffer.",
        )
