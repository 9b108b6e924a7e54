"""``predict`` by depth: texts in, the same texts out, in order and as they are read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import torch

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.errors import UserError

TEXTS = [" ".join(f"w{5 + (7 * n + 3 * m) % 80}" for m in range(1 + n % 6)) for n in range(11)]
SETTINGS: dict[str, Any] = {"max_new_tokens": 8, "num_beams": 1}
BY_DEPTH: dict[str, Any] = {"batching": "by_depth", "batch_size": 2}


@pytest.fixture(scope="module")
def writer(build: Any, words: Any) -> Any:
    """A model with a tokenizer."""
    network = copy.deepcopy(build("t5").network)
    model = ExitModelForSeq2SeqLM.from_transformers(network, words(network.config.pad_token_id))
    model.configure(policy=policies.Hash(1, 4), generation=SETTINGS)
    return model.eval()


def test_the_same_texts_in_order(writer):
    expected = writer.predict(TEXTS, batch_size=2)
    assert writer.predict(TEXTS, **BY_DEPTH) == expected
    assert list(writer.predict_iter(TEXTS, max_wait=2, slots=5, **BY_DEPTH)) == expected
    assert list(writer.predict_iter(TEXTS, batch_size=2, batching="fixed")) == expected
    assert len({layer for text in expected for layer in text.exit_layers}) >= 3


def test_texts_are_read_while_others_are_written(writer):
    read: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            read.append(1)
            yield TEXTS[len(read) % len(TEXTS)]

    results = writer.predict_iter(endless(), slots=4, **BY_DEPTH)
    assert len(list(islice(results, 5))) == 5
    # At most all slots anew for each text that had to wait for an earlier one, and a block ahead.
    assert len(read) <= 5 + 2 * 4 * SETTINGS["max_new_tokens"]


def test_what_was_read_before_a_failure_is_answered(writer):
    def broken() -> Iterator[str]:
        yield from TEXTS[:3]
        raise OSError("the disk is gone")

    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(writer.predict_iter(broken(), **BY_DEPTH))
    assert found == writer.predict(TEXTS[:3])


def test_nothing_to_read(writer):
    assert writer.predict([], **BY_DEPTH) == []
    assert list(writer.predict_iter([], **BY_DEPTH)) == []


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"batching": "deep"}, "deep.*by_depth, fixed"),
        ({"max_wait": 3}, 'max_wait has a meaning with batching="by_depth" only'),
        ({"slots": 3}, 'slots has a meaning with batching="by_depth" only'),
        ({**BY_DEPTH, "slots": 1}, "slots is how many texts are in flight"),
        ({**BY_DEPTH, "max_wait": -2}, "max_wait is a number of rounds"),
        ({**BY_DEPTH, "batch_size": 0}, "batch_size must be a whole number from 1"),
        ({**BY_DEPTH, "num_beams": 2}, "greedy search, not num_beams=2"),
        ({**BY_DEPTH, "do_sample": True}, "greedy search, not do_sample=True"),
        ({**BY_DEPTH, "pending": "parallel"}, "pending='parallel' has no meaning with it"),
        ({**BY_DEPTH, "pending": "verify"}, "pending='verify' has no meaning with it"),
        ({**BY_DEPTH, "max_time": 3.0}, "max_time has no meaning"),
        ({**BY_DEPTH, "streamer": "a streamer"}, "streamer has no meaning"),
        ({**BY_DEPTH, "encoder_no_repeat_ngram_size": 2}, "encoder_no_repeat_ngram_size"),
        ({**BY_DEPTH, "stop_strings": ["w7"]}, "stop_strings has no meaning"),
        ({**BY_DEPTH, "decoder_input_ids": torch.tensor([[5]])}, "decoder_input_ids"),
        ({**BY_DEPTH, "output_scores": True}, "has no output_scores"),
        ({**BY_DEPTH, "policy": policies.PerSentence(policies.Margin(0.5))}, "no meaning"),
        ({**BY_DEPTH, "max_new_token": 3}, "no argument 'max_new_token'.*max_new_tokens"),
    ],
    ids=str,
)
def test_bad_input(writer, told, said):
    with pytest.raises(UserError, match=said):
        writer.predict(TEXTS, **told)


def test_a_runtime_that_plans_on_the_device(writer):
    expected = writer.predict(TEXTS)
    try:
        writer.use(runtime="static")
        assert writer.predict(TEXTS, **BY_DEPTH) == expected
        results = writer.predict_iter(TEXTS, **BY_DEPTH)
        assert next(results) == expected[0]
        results.close()
        assert writer.predict(TEXTS, **BY_DEPTH) == expected
    finally:
        writer.use(runtime="eager")


def test_a_text_longer_than_the_model(build, words):
    network = copy.deepcopy(build("bart").network)
    model = ExitModelForSeq2SeqLM.from_transformers(network, words(network.config.pad_token_id))
    most = model.decoder.max_length
    with pytest.raises(UserError, match=f"places for {most} tokens"):
        model.eval().predict(
            TEXTS[:2], max_new_tokens=most + 5, eos_token_id=None, num_beams=1, **BY_DEPTH
        )
