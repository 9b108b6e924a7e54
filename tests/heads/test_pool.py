"""Exits that read the mean of a word's or text's tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import BertConfig, BertForTokenClassification

from tokenexit.backbones import adapt
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, Sentence, encode, pack
from tokenexit.heads import ExitHeads
from tokenexit.policies import Never, Policy

DEPTH = 3


class Keep(Policy):
    """Halts nobody and keeps what it was shown."""

    def __init__(self) -> None:
        self.hidden: dict[int, Any] = {}

    def step(self, signals: Any, state: Any) -> Any:
        self.hidden[signals.layer] = signals.hidden
        return Never().step(signals, state)


@pytest.fixture(scope="module")
def backbone() -> Any:
    torch.manual_seed(0)
    make: Any = BertConfig
    config = make(
        vocab_size=30, hidden_size=16, num_hidden_layers=DEPTH, num_attention_heads=2,
        intermediate_size=16, num_labels=2,
    )  # fmt: skip
    return adapt(BertForTokenClassification(config).double().eval())


def shown(backbone: Any, sentences: list[Sentence], pool: str) -> tuple[Any, Any, Any]:
    heads = ExitHeads({"name": "linear", "pool": pool}, (1, 2), 16, 2).double().eval()
    batch, keep, states = pack(sentences), Keep(), []
    with torch.no_grad():
        encode(backbone, heads, batch, PolicyVisitor(keep, batch.num_words, "cpu"), states=states)
    return keep.hidden, states, batch


TEXT = Sentence([2, 7, 8, 9, 3], [range(5)])
WORDS = Sentence([2, 7, 8, 9, 4, 3], [[1], [2, 3], [4]])


def test_the_mean_over_a_text_and_over_the_pieces_of_words(backbone):
    for sentence in (TEXT, WORDS):
        hidden, states, _ = shown(backbone, [sentence], "mean")
        for layer in (1, 2):
            expected = [states[layer - 1][list(rows)].mean(dim=0) for rows in sentence.word_rows]
            assert_close(hidden[layer], torch.stack(expected))


def test_the_first_by_default(backbone):
    hidden, states, _ = shown(backbone, [TEXT], "first")
    assert_close(hidden[1], states[0][:1])
    assert ExitHeads({"name": "linear"}, (1,), 16, 2).pool == "first"


def test_neighbours_do_not_matter(backbone):
    alone, _, _ = shown(backbone, [TEXT], "mean")
    together, _, batch = shown(
        backbone, [Sentence([2, *range(5, 20), 3], [range(17)]), TEXT], "mean"
    )
    place = list(batch.order).index(1)
    assert_close(together[1][place], alone[1][0])


def test_an_unknown_way():
    with pytest.raises(UserError, match=r"heads\.pool.*mean"):
        ExitHeads({"name": "linear", "pool": "meen"}, (1,), 16, 2)
