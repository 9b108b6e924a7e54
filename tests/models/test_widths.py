"""A model of fewer heads and neurons: the same everywhere, saved as a plain checkpoint."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification

from tokenexit import ExitModelForTokenClassification, kernels
from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.widths import Widths

TEXTS = [["ada", "was", "born", "in", "london", "and", "paris", "."], ["paris"], [], ["she", "."]]
SOME = Widths(((1, 3), 2, (0, 2, 3), 1), (24, (*range(1, 48, 2),), 8, (47,)))


@pytest.fixture
def own(make_tagger: Any) -> Any:
    return make_tagger()


def same(one: Any, other: Any, atol: float = 1e-5) -> None:
    assert np.array_equal(one.exit_layer, other.exit_layer)
    np.testing.assert_allclose(one.log_probs, other.log_probs, atol=atol)


def test_less_is_computed_until_none_is_told(own):
    plain = own.trace(TEXTS, policy="never")
    whole = own.mac_ratio(plain)
    found = own.use_widths(0.5).trace(TEXTS, policy="never")
    assert own.widths == Widths(0.5, 0.5)
    assert np.abs(found.log_probs - plain.log_probs).max() > 0.01
    assert own.mac_ratio(found) < 0.6 * whole
    wide = own.inference_backbone.channels(0)
    assert (wide.heads.out.in_features, wide.neurons.out.in_features) == (16, 24)
    same(own.use_widths(None).trace(TEXTS, policy="never"), plain)
    assert own.widths is None


def test_a_folder_has_full_size_and_transformers_answers_the_same(own, tmp_path: Path):
    before = {name: weight.clone() for name, weight in own.network.state_dict().items()}
    wanted = own.use_widths(SOME).trace(TEXTS, policy="never")
    own.save_pretrained(tmp_path)
    assert all(torch.equal(w, before[n]) for n, w in own.network.state_dict().items())
    told = json.loads((tmp_path / "exit_config.json").read_text())["widths"]
    assert told == SOME.to_config()
    loaded = ExitModelForTokenClassification.from_pretrained(tmp_path)
    assert loaded.widths == SOME
    same(loaded.trace(TEXTS, policy="never"), wanted)
    assert loaded.inference_backbone.neurons(2) == 8
    same(loaded.use_widths(None).trace(TEXTS, policy="never"), wanted)  # all are there, at zero
    plain = AutoModelForTokenClassification.from_pretrained(tmp_path)
    ids = loaded.tokenizer([TEXTS[0]], is_split_into_words=True, return_tensors="pt")
    scores = plain.eval()(**ids).logits[0, 1:-1].log_softmax(-1).detach().numpy()
    first = [n for n, word in enumerate(ids.word_ids()[1:-1]) if word == 1]
    np.testing.assert_allclose(scores[first[0]], wanted.log_probs[1], atol=1e-5)


@pytest.mark.parametrize("precision", ["int8", "bf16", "fp32"])
def test_every_precision_multiplies_with_smaller_matrices(own, tmp_path: Path, precision):
    wanted = own.use_widths(SOME).trace(TEXTS, policy="entropy:0.5")
    own.save_pretrained(tmp_path)
    own.use(precision)
    found = own.trace(TEXTS, policy="never")
    backbone = own.inference_backbone
    assert [backbone.channels(n).neurons.out.in_features for n in range(4)] == [24, 24, 8, 1]
    if kernels.library() is not None:
        assert own.runtime_used == "kernels"
        compiled = own.compiled(backbone)
        assert [layer.query.weight.shape[0] for layer in compiled._layers] == [16, 16, 24, 8]
    zeros = ExitModelForTokenClassification.from_pretrained(tmp_path).use_widths(None)
    whole = zeros.use(precision).trace(TEXTS, policy="never")
    same(found, whole, {"fp32": 1e-5, "bf16": 0.02, "int8": 0.2}[precision])
    if precision == "fp32":
        same(own.trace(TEXTS, policy="entropy:0.5"), wanted)


def test_a_change_of_the_whole_is_seen(own):
    own.use_widths(0.5)
    before = own.trace(TEXTS, policy="never")
    with torch.no_grad():
        own.backbone.channels(1).neurons.out.weight[:, 0].mul_(-3)
    assert np.abs(own.trace(TEXTS, policy="never").log_probs - before.log_probs).max() > 1e-3
    own.use("int8", free=True)
    own.trace(TEXTS, policy="never")
    assert own.backbone.channels(1).neurons.out.weight.is_meta
    with pytest.raises(UserError, match="cannot be used with other widths"):
        own.use_widths(None)


def test_reducers_exits_and_the_static_runtime_go_with_them(own):
    wanted = own.use_widths(SOME).trace(TEXTS, policy="entropy:0.5")
    assert len(set(wanted.exit_layer)) > 1
    same(own.use(runtime="static").trace(TEXTS, policy="entropy:0.5"), wanted)
    own.use(runtime="eager").use_reducer("significance:0.5")
    found = own.trace(TEXTS, policy="never")
    assert own.mac_ratio(found) < own.mac_ratio(wanted)


def test_training_goes_through_what_is_kept(own):
    """The loss is that of the logits which inference gives."""
    own.use_widths(0.5).double()
    gold = [[0] * len(text) for text in TEXTS if text]
    windows = own.encoder.encode([text for text in TEXTS if text], gold)
    part = MicroBatch([w.sentence for w in windows], [*range(len(windows))], sum(map(len, gold)))
    losses = EncoderLossModule(own.eval(), from_config("single"))(part, 0, 0.9, 0)
    expected = -own.trace(TEXTS, policy="never").log_probs[:, 0].sum()
    assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-5)
    losses.total.backward()
    block = own.backbone.channels(0).neurons
    grads = block.into[0].weight.grad, block.out.weight.grad.T
    assert all(grad[:24].any(dim=1).all() and not grad[24:].any() for grad in grads)


def test_a_copy_has_a_view_of_its_own(own):
    own.use_widths(0.5)
    seen, copied = own.used_backbone, copy.deepcopy(own)
    assert own.used_backbone is seen
    assert copied.used_backbone is not seen
    narrow = copied.used_backbone.channels(0).neurons.out
    assert narrow.whole is copied.backbone.channels(0).neurons.out
    assert own.eval().used_backbone is own.used_backbone is not own.train().used_backbone


def test_what_does_not_fit_is_refused_and_changes_nothing(own):
    for told, why in ((2.0, "at most 1"), ({"heads": [1, 1]}, "2 entries, and the network 4")):
        with pytest.raises(UserError, match=why):
            own.use_widths(told)
    assert own.widths is None
