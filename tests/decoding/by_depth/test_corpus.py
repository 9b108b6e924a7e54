"""Rows that wait for others write what they write in a batch, token for token, depth for depth."""

from __future__ import annotations

from typing import Any

import pytest

from tokenexit import policies

POLICIES = (
    "hash assigned margin saturation gate context depth patience two_stage decay shortlist nested "
    "never"
).split()
STEPS = 16


@pytest.fixture
def same(corpus: Any, ends: Any, one_by_one: Any, by_depth: Any) -> Any:
    """Compares; returns how deep tokens went, and what computed them."""

    def check(model: Any, policy: Any, search: Any = None, **told: Any) -> Any:
        settings = {"max_new_tokens": STEPS, "eos_token_id": ends(model, corpus), **(search or {})}
        pending = told.get("pending", "lazy")
        expected = one_by_one(model, corpus, policy, pending=pending, **settings)
        texts, written, lanes = by_depth(model, corpus, policy, **settings, **told)
        assert texts == expected
        depths = {layer for _, layers in texts for layer in layers}
        return depths, written, lanes

    return check


@pytest.mark.parametrize("name", ["assigned", "margin"])
def test_texts_and_depths_of_every_family(model, same, choose, name):
    depths, written, _ = same(model, choose(model, name))
    assert len(depths) >= 3
    assert written.longest_wait > 0  # somebody waited, or nothing was put to the test


@pytest.mark.parametrize("name", POLICIES)
def test_texts_and_depths_under_further_policies(some_model, same, choose, name):
    depths, _, _ = same(some_model, choose(some_model, name))
    assert len(depths) >= (1 if name == "never" else 2)


def test_under_entropy(some_model, same):
    depths, _, _ = same(some_model, policies.Entropy(0.6))
    assert len(depths) >= 2


@pytest.mark.parametrize("name", ["hash", "context"])
@pytest.mark.parametrize("pending", ["lazy", "eager"])
@pytest.mark.parametrize(
    "told",
    [
        {"max_wait": 0},
        {"max_wait": 3},
        {"max_wait": 1000},
        {"batch_size": 1},
        {"batch_size": 1, "slots": 1},
        {"slots": 3},
        {"slots": 40},
        {"batch_size": 40},
    ],
    ids=str,
)
def test_whatever_the_schedule(some_model, same, choose, pending, told, name):
    same(some_model, choose(some_model, name), pending=pending, **told)


@pytest.mark.parametrize(
    "search",
    [
        {"repetition_penalty": 1.8},
        {"no_repeat_ngram_size": 2},
        {"min_new_tokens": 6},
        {"forced_bos_token_id": 11, "forced_eos_token_id": 12},
        {"eos_token_id": None, "max_new_tokens": 40},
        {"max_new_tokens": 1},
    ],
    ids=lambda search: next(iter(search)),
)
def test_with_further_arguments(some_model, same, search):
    same(some_model, policies.Hash(1, 4), search)


def test_the_work_of_rows_that_waited_is_that_of_rows_that_did_not(
    some_model, same, choose, ends, corpus
):
    policy = choose(some_model, "margin")
    _, _, lanes = same(some_model, policy)
    found = some_model.generate(
        **corpus.inputs,
        policy=policy,
        pending="lazy",
        return_dict_in_generate=True,
        max_new_tokens=STEPS,
        eos_token_id=ends(some_model, corpus),
    )
    for name in ("rows", "pairs", "cross_projected"):
        # The whole batch reads the sources of a layer together, whoever gets there.
        assert (lanes.work.of(name) <= found.work.of(name)).all()
    assert (lanes.work.of("rows") == found.work.of("rows")).all()
    assert sorted(lanes.work.source_lengths) == sorted(found.work.source_lengths)


def test_tokens_of_sources_may_leave_as_well(
    some_model, corpus, ends, one_by_one, by_depth, choose
):
    settings = {
        "max_new_tokens": STEPS,
        "eos_token_id": ends(some_model, corpus),
        "encoder_policy": policies.Hash(1, 2),
    }
    policy = choose(some_model, "hash")
    texts, _, lanes = by_depth(some_model, corpus, policy, **settings)
    assert texts == one_by_one(some_model, corpus, policy, **settings)
    assert sum(work.active for work in lanes.work.encoder) > 0
