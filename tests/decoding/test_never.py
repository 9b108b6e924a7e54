"""A policy that never halts gives transformers' own output, through every kind of ``generate``."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteriaList,
)
from transformers.generation import BaseStreamer, LogitsProcessor, StoppingCriteria

from tokenexit.decoders import DECODERS
from tokenexit.decoding import Decoding

STEPS = 16


class Favour(LogitsProcessor):
    """Words that depend on the place and the word before, a little likelier."""

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        place = input_ids.shape[1]
        words = torch.arange(scores.shape[1])
        return scores + ((words + input_ids[:, -1:] * 7 + place * 3) % 11 == 0)


class AfterSomeWords(StoppingCriteria):
    """Each row ends when it has written so many different words."""

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.tensor([len(row.unique()) > 4 for row in input_ids])


class Recorder(BaseStreamer):
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def put(self, value: Any) -> None:
        self.given.append(value.tolist())

    def end(self) -> None:
        self.given.append("end")


def even_words(batch: int, tokens: Any) -> list[int]:
    """``prefix_allowed_tokens_fn``: another set of words for each source."""
    return list(range(2, 120, 2 + batch % 2))


SAMPLE = {"do_sample": True, "top_k": 20, "temperature": 1.3}
CORE: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampling": SAMPLE,
    "beams": {"num_beams": 3},
    "beam sampling": {"num_beams": 3, **SAMPLE},
}
FURTHER: dict[str, dict[str, Any]] = {
    "two beams, all returned": {"num_beams": 2, "num_return_sequences": 2},
    "beams, long": {"num_beams": 4, "length_penalty": 2.0, "num_return_sequences": 3},
    "beams, short": {"num_beams": 4, "length_penalty": -1.0, "early_stopping": True},
    "beams, exhaustive": {"num_beams": 3, "early_stopping": "never"},
    "samples": {**SAMPLE, "num_return_sequences": 3},
    "top p": {"do_sample": True, "top_p": 0.7, "top_k": 0},
    "beam samples": {"num_beams": 3, **SAMPLE, "num_return_sequences": 2},
    "repetition penalty": {"repetition_penalty": 1.8},
    "no repeated pairs": {"no_repeat_ngram_size": 2},
    "no repeated words, beams": {"no_repeat_ngram_size": 1, "num_beams": 3},
    "bad words": {"bad_words_ids": [[7], [25], [8, 9]]},
    "at least": {"min_new_tokens": 6},
    "at least, beams": {"min_new_tokens": 6, "num_beams": 2},
    "forced ends": {"forced_bos_token_id": 11, "forced_eos_token_id": 12, "max_new_tokens": 7},
    "forced ends, beams": {"forced_bos_token_id": 11, "forced_eos_token_id": 12, "num_beams": 3},
    "own processor": {"logits_processor": LogitsProcessorList([Favour()])},
    "processors, beams": {
        "logits_processor": LogitsProcessorList([Favour(), RepetitionPenaltyLogitsProcessor(1.4)]),
        "num_beams": 3,
    },
    "own criterion": {"stopping_criteria": StoppingCriteriaList([AfterSomeWords()])},
    "own criterion, beams": {
        "stopping_criteria": StoppingCriteriaList([AfterSomeWords()]),
        "num_beams": 2,
    },
    "allowed words": {"prefix_allowed_tokens_fn": even_words},
    "allowed words, beams": {"prefix_allowed_tokens_fn": even_words, "num_beams": 3},
    "one token": {"max_new_tokens": 1},
    "one token, beams": {"max_new_tokens": 1, "num_beams": 3, "num_return_sequences": 2},
    "by length": {"max_new_tokens": None, "max_length": 9},
    "nobody ends": {"eos_token_id": None},
}


@pytest.fixture(scope="module")
def batch(make_sources: Any) -> Any:
    """Six sources, five of them padded."""
    return make_sources((9, 4, 7, 2, 3, 5), seed=3)


@pytest.fixture(scope="module")
def compare(batch: Any, transformers_generate: Any, ends: Any) -> Any:
    """Generate both ways and compare; returns ours."""

    def call(model: Any, sources: Any = None, **settings: Any) -> Any:
        sources = batch if sources is None else sources
        own = {"num_beams": 1, "do_sample": False, "max_new_tokens": STEPS}
        settings = {**own, "eos_token_id": ends(model, batch), **settings}
        wanted = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}
        torch.manual_seed(4)
        expected = transformers_generate(model, sources, **settings, **wanted)
        torch.manual_seed(4)
        found = model.generate(**sources.inputs, policy="never", **settings, **wanted)
        assert torch.equal(found.sequences, expected.sequences)
        if settings["num_beams"] > 1:
            assert_close(found.sequences_scores, expected.sequences_scores)
            assert torch.equal(found.beam_indices, expected.beam_indices)
        return found, expected

    return call


def lengths(found: Any) -> list[int]:
    """Tokens of each row, the end included."""
    return (found.exit_layers > 0).sum(dim=1).tolist()


@pytest.mark.parametrize("settings", CORE.values(), ids=CORE)
def test_generate_equals_transformers(model, compare, settings):
    found, _ = compare(model, **settings)
    assert {*found.exit_layers.flatten().tolist()} <= {0, 4}
    if settings in (CORE["greedy"], CORE["sampling"]):  # beams seldom end so early
        assert len({*lengths(found)}) >= 3


@pytest.mark.parametrize(
    ("settings", "family"),
    zip(FURTHER.values(), cycle(name for name, _ in DECODERS.items()), strict=False),
    ids=FURTHER,
)
def test_generate_equals_transformers_with_further_arguments(build, compare, settings, family):
    found, expected = compare(build(family), **settings)
    assert len(found.logits) == len(expected.logits)
    assert found.exit_layers.shape[1] == found.sequences.shape[1] - 1


def test_scores_equal_while_a_row_lives(model, compare):
    found, expected = compare(model)
    lives = found.exit_layers > 0
    for step, (mine, theirs) in enumerate(zip(found.logits, expected.logits, strict=True)):
        assert_close(mine[lives[:, step]], theirs[lives[:, step]], atol=1e-5, rtol=1e-5)
        assert not mine[~lives[:, step]].any()


def test_ended_rows_leave_the_computation(model, compare, monkeypatch):
    kept: list[int] = []
    store = Decoding._store

    def spy(self: Any, rows: Any, resident: Any) -> None:
        kept.append(len(rows))
        store(self, rows, resident)

    monkeypatch.setattr(Decoding, "_store", spy)
    found, _ = compare(model)
    ended = lengths(found)
    assert len({*ended}) >= 3
    assert found.work.of("rows").tolist() == [sum(ended)] * 4
    assert kept
    assert kept[-1] < len(ended)
    assert kept == sorted(kept, reverse=True)


def test_left_padding(model, batch, compare):
    """As the model itself takes it: absolute places count the padding."""
    count = batch.mask.sum(dim=1, keepdim=True)
    index = (torch.arange(9) + count) % 9  # what stood on the right comes first
    turned = type(batch)(
        batch.input_ids.gather(1, index), batch.mask.gather(1, index), batch.tokens
    )
    assert turned.mask[:, -1].all()
    compare(model, turned)
    compare(model, turned, num_beams=2)


@pytest.mark.parametrize("settings", CORE.values(), ids=CORE)
def test_prompts_of_several_tokens(some_model, batch, compare, settings):
    start = some_model.network.generation_config.decoder_start_token_id
    ends = some_model.network.config.eos_token_id  # an end within the prompt ends nothing
    prompt = torch.tensor([[start, ends, 20 + n, 30] for n in range(6)])
    found, _ = compare(some_model, decoder_input_ids=prompt, **settings)
    assert torch.equal(found.sequences[:, :4], prompt)
    assert found.exit_layers.shape[1] == found.sequences.shape[1] - 4
    assert found.exit_layers[:, 0].all()


def test_prompts_without_the_start(some_model, compare):
    found, _ = compare(some_model, decoder_input_ids=torch.tensor([[20], [21]] * 3))
    start = some_model.network.generation_config.decoder_start_token_id
    assert found.sequences[:, :2].tolist() == [[start, 20], [start, 21]] * 3


def test_streamers_hear_the_same(some_model, batch, transformers_generate, ends):
    settings = {"max_new_tokens": 9, "eos_token_id": ends(some_model, batch)}
    mine, theirs = Recorder(), Recorder()
    transformers_generate(some_model, batch, streamer=theirs, **settings)
    some_model.generate(**batch.inputs, streamer=mine, **settings)
    assert mine.given == theirs.given
    assert mine.given[-1] == "end"


def test_settings_may_come_in_one_object(some_model, batch, transformers_generate, ends):
    defaults: Any = some_model.network.generation_config
    config = GenerationConfig(
        max_new_tokens=9,
        num_beams=2,
        eos_token_id=ends(some_model, batch),
        pad_token_id=defaults.pad_token_id,
        decoder_start_token_id=defaults.decoder_start_token_id,
    )
    expected = some_model.network.generate(
        **batch.inputs, generation_config=config, use_cache=False
    )
    assert torch.equal(some_model.generate(**batch.inputs, generation_config=config), expected)


def test_eager_attention_in_single_precision(build, batch, compare):
    for family in ("t5", "bart", "pegasus"):
        compare(build(family, "eager", torch.float32))


def test_prepacked_weights_and_tied_vocabularies(build, batch, compare):
    for family in ("mt5", "marian", "mbart"):
        model = build(family, "sdpa", torch.float32, tied=True)
        assert model.inference_decoder is not model.decoder
        compare(model)
        compare(model, num_beams=2)


def test_without_a_mask_padding_is_not_read(some_model, batch, ends):
    pad = some_model.network.config.pad_token_id
    ids = batch.input_ids.where(batch.mask.bool(), pad)
    settings = {"max_new_tokens": 8, "eos_token_id": ends(some_model, batch)}
    expected = some_model.generate(ids, batch.mask, **settings)
    assert torch.equal(some_model.generate(ids, **settings), expected)
