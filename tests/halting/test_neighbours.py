"""What a word gets does not depend on who else is in the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.halting import HALTED
from tokenexit.policies import POLICIES, Policy

FIRST: list[Policy] = [cls.examples()[0] for _, cls in POLICIES.items() if "word" in cls.units]


def by_sentence(outcome: Any, sentences: Any) -> list[tuple[Tensor, Tensor]]:
    """Exit layers and logits of each sentence."""
    sizes = [len(sentence.word_rows) for sentence in sentences]
    return list(zip(outcome.exit_layers.split(sizes), outcome.logits.split(sizes), strict=True))


def check(network: Any, got: Any, expected: Any) -> None:
    assert torch.equal(got[0], expected[0])
    # DeBERTa computes parts of its attention in single precision.
    tolerance = 1e-5 if network.backbone.config.model_type == "deberta-v2" else 1e-10
    assert_close(got[1], expected[1], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("policy", FIRST, ids=repr)
def test_order_and_batch_size_do_not_matter(network, policy, sentences, run):
    together = by_sentence(run(network, sentences, policy), sentences)
    order = [6, 1, 3, 7, 0, 4, 2, 5]
    for numbers in (order[:3], order[3:]):
        part = [sentences[number] for number in numbers]
        got = by_sentence(run(network, part, policy), part)
        for mine, number in zip(got, numbers, strict=True):
            check(network, mine, together[number])


@pytest.mark.parametrize("halted", HALTED)
@pytest.mark.parametrize("policy", [policies.Entropy(0.3), policies.Window()], ids=repr)
def test_alone_is_as_together(network, policy, halted, sentences, run):
    worded = [sentence for sentence in sentences if sentence.word_rows]
    outcome = run(network, worded, policy, halted=halted)
    assert outcome.spread > 1
    for sentence, expected in zip(worded, by_sentence(outcome, worded), strict=True):
        alone = run(network, [sentence], policy, halted=halted)
        check(network, (alone.exit_layers, alone.logits), expected)


def test_padding_of_the_reference_does_not_matter(network, sentences, run):
    policy, short = policies.Entropy(0.3), sentences[:2]
    padded = run(network, sentences, policy, dense=True)
    words = sum(len(sentence.word_rows) for sentence in short)
    alone = run(network, short, policy, dense=True)
    check(
        network,
        (alone.exit_layers, alone.logits),
        (padded.exit_layers[:words], padded.logits[:words]),
    )


def test_the_same_sentence_many_times_over(network, sentences, run):
    """Sentences of one length, which need no index, next to others, which do."""
    policy, sentence = policies.Entropy(0.3), sentences[1]
    alone = run(network, [sentence], policy)
    crowd = [sentence, sentences[4], *[sentence] * 3, sentences[2]]
    parts = by_sentence(run(network, crowd, policy), crowd)
    for place in (0, 2, 3, 4):
        check(network, parts[place], (alone.exit_layers, alone.logits))
