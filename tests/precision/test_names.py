"""Names of precisions and runtimes, and where each is served."""

from __future__ import annotations

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.precision import check_place, check_precision, check_runtime, precision_of


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16", "int8"])
def test_a_precision_is_itself(name: str) -> None:
    assert check_precision(name) == name


def test_the_nearest_name_is_given() -> None:
    with pytest.raises(UserError, match=r"precision 'int4'.*'int8'"):
        check_precision("int4")
    with pytest.raises(UserError, match=r"runtime 'eagre'.*'eager'"):
        check_runtime("eagre")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("INT8", "int8"), ("Int8", "int8"), ("FP32", "fp32"), ("fp-32", "fp32"), ("BF16", "bf16")],
)
def test_capitals_are_no_other_name(given: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"precision '{given}'. Did you mean '{meant}'"):
        check_precision(given)


@pytest.mark.parametrize(
    ("precision", "device", "word"), [("int8", "cuda", "on a CPU"), ("fp16", "cpu", "on a GPU")]
)
def test_what_is_not_served_there_is_refused(precision: str, device: str, word: str) -> None:
    with pytest.raises(UserError, match=word):
        check_place(precision, torch.device(device))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_others_are_served_everywhere(device: str) -> None:
    for precision in ("fp32", "bf16"):
        check_place(precision, torch.device(device))


def test_weights_have_a_precision() -> None:
    kinds = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
    assert [precision_of(kind) for kind in kinds] == ["fp32", "bf16", "fp16", "fp32"]
