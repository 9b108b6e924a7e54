"""The gate itself."""

from __future__ import annotations

import math

import pytest
import torch

from tokenexit.context import ContextGate, GateConfig
from tokenexit.errors import UserError
from tokenexit.policies import index_state

CLASSES = ("O", "B-PER", "I-PER")


def exits_of(gate, table, threshold=0.5):
    rows, memory, found = torch.arange(len(table)), None, {}
    for exit, layer in enumerate(gate.config.exits):
        wrong, memory = gate.step(table.signals(exit, rows), memory)
        leave = wrong < threshold
        found.update(dict.fromkeys(rows[leave].tolist(), layer))
        rows, memory = rows[~leave], index_state(memory, ~leave)
    return [found.get(row, table.layers[-1]) for row in range(len(table))]


@pytest.mark.parametrize("inner", [0, 8])
def test_it_is_the_sum_it_says_it_is(inner, make_gate, make_table):
    gate, table = make_gate(4, CLASSES, inner=inner), make_table(3)
    numbers, _ = gate.numbers(table.signals(0, torch.arange(15)))
    assert numbers.shape == (15, gate.inputs)
    units = numbers @ gate.weight[0].T + gate.bias[0]
    score = units.relu() @ gate.out[0] + gate.out_bias[0] if inner else units[:, 0]
    wrong, _ = gate(table.signals(0, torch.arange(15)))
    torch.testing.assert_close(wrong, score.sigmoid())
    assert gate.macs == (gate.inputs + 1) * inner if inner else gate.inputs


def test_pieces_do_not_hear_of_each_other(make_gate, make_table):
    gate, table = make_gate(4, CLASSES, inner=8), make_table(6)
    together = exits_of(gate, table)
    assert len(set(together)) > 1
    for window in range(6):
        rows = slice(5 * window, 5 * window + 5)
        alone = type(table)(
            table.logits[:, rows], table.sequence[rows], table.position[rows], table.gold[rows],
            table.layers, table.classes,
        )  # fmt: skip
        assert exits_of(gate, alone) == together[rows]


def test_neighbours_and_history_are_looked_at(make_gate, make_table):
    table = make_table(40, exits=6)
    ways = [
        make_gate(6, CLASSES),
        make_gate(6, CLASSES, reach=0),
        make_gate(6, CLASSES, reach=3),
        make_gate(6, CLASSES, history=4),
    ]
    assert len({tuple(exits_of(gate, table)) for gate in ways}) == 4


def test_a_text_that_leaves_as_a_whole_has_no_neighbours(make_gate, make_table):
    gate = make_gate(4, CLASSES, unit="text")
    assert gate.inputs == 4
    _, memory = gate.step(make_table(2).signals(0, torch.arange(10)))
    assert memory[1] is None


def test_without_logits_no_head_is_computed(make_gate, make_table):
    gate = make_gate(4, CLASSES, features=("place", "length"), neighbours=("place",))
    signals = make_table(2).signals(0, torch.arange(10))
    gate.step(signals)
    assert not gate.of_logits
    assert "logits" not in signals.__dict__


def test_nan_trusts_nobody_and_stays_in_its_piece(make_gate, make_table):
    gate, table = make_gate(4, CLASSES, inner=8), make_table(4)
    before = exits_of(gate, table)
    table.logits[:, 7] = math.nan
    after = exits_of(gate, table)
    assert after[7] == 4
    assert (after[:5], after[10:]) == (before[:5], before[10:])


def test_an_exit_it_does_not_know(make_gate, make_table):
    gate = make_gate(4, CLASSES, exits=(2, 3))
    with pytest.raises(UserError, match=r"exits after layers \[2, 3\], not 1: fit it again"):
        gate.step(make_table(1).signals(0, torch.arange(5)))


def test_other_classes_than_it_was_fitted_to(make_gate, make_table):
    gate = make_gate(4, CLASSES, features=("probabilities",))
    with pytest.raises(UserError, match="fitted to 3 classes"):
        gate.step(make_table(1, classes=2).signals(0, torch.arange(5)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"features": ("entropie",)}, "Did you mean 'entropy'"),
        ({"features": ()}, "at least one feature"),
        ({"features": "entropy"}, "must be a list"),
        ({"neighbours": ("agreement",)}, "only what they last said"),
        ({"target": "agree"}, "Did you mean 'agreement'"),
        ({"reach": -1}, "reach must be a whole number from 0 to 16"),
        ({"inner": 1.5}, "inner must be a whole number"),
        ({"unit": "tokens"}, "Did you mean 'token'"),
        ({"features": ("projection",)}, "projection=16"),
        ({"features": ("last_depths",), "unit": "token", "reach": 0}, "reach=4, say"),
        ({"features": ("last_doubts",)}, "are not written one after the other"),
        ({"neighbours": ("last_depths",), "unit": "token"}, "are features, not neighbours"),
    ],
)
def test_settings_that_mean_nothing(changes, told):
    with pytest.raises(UserError, match=told):
        GateConfig(**{"exits": (1,), "num_layers": 2, "num_classes": 2, **changes})


def test_settings_are_plain_data(make_gate):
    config = make_gate(4, CLASSES, fingerprint={"a": [1.0, 2.0, 3.0]}).config
    assert GateConfig.from_json({**config.to_json(), "newer": 1}) == config
    with pytest.raises(UserError, match="incomplete"):
        GateConfig.from_json({"exits": [1]})


def test_nobody_trains_its_weights(make_gate):
    assert not list(make_gate(4, CLASSES).parameters())
    assert isinstance(make_gate(4, CLASSES, shared=True).weight, torch.Tensor)
    assert len(ContextGate(make_gate(4, shared=True).config).weight) == 1


def test_without_history_and_with_neighbours_that_tell_nothing(make_gate, make_table):
    """Whether there is one and whether it has left is still known."""
    settings = {"features": ("agreement", "margin"), "neighbours": (), "history": 0}
    gate, table = make_gate(5, CLASSES, num_classes=3, **settings), make_table(texts=2)
    numbers, memory = gate.numbers(table.signals(0, torch.arange(10)))
    assert numbers.shape == (10, gate.inputs) == (10, 5)
    stay = torch.arange(10) != 1
    later, _ = gate.numbers(table.signals(1, torch.arange(10)[stay]), index_state(memory, stay))
    assert numbers[0, 1:].tolist() == [0, 1, 0, 0]
    assert later[0, 1:].tolist() == [0, 1, 0, 1]
