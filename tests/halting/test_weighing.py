"""Rows that are weighed: as taken out at 0 and 1, and as the plain reference in between."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import policies, reducers
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, Sentence, encode, encode_dense, pack
from tokenexit.reducers import REDUCERS, Kept, RowWeights, Softened

EXAMPLES = [example for _, cls in REDUCERS.items() for example in cls.examples()]
FAMILIES = [name for name, _ in BACKBONES.items()]
FATES = ("copy", "drop", "restore")
OF_STATES = {"deberta-v2": 1e-5}


def texts(lengths: Any = (9, 2, 7)) -> list[Sentence]:
    """As a classifier reads them: one word of all rows."""
    draw = torch.Generator().manual_seed(3)
    return [
        Sentence(
            [2, *torch.randint(5, 30, (n,), generator=draw).tolist(), 3], [range(n + 2)], item=n
        )
        for n in lengths
    ]


def outcome(network: Any, sentences: Any, policy: Any, dense: bool = False, **how: Any) -> Any:
    """Scores and exit layers."""
    batch = pack(sentences)
    visitor = PolicyVisitor(policy, batch.num_words, "cpu")
    run = encode_dense if dense else encode
    run(network.backbone, network.heads, batch, visitor, **how)
    decided = visitor.decisions()
    return decided.logits, decided.exit_layers


def same(network: Any, first: Any, second: Any) -> None:
    tolerance = OF_STATES.get(network.backbone.config.model_type, 1e-9)
    assert torch.equal(first[1], second[1])
    assert_close(first[0], second[0], atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_weights_of_nothing_and_one_are_rows_taken_out(network, sentences):
    """Every reducer in every family, each with another fate; texts, and words of some."""
    for number, example in enumerate(EXAMPLES):
        turn = number + FAMILIES.index(network.backbone.config.model_type)
        reducer = replace(example, fate=FATES[turn % 3])
        given = network, texts(), policies.Never()
        same(network, outcome(*given, weights=Kept(reducer)), outcome(*given, reducer=reducer))
    reducer = replace(reducers.Scored(), fate="restore")
    for policy in (policies.Never(), policies.Entropy(0.5)):
        given = network, sentences[:4], policy
        found = outcome(*given, weights=Softened(reducer, "straight"))
        same(network, found, outcome(*given, reducer=reducer))
        same(network, found, outcome(*given, reducer=reducer, dense=True))


@pytest.mark.parametrize("fate", FATES)
@torch.no_grad()
def test_exits_that_read_means(build, fate):
    """Rows that are gone count nothing, others as the state in which they stopped."""
    network = build("bert")
    network = replace(network, heads=copy.deepcopy(network.heads))
    network.heads.pool = "mean"
    given, soft = (network, texts(), policies.Hash(1, 5)), reducers.Scored(fate=fate)
    straight = outcome(*given, weights=Softened(soft, "straight"))
    same(network, straight, outcome(*given, reducer=soft))
    between = {"weights": Softened(soft, "soft")}
    same(network, outcome(*given, **between), outcome(*given, **between, dense=True))


class Ranked(RowWeights):
    """The more attention the more weight: PoWER-BERT's search, or inside the attention."""

    place, reads = "within", "attention"

    def __init__(self, fate: Any, scales: bool) -> None:
        self.fate, self.scales = fate, scales

    def weigh(self, rows: Any, before: Any, state: Any) -> Any:
        """Share of the largest."""
        received = rows.attention(own=False)
        most = received.new_zeros(len(rows.lengths)).scatter_reduce(0, rows.text, received, "amax")
        share = received / most[rows.text]
        return share if self.scales else share * before, state


@torch.no_grad()
def test_weights_between_agree_with_the_reference(network, sentences):
    turn = FAMILIES.index(network.backbone.config.model_type)
    weighing = [Ranked(FATES[turn % 3], False), Ranked("restore", True)]
    weighing += [Softened(reducers.Scored(fate=fate), "soft") for fate in FATES]
    for weights in weighing:
        given = network, texts(), policies.Never()
        found = outcome(*given, weights=weights)
        same(network, found, outcome(*given, weights=weights, dense=True))
        assert not torch.allclose(found[0], outcome(*given)[0], atol=1e-3)
    weights = Softened(reducers.Scored(fate="restore"), "soft")
    given = network, sentences[:4], policies.Entropy(0.5)
    same(network, outcome(*given, weights=weights), outcome(*given, weights=weights, dense=True))


@pytest.mark.parametrize("mode", ["soft", "straight"])
def test_scorers_learn_also_from_rows_without_weight(build, mode):
    network = build("bert")
    heads = copy.deepcopy(network.heads)
    heads.scorers.requires_grad_(True)
    for fate in FATES:
        given = replace(network, heads=heads), texts(), policies.Never()
        scores = outcome(*given, weights=Softened(reducers.Scored(fate=fate), mode))[0]
        slopes = torch.autograd.grad(scores.sum(), [*heads.scorers.at(3).parameters()])
        assert all(slope.isfinite().all() for slope in slopes)
        assert slopes[0].any()


def test_words_that_would_have_no_state_are_refused(build, sentences):
    weights = Softened(reducers.Scored(fate="drop"), "soft")
    with pytest.raises(UserError, match='fate="restore"'):
        outcome(build("bert"), sentences, policies.Never(), weights=weights)
    weights = Softened(reducers.Scored(fate="merge"), "soft")
    with pytest.raises(UserError, match="cannot be weighed"):
        outcome(build("bert"), sentences, policies.Never(), weights=weights)
