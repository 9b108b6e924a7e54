"""Drafts that leave early and are verified: full-depth greedy search, token for token."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.errors import UserError


@pytest.fixture(scope="module")
def batch(make_sources: Any) -> Any:
    """Six sources, five of them padded."""
    return make_sources((9, 4, 7, 2, 3, 5), seed=3)


@pytest.fixture(scope="module")
def both(ends: Any, batch: Any) -> Any:
    """The same at full depth, and verified."""

    def call(model: Any, policy: Any, **settings: Any) -> Any:
        own = {"max_new_tokens": 10, "num_beams": 1, "eos_token_id": ends(model, batch)}
        draft = {"draft_tokens": settings.pop("draft_tokens")} if "draft_tokens" in settings else {}
        settings = {**own, **settings, "return_dict_in_generate": True}
        full = model.generate(**batch.inputs, policy="never", **settings)
        found = model.generate(**batch.inputs, policy=policy, pending="verify", **settings, **draft)
        assert torch.equal(found.sequences, full.sequences)
        assert torch.equal(found.exit_layers > 0, full.exit_layers > 0)
        return found

    return call


def test_verified_texts_are_those_of_full_depth(model, both, choose):
    found = both(model, choose(model, "margin"))
    assert found.acceptance.passes >= 1
    assert 0 <= found.acceptance.accepted <= found.acceptance.drafted


@pytest.mark.parametrize("name", ["hash", "saturation", "gate", "context", "decay", "nested"])
def test_drafts_of_further_policies(some_model, both, choose, name):
    found = both(some_model, choose(some_model, name), max_new_tokens=24)
    assert found.acceptance.drafted > 0


@pytest.mark.parametrize("draft", [1, 3, 8])
def test_each_row_keeps_its_own_drafts(some_model, both, ends, batch, draft, choose):
    """As many passes as the row that needs most of them alone, whatever the others' luck is."""
    settings = {
        "max_new_tokens": 40, "num_beams": 1, "draft_tokens": draft, "pending": "verify",
        "eos_token_id": ends(some_model, batch), "return_dict_in_generate": True,
    }  # fmt: skip
    for policy in (policies.AssignedDepth(2), choose(some_model, "margin")):
        together = both(some_model, policy, max_new_tokens=40, draft_tokens=draft)
        alone = [
            some_model.generate(**batch.alone(row).inputs, policy=policy, **settings)
            for row in range(len(batch.input_ids))
        ]
        fared = [one.acceptance for one in alone]
        assert together.acceptance.passes == max(one.passes for one in fared)
        assert together.acceptance.accepted == sum(one.accepted for one in fared)
        assert together.acceptance.drafted == sum(one.drafted for one in fared)
        for row, one in zip(together.exit_layers, alone, strict=True):
            assert row[: one.exit_layers.shape[1]].equal(one.exit_layers[0])
        assert len({one.passes for one in fared}) > 1


def test_a_row_ends_by_a_rule_of_the_callers_own(some_model, both):
    """Without padding all rows write until all have ended."""
    third = lambda tokens, _: tokens[:, -1] % 3 == 0  # noqa: E731
    for more in ({}, {"eos_token_id": None, "pad_token_id": None}):
        both(some_model, policies.Hash(1, 4), stopping_criteria=[third], **more)


@pytest.mark.parametrize(
    "settings",
    [
        {"draft_tokens": 1},
        {"draft_tokens": 3},
        {"repetition_penalty": 1.8},
        {"no_repeat_ngram_size": 2},
        {"min_new_tokens": 6},
        {"forced_bos_token_id": 11, "forced_eos_token_id": 12},
        {"eos_token_id": None, "max_new_tokens": 40},
        {"max_new_tokens": 1},
        {"decoder_input_ids": torch.tensor([[2, 5 + n, 30] for n in range(6)])},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_verified_texts_with_further_arguments(some_model, both, settings):
    found = both(some_model, policies.Hash(1, 4), **settings)
    assert found.acceptance.drafted or settings == {"max_new_tokens": 1}


def test_without_exits_nothing_is_drafted(build, both):
    bare = ExitModelForSeq2SeqLM.from_transformers(build("t5").network, exit_layers=[])
    found = both(bare, policies.Hash(1, 4))
    assert (found.acceptance.drafted, found.acceptance.rate) == (0, 1.0)
    assert {*found.exit_layers.flatten().tolist()} == {0, 4}


@pytest.mark.parametrize(
    "settings",
    [{"num_beams": 2}, {"do_sample": True}, {"streamer": object()}, {"output_scores": True}],
    ids=lambda settings: next(iter(settings)),
)
def test_other_searches_are_refused(build, batch, settings):
    with pytest.raises(UserError, match=f'pending="verify".*{next(iter(settings))}'):
        build("t5").generate(**batch.inputs, pending="verify", **settings)
