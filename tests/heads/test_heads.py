"""Exit heads: built from settings, refusing what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.gates import LinearGate
from tokenexit.heads import HEADS, ExitHead, ExitHeads, build_head, check_exit_layers


def test_inner_width_of_the_mlp():
    assert build_head({"name": "mlp"}, 16, 5).macs == 16 * 8 + 8 * 5
    assert build_head({"name": "mlp", "inner": 3}, 16, 5).macs == 16 * 3 + 3 * 5
    assert build_head({"name": "mlp", "inner": None}, 1, 5).macs == 1 + 5


def test_the_plainest_is_the_default():
    assert type(build_head({}, 16, 5)) is HEADS.get("linear")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "lienar"}, r"exit head 'lienar'\. Did you mean 'linear'"),
        ({"name": "linear", "drop_out": 0.1}, r"'drop_out'\. Did you mean 'dropout'"),
        ({"name": "linear", "width": 3}, "setting of head linear 'width'"),
        ({"name": "linear", "inner": 3}, "setting of head linear 'inner'"),
        *(({"dropout": bad}, "dropout must be a number") for bad in (1, 1.5, -0.1, "x", None)),
        *(({"dropout": bad}, "dropout must be a number") for bad in (True, float("nan"))),
        *(({"name": "mlp", "inner": bad}, "inner width") for bad in (0, -4, 2.5, "8", True)),
    ],
)
def test_bad_settings(config, message):
    with pytest.raises(UserError, match=message):
        build_head(config, 16, 5)


def test_one_head_an_exit_and_a_gate_on_demand():
    heads = ExitHeads({"name": "mlp", "inner": 3}, (1, 3), 16, 5)
    assert heads.layers == (1, 3)
    assert heads.gate is None
    assert heads.at(1) is not heads.at(3)
    assert isinstance(heads.at(3), ExitHead)
    assert not heads.at(1)(torch.ones(1, 16)).equal(heads.at(3)(torch.ones(1, 16)))
    with pytest.raises(KeyError):
        heads.at(2)
    assert ExitHeads({"gate": False}, (1,), 16, 5).gate is None
    assert ExitHeads({}, (), 16, 5).layers == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_gate_gives_probabilities(dtype):
    gate: Any = ExitHeads({"gate": True}, (1,), 16, 5).to(dtype).gate
    wrong = gate.score(torch.randn(7, 16, dtype=dtype) * 100)
    assert (wrong.shape, wrong.dtype) == ((7,), torch.float32)
    assert ((wrong >= 0) & (wrong <= 1)).all()
    assert wrong.isfinite().all()


def test_weights_come_back_by_name():
    torch.manual_seed(0)
    config = {"name": "mlp", "gate": True}
    first, second = (ExitHeads(config, (2, 4), 16, 5).eval() for _ in range(2))
    second.load_state_dict(first.state_dict())
    rows = torch.randn(3, 16)
    assert second.at(4)(rows).equal(first.at(4)(rows))
    assert isinstance(first.gate, LinearGate)
    assert isinstance(second.gate, LinearGate)
    assert second.gate.score(rows).equal(first.gate.score(rows))
    with pytest.raises(RuntimeError, match="exits"):
        ExitHeads(config, (2, 3), 16, 5).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("given", "made"),
    [(None, (1, 2, 3)), ([], (3,)), ([2], (2, 3)), ((3, 1, 1), (1, 3)), (range(1, 3), (1, 2, 3))],
)
def test_exit_layers_are_sorted_and_completed(given, made):
    assert check_exit_layers(given, 3) == made


@pytest.mark.parametrize("layers", [[0], [4], [-1], [1.0], ["1"], [True], [None]])
def test_layers_that_do_not_exist(layers):
    with pytest.raises(UserError, match=r"does not exist.*3 layers.*1\.\.3"):
        check_exit_layers(layers, 3)


@pytest.mark.parametrize("layers", ["12", 2.5, True])
def test_exit_layers_are_a_list(layers):
    with pytest.raises(UserError, match="must be a list of layers"):
        check_exit_layers(layers, 3)
