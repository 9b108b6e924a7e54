"""The check of a gate: a learned number of each row at an exit."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from tokenexit.gates import GATES, ExitGate, build_gate
from tokenexit.signals import Signals
from tokenexit.testing.contract import NamedContract, require, require_close

EXITS, WIDTH, CLASSES = (1, 3, 4), 6, 5
GATE = NamedContract(GATES, str)


def check_gate(gate: str | type[ExitGate]) -> None:
    """Check that a gate keeps its promises."""
    GATE.check(gate)


def made(name: str) -> ExitGate:
    """A gate of three exits."""
    torch.manual_seed(0)
    gate = build_gate({"name": name}, WIDTH, CLASSES, EXITS)
    assert gate is not None
    return gate.eval()


def arrived(count: int = 7) -> Signals:
    """Rows at the second of three exits, with states of the one before and an exit head."""
    torch.manual_seed(1)
    place = torch.arange(count)
    before = torch.randn(count, WIDTH, requires_grad=True)
    weight = torch.randn(WIDTH, CLASSES, requires_grad=True)
    return Signals(
        layer=3,
        num_layers=6,
        hidden=torch.randn(count, WIDTH, requires_grad=True),
        sequence=torch.zeros_like(place),
        position=place,
        item_id=place,
        num_sequences=1,
        extent=count,
        head=lambda hidden: hidden @ weight,
        previous=lambda: before,
        target=place % CLASSES,
    )


@GATE.promise
def judges_each_row_alone(name: str) -> None:
    """It gives a number between 0 and 1 for each row, whatever other rows there are."""
    gate, signals = made(name), arrived()
    said = gate(signals)
    require(
        (said.shape, said.dtype) == ((7,), torch.float32),
        f"of 7 rows it gave {said.dtype} of shape {list(said.shape)}, not torch.float32 of [7].",
    )
    require(((said > 0) & (said < 1)).all(), f"it gave {said.tolist()}: end with a sigmoid.")
    require(said.std() > 1e-3, f"fresh, it says about the same of all rows: {said.tolist()}.")
    some = torch.tensor([5, 2])
    require_close(gate(signals.select(some)), said[some], "rows among fewer others differ")
    none = gate(signals.select(some[:0]))
    require(none.shape == (0,), f"of no rows it gave {list(none.shape)}, not [0].")


@GATE.promise
def leaves_the_network_alone(name: str) -> None:
    """Of signals that are held apart it learns without touching the network."""
    gate, signals = made(name), arrived()
    states = signals.hidden, signals.previous_hidden
    logits = signals.logits
    logits.retain_grad()
    gate(signals.detached()).sum().backward()
    reached = [x for x in (*states, logits) if x is not None and x.grad is not None]
    require(not reached, "signals.detached() has a gradient: read states from the signals given.")
    require(
        any(weight.grad is not None and weight.grad.any() for weight in gate.parameters()),
        "it has no weight that learns.",
    )
    require_close(gate(signals.detached()), gate(signals), "held apart it says something else")
    gate(signals).sum().backward()
    require(
        signals.hidden.grad is not None and signals.hidden.grad.any(),
        "of signals that are not held apart no gradient reaches the states: do not detach them.",
    )


@GATE.promise
def costs_what_it_says(name: str) -> None:
    """``macs`` is what torch counts for a row, the exit's logits apart."""
    gate, signals = made(name), arrived()
    _ = signals.logits
    with FlopCounterMode(display=False) as counter:
        gate(signals)
    counted = counter.get_total_flops() / (2 * 7)
    require(counted == gate.macs, f"macs says {gate.macs}, and torch counts {counted:g} a row.")


@GATE.promise
def weights_come_back(name: str) -> None:
    """All that it knows is in its ``state_dict``."""
    first, signals = made(name), arrived()
    with torch.no_grad():
        for weight in first.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    second = made(name)
    second.load_state_dict(first.state_dict())
    require(second(signals).equal(first(signals)), "a fresh gate with its state_dict differs.")
