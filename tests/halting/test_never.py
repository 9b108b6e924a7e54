"""A policy that never halts gives the transformers model's own output."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tokenexit.halting import pack
from tokenexit.policies import Never

CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}
EXACT: dict[str, Any] = {"atol": 0.0, "rtol": 0.0}


@torch.no_grad()
def model_output(network: Any, sentences: Any) -> tuple[Tensor, list[Tensor]]:
    """What the plain model says of a padded batch, words in the order given.

    Returns:
        Logits of the first sub-words ``[W, C]``, and the states of all real tokens after every
        layer, sentences laid end to end as ``pack`` does, ``[T, H]``.
    """
    lengths = [len(sentence.input_ids) for sentence in sentences]
    pad = network.backbone.config.pad_token_id
    ids = torch.full((len(sentences), max(lengths)), pad)
    mask = torch.zeros_like(ids)
    for row, sentence in enumerate(sentences):
        ids[row, : lengths[row]] = torch.tensor(sentence.input_ids)
        mask[row, : lengths[row]] = 1
    out = network.backbone.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    first = [
        out.logits[row, rows[0]]
        for row, sentence in enumerate(sentences)
        for rows in sentence.word_rows
    ]
    order = pack(sentences).order
    states = [
        torch.cat([hidden[row, : lengths[row]] for row in order])
        for hidden in out.hidden_states[1:]
    ]
    return torch.stack(first), states


def check_states(network: Any, got: list[Tensor], expected: list[Tensor], **close: Any) -> None:
    assert len(got) == len(expected) == network.backbone.num_layers
    for mine, theirs in zip(got[:-1], expected[:-1], strict=True):
        assert_close(mine, theirs, **close)
    # The model reports its last states as the head sees them.
    assert_close(network.backbone.finish(got[-1]), expected[-1], **close)


def test_reference_is_the_model_bit_for_bit_under_eager_attention(eager_network, sentences, run):
    # Sentences without words never arrive at an exit, but run along all the same.
    logits, states = model_output(eager_network, sentences)
    dense = run(eager_network, sentences, Never(), dense=True)
    assert_close(dense.logits, logits, **EXACT)
    check_states(eager_network, dense.states, states, **EXACT)
    assert (dense.exit_layers == eager_network.backbone.num_layers).all()


@pytest.mark.parametrize("absorb", [True, False])
def test_engine_is_the_model_under_eager_attention(eager_network, sentences, run, absorb):
    logits, _ = model_output(eager_network, sentences)
    assert_close(run(eager_network, sentences, Never(), absorb=absorb).logits, logits, **CLOSE)


@pytest.mark.parametrize("absorb", [True, False])
def test_engine_is_the_model_under_sdpa(sdpa_network, sentences, run, absorb):
    logits, _ = model_output(sdpa_network, sentences)
    got = run(sdpa_network, sentences, Never(), absorb=absorb)
    assert_close(got.logits, logits, **CLOSE)
    assert (got.exit_layers == sdpa_network.backbone.num_layers).all()


def test_reference_is_the_model_under_sdpa(sdpa_network, sentences, run):
    logits, states = model_output(sdpa_network, sentences)
    dense = run(sdpa_network, sentences, Never(), dense=True)
    assert_close(dense.logits, logits, **CLOSE)
    check_states(sdpa_network, dense.states, states, **CLOSE)


def test_states_of_the_engine_are_the_hidden_states_of_the_model(sdpa_network, sentences, run):
    worded = [sentence for sentence in sentences if sentence.word_rows]
    _, expected = model_output(sdpa_network, worded)
    check_states(
        sdpa_network, run(sdpa_network, worded, Never(), states=[]).states, expected, **CLOSE
    )


def test_recording_states_changes_nothing(network, sentences, run):
    recorded = run(network, sentences, Never(), states=[], absorb=False)
    plain = run(network, sentences, Never(), absorb=False)
    assert_close(recorded.logits, plain.logits, atol=1e-9, rtol=0.0)
    # Without a record, the top layer runs for the rows that decide and for no other.
    assert plain.work[-1].active == len(plain.exit_layers) < recorded.work[-1].active
