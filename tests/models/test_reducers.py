"""A model that takes rows out of texts: the same everywhere, saved, and refused where it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tokenexit import ExitModelForTokenClassification, kernels, policies, reducers
from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule

TEXTS = [["ada", "was", "born", "in", "london", "and", "paris", "."], ["paris"], [], ["she", "."]]
HALF = reducers.Significance(0.5)


@pytest.fixture
def own(make_tagger: Any) -> Any:
    return make_tagger()


def same(one: Any, other: Any) -> None:
    assert np.array_equal(one.exit_layer, other.exit_layer)
    np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-5)


def test_rows_are_taken_out_whatever_the_batch_and_put_back_by_none(own):
    plain = own.trace(TEXTS, policy="never")
    own.use_reducer("significance:0.5")
    assert own.reducer == HALF
    found = own.trace(TEXTS, policy="never")
    assert np.abs(found.log_probs - plain.log_probs).max() > 0.01
    assert own.mac_ratio(found) < own.mac_ratio(plain)
    same(own.trace(TEXTS, policy="never", batch_size=1), found)
    table = own.exit_table(TEXTS)
    np.testing.assert_allclose(table.logits[-1].log_softmax(-1), found.log_probs, atol=1e-5)
    same(own.use_reducer(None).trace(TEXTS, policy="never"), plain)
    assert own.reducer is None


def test_it_is_saved_and_loaded(own, tmp_path: Path):
    own.save_pretrained(tmp_path / "plain")
    assert "reducer" not in json.loads((tmp_path / "plain/exit_config.json").read_text())
    own.use_reducer(reducers.ByPolicy(policies.Hash(1, 3))).save_pretrained(tmp_path / "own")
    loaded = ExitModelForTokenClassification.from_pretrained(tmp_path / "own")
    assert loaded.reducer == own.reducer
    same(loaded.trace(TEXTS, policy="never"), own.trace(TEXTS, policy="never"))
    with pytest.raises(UserError, match=r"static.*does not know reducers"):
        ExitModelForTokenClassification.from_pretrained(tmp_path / "own", runtime="static")


def test_what_cannot_be_is_refused(own):
    with pytest.raises(UserError, match='fate="restore"'):
        own.use_reducer("core_set")
    with pytest.raises(UserError, match="Did you mean"):
        own.use_reducer("significanc")
    assert own.reducer is None
    own.use(runtime="static")
    with pytest.raises(UserError, match=r"static.*does not know reducers"):
        own.use_reducer(HALF)
    own.configure(reducer=HALF.to_config())
    with pytest.raises(UserError, match=r"static.*does not know reducers"):
        own.trace(TEXTS, policy="never")


@pytest.mark.skipif(kernels.library() is None, reason="no kernels here")
def test_kernels_give_way(own):
    own.use_reducer(HALF)
    wanted = own.trace(TEXTS, policy="never")
    own.use("fp32")
    assert own.products == "torch: kernels do not know reducers"
    assert own.runtime_used == "eager"
    same(own.trace(TEXTS, policy="never"), wanted)


def test_training_takes_out_the_same_rows(own):
    """The loss is that of the logits which inference gives."""
    own.use_reducer(HALF).double()
    gold = [[0] * len(text) for text in TEXTS if text]
    windows = own.encoder.encode([text for text in TEXTS if text], gold)
    part = MicroBatch([w.sentence for w in windows], [*range(len(windows))], sum(map(len, gold)))
    losses = EncoderLossModule(own.eval(), from_config("single"))(part, 0, 0.9, 0)
    expected = -own.trace(TEXTS, policy="never").log_probs[:, 0].sum()
    assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-5)
    losses.total.backward()
    assert torch.isfinite(own.network.get_input_embeddings().weight.grad).all()
