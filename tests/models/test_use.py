"""``use``: inference in another precision, around weights that stay what they are."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

from tokenexit import (
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
    policies,
)
from tokenexit.errors import UserError
from tokenexit.training import TrainConfig, train

TEXTS = [["ada", "was", "born", "in", "london", "."], ["paris"], ["she", "and", "zeppelin"]]


@pytest.fixture
def tagger(make_tagger: Any) -> Any:
    """One of its own for each test."""
    return make_tagger()


def said(model: Any) -> np.ndarray:
    return model.tag(TEXTS, policy=policies.Never()).log_probs


def first_weight(model: Any) -> nn.Parameter:
    return model.network.bert.encoder.layer[1].output.dense.weight


# --- the contract ------------------------------------------------------------------------------


def test_it_is_the_same_model(tagger: Any) -> None:
    assert (tagger.precision, tagger.runtime) == ("fp32", "auto")
    assert tagger.use(precision="int8", runtime="eager") is tagger
    assert (tagger.precision, tagger.runtime) == ("int8", "eager")
    assert tagger.use() is tagger
    assert (tagger.precision, tagger.runtime) == ("int8", "eager")


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_other_numbers_near_the_same(tagger: Any, precision: str) -> None:
    before = said(tagger)
    found = said(tagger.use(precision=precision))
    assert not np.array_equal(found, before)
    assert np.abs(found - before).max() < 0.3
    assert np.array_equal(said(tagger), found)


def test_back_to_what_it_was(tagger: Any) -> None:
    before = said(tagger)
    weights = {name: weight.clone() for name, weight in tagger.state_dict().items()}
    said(tagger.use(precision="int8"))
    # Compiled kernels, where there are some, add up in another order.
    assert np.allclose(said(tagger.use(precision="fp32")), before, atol=1e-4)
    assert all(torch.equal(weight, weights[name]) for name, weight in tagger.state_dict().items())


def test_weights_of_another_type_have_their_own_name(tagger: Any) -> None:
    assert tagger.to(torch.bfloat16).precision == "bf16"


@pytest.mark.parametrize(
    "wrong", [{"precision": "int4"}, {"precision": "INT8"}, {"runtime": "static_"}]
)
def test_unknown_names_change_nothing(tagger: Any, wrong: dict[str, str]) -> None:
    tagger.use(precision="int8", runtime="eager")
    with pytest.raises(UserError, match=r"Unknown (precision|runtime)"):
        tagger.use(**wrong)
    assert (tagger.precision, tagger.runtime) == ("int8", "eager")


def test_fp16_is_refused_on_a_cpu(tagger: Any) -> None:
    with pytest.raises(UserError, match="fp16 is served on a GPU"):
        tagger.use(precision="fp16")
    assert tagger.precision == "fp32"


def test_int8_is_refused_on_a_gpu(tagger: Any) -> None:
    with pytest.raises(UserError, match="int8 is served on a CPU, and the model is on meta"):
        tagger.to("meta").use(precision="int8")


def test_a_model_that_is_moved_away_says_so_at_the_next_call(tagger: Any) -> None:
    said(tagger.use(precision="int8"))
    tagger.network.to("meta")
    with pytest.raises(UserError, match="int8 is served on a CPU"):
        said(tagger)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(tagger: Any, bad: float) -> None:
    first_weight(tagger).data[3, 4] = bad
    with pytest.raises(UserError, match=r"network.bert.encoder.layer.1.output.dense.weight is not"):
        tagger.use(precision="int8")


def test_heads_that_are_no_numbers_are_named(tagger: Any) -> None:
    next(tagger.heads.parameters()).data[0] = float("nan")
    with pytest.raises(UserError, match=r"heads\.exits\.1\.project\.weight"):
        tagger.use(precision="bf16")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_must_be_float32(tagger: Any, dtype: torch.dtype) -> None:
    with pytest.raises(UserError, match=r"made from float32 weights.*model.float"):
        tagger.to(dtype).use(precision="int8")


def test_quantised_already_is_refused(tagger: Any) -> None:
    tagger.network = torch.ao.quantization.quantize_dynamic(
        tagger.network, {nn.Linear}, dtype=torch.qint8
    )
    with pytest.raises(UserError, match="quantised already"):
        tagger.use(precision="int8")


def test_a_family_may_be_served_in_less(tagger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(tagger.backbone), "precisions", ("fp32", "bf16"))
    with pytest.raises(UserError, match="'bert' are not served in int8: choose fp32 or bf16"):
        tagger.use(precision="int8")
    tagger.use(precision="bf16")


def test_autocast_is_refused(tagger: Any) -> None:
    tagger.use(precision="int8")
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(UserError, match="autocast"):
        said(tagger)


def test_a_policy_of_another_precision_is_told_once(
    tagger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told = "calibrated in fp32 and is used in int8"
    tagger.settings = dataclasses.replace(tagger.settings, calibration={"precision": "fp32"})
    for policy, times in ((policies.Never(), 0), (policies.MaxProb(0.9), 1)):
        tagger.configure(policy=policy)
        tagger.tag(TEXTS)
        tagger.use(precision="int8").tag(TEXTS)
        tagger.tag(TEXTS)
        assert caplog.text.count(told) == times
        tagger.use(precision="fp32")


# --- training ----------------------------------------------------------------------------------


def test_training_is_refused_and_possible_again(tagger: Any, tmp_path: Path) -> None:
    windows = tagger.encoder.encode(TEXTS, [[0] * len(text) for text in TEXTS])
    given: Any = {
        "sentences": [window.sentence for window in windows],
        "config": TrainConfig(max_steps=1, batch_size=3),
        "accelerator": Accelerator(cpu=True),
        "folder": tmp_path,
    }
    tagger.use(precision="int8")
    with pytest.raises(UserError, match=r'model\.use\(precision="fp32"\) to train'):
        train(tagger, **given)
    before = said(tagger)
    train(tagger.use(precision="fp32"), **given)
    assert not np.array_equal(said(tagger.use(precision="int8")), before)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_gradients_are_refused(tagger: Any, precision: str) -> None:
    backbone = tagger.use(precision=precision).inference_backbone
    rows = torch.randn(3, 32, requires_grad=True)
    with pytest.raises(UserError, match="for inference: it has no gradients"):
        backbone.queries(0, rows, torch.arange(3))


# --- folders and copies ------------------------------------------------------------------------


def test_the_folder_holds_plain_weights(tagger: Any, tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path / "plain")
    found = said(tagger.use(precision="int8"))
    tagger.save_pretrained(tmp_path / "used")
    plain, used = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "used"))
    assert plain.keys() == used.keys()
    assert all(torch.equal(plain[name], used[name]) for name in plain)
    again = ExitModelForTokenClassification.from_pretrained(tmp_path / "used")
    assert again.precision == "fp32"
    loaded = ExitModelForTokenClassification.from_pretrained(
        tmp_path / "used", precision="int8", runtime="eager"
    )
    assert (loaded.precision, loaded.runtime) == ("int8", "eager")
    assert np.array_equal(said(loaded), found)


def test_runtimes_run_alike_and_are_not_saved(tagger: Any, tmp_path: Path) -> None:
    found = said(tagger.use(precision="int8", runtime="auto"))
    assert np.array_equal(said(tagger.use(runtime="eager")), found)
    tagger.save_pretrained(tmp_path)
    assert "eager" not in "".join(path.read_text() for path in tmp_path.glob("exit*.json"))
    assert ExitModelForTokenClassification.from_pretrained(tmp_path).runtime == "auto"
    with pytest.raises(UserError, match="Did you mean 'eager'"):
        ExitModelForTokenClassification.from_pretrained(tmp_path, runtime="EAGER")


def test_half_weights_on_disk_are_read_as_float32(tagger: Any, tmp_path: Path) -> None:
    tagger.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded = ExitModelForTokenClassification.from_pretrained(tmp_path, precision="int8")
    assert loaded.dtype == torch.float32
    with pytest.raises(UserError, match="made from float32 weights"):
        ExitModelForTokenClassification.from_pretrained(
            tmp_path, precision="int8", dtype="bfloat16"
        )


def test_unknown_precisions_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for kind in (
        ExitModelForTokenClassification,
        ExitModelForSequenceClassification,
        ExitModelForSeq2SeqLM,
    ):
        with pytest.raises(UserError, match="Unknown precision"):
            kind.from_pretrained(tmp_path / "nowhere", precision="int3")


@pytest.mark.parametrize("how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_compute_the_same(tagger: Any, how: Any) -> None:
    found = said(tagger.use(precision="int8"))
    copied = how(tagger)
    assert copied.precision == "int8"
    assert np.array_equal(said(copied), found)
    first_weight(copied).data.mul_(2)
    assert not np.array_equal(said(copied), found)
    assert np.array_equal(said(tagger), found)


# --- letting go of weights ---------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_weights_that_are_let_go(tagger: Any, tmp_path: Path, precision: str) -> None:
    found = said(tagger.use(precision=precision))
    assert np.array_equal(said(tagger.use(free=True)), found)
    assert first_weight(tagger).is_meta
    assert not tagger.network.get_input_embeddings().weight.is_meta
    assert said(tagger.use(precision=precision, free=True)) is not None
    for what, do in {
        "saved": lambda: tagger.save_pretrained(tmp_path / "new"),
        "used in fp32": lambda: tagger.use(precision="fp32"),
        "copied": lambda: copy.deepcopy(tagger),
        "moved or cast": lambda: tagger.double(),
    }.items():
        with pytest.raises(UserError, match=f"cannot be {what}.*from_pretrained"):
            do()
    assert np.array_equal(said(tagger), found)
    first_weight(tagger).requires_grad_(False)
    tagger.network.bert.encoder.layer[1].output.dense = nn.Linear(48, 32)
    with pytest.raises(UserError, match="cannot be changed"):
        said(tagger)


def test_nothing_to_let_go_in_float32(tagger: Any) -> None:
    with pytest.raises(UserError, match="free=True lets go"):
        tagger.use(free=True)
    with pytest.raises(UserError, match="free=True lets go"):
        tagger.use(precision="fp32", free=True)
