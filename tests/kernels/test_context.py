"""What kernels say of words by a context gate: the numbers of the gate in torch."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tokenexit.context import FEATURES, ContextGate, Table
from tokenexit.context.config import OF_STATES
from tokenexit.decoding.compiled.gate import FEATURES as OF_GENERATORS
from tokenexit.halting.compiled.context import CODES, compiled_context
from tokenexit.policies import index_state

EXITS, WIDTH = 5, 32
LENGTHS = (7, 1, 0, 12, 3, 2)
PLAIN = tuple(name for name in CODES if not FEATURES.get(name).remembers)
GATES: list[dict[str, Any]] = [
    {"features": CODES, "neighbours": PLAIN, "projection": 7, "inner": 32, "history": 3},
    {"features": CODES, "neighbours": PLAIN, "projection": 20, "inner": 0, "reach": 3},
    {"features": CODES[::-1], "neighbours": ("margin",), "projection": 3, "shared": True},
    {"features": ("earlier_log_probability",), "neighbours": ("named",), "inner": 5, "history": 1},
    {"features": ("agreement", "entropy"), "neighbours": (), "history": 0, "inner": 17},
    {"features": ("place", "length", "depth"), "neighbours": ("projection",), "projection": 2},
    {"features": ("margin", "earlier_margin"), "reach": 0, "history": 6},
    {"features": ("probabilities",), "unit": "text"},
]


@pytest.fixture(scope="session")
def ask(compiled: Callable[..., Any], isa: str) -> Callable[..., np.ndarray]:
    """Asks kernels at every exit, ``[E, W]``."""
    library = compiled("context_gate", isa)

    def call(gate: ContextGate, table: Table, leaves: torch.Tensor) -> np.ndarray:
        classes = table.logits.shape[-1]
        shape = SimpleNamespace(num_layers=EXITS + 1, classes=classes, width=WIDTH)
        context = compiled_context(gate, shape, [True] * EXITS)  # type: ignore[arg-type]
        assert context is not None
        counts = np.bincount(table.sequence, minlength=len(LENGTHS))
        first = np.concatenate([[0], counts.cumsum()]).astype(np.int32)
        found = np.full(table.logits.shape[:2], -1, np.float32)
        hidden = table.hidden
        assert hidden is not None
        given = (table.logits.numpy(), hidden.numpy(), leaves.to(torch.int32).numpy(), found)
        at = [ctypes.c_void_p(array.ctypes.data) for array in (first, *given)]
        struct = ctypes.byref(context.struct)
        library.context_gate(struct, EXITS, len(LENGTHS), at[0], classes, WIDTH, *at[1:])
        return found

    return call


def draw(seed: int, classes: int, broken: float = 0.0) -> Table:
    """What exits say of the words of a few texts, and their states."""
    random = torch.Generator().manual_seed(seed)
    rows = sum(LENGTHS)
    liked = torch.randn(rows, classes, generator=random)
    sharp = torch.linspace(0.5, 2.0, EXITS)[:, None, None]
    logits = sharp * (liked + 0.5 * torch.randn(EXITS, rows, classes, generator=random))
    for value in (math.nan, math.inf, -math.inf):
        logits[torch.rand(logits.shape, generator=random) < broken] = value
    return Table(
        logits=logits,
        sequence=torch.repeat_interleave(torch.tensor(LENGTHS)),
        position=torch.cat([torch.arange(length) for length in LENGTHS]),
        gold=torch.zeros(rows, dtype=torch.long),
        layers=tuple(range(1, EXITS + 1)),
        classes=tuple(map(str, range(classes))),
        hidden=torch.randn(EXITS, rows, WIDTH, generator=random),
    )


def told(gate: ContextGate, table: Table, leaves: torch.Tensor) -> np.ndarray:
    """What the gate in torch says, ``[E, W]``; -1 of words that have left."""
    found = torch.full(table.logits.shape[:2], -1.0)
    rows, memory = torch.arange(len(table)), None
    for exit in range(EXITS):
        wrong, memory = gate.step(table.signals(exit, rows), memory)
        found[exit, rows] = wrong
        stay = leaves[rows] > exit
        rows, memory = rows[stay], index_state(memory, stay)
    return found.numpy()


@pytest.mark.parametrize("settings", GATES, ids=str)
@pytest.mark.parametrize("classes", [2, 9, 21])
def test_the_numbers_of_the_gate(settings: Any, classes: int, ask: Any, make_gate: Any):
    gate = make_gate(EXITS + 1, tuple(map(str, range(classes))), **settings)
    gate.weight.mul_(0.2)  # sums of many numbers would be sure of everything
    for seed in range(3):
        table = draw(seed, classes)
        leaves = torch.randint(EXITS + 1, (len(table),), generator=torch.Generator().manual_seed(9))
        wanted = told(gate, table, leaves)
        np.testing.assert_allclose(ask(gate, table, leaves), wanted, rtol=0, atol=1e-5)
        assert wanted[wanted >= 0].std() > 0.02  # or there was nothing to agree on


@pytest.mark.parametrize("settings", GATES[:5], ids=str)
def test_rows_that_are_no_numbers(settings: Any, ask: Any, make_gate: Any):
    gate = make_gate(EXITS + 1, tuple("abcde"), **settings)
    table = draw(1, 5, broken=0.03)
    leaves = torch.randint(EXITS + 1, (len(table),), generator=torch.Generator().manual_seed(9))
    wanted = told(gate, table, leaves)
    assert 0 < np.isnan(wanted).mean() < 1
    found = ask(gate, table, leaves)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4, equal_nan=True)


def test_every_feature_is_known():
    asked_in_torch = {"state", "change", "likeness", "last_depths", "last_doubts"}  # of generators
    assert {*CODES} | asked_in_torch == {name for name, _ in FEATURES.items()}
    of_states = {name for name, kind in FEATURES.items() if kind.of_steps} | {*OF_STATES, "depth"}
    assert {*OF_GENERATORS} == of_states
