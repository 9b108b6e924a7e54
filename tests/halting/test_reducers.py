"""The engine takes out the rows that the plain reference takes out, text by text."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import policies, reducers
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, Sentence, encode, encode_dense, pack
from tokenexit.reducers import FATES, REDUCERS, Reducer

EXAMPLES = [example for _, cls in REDUCERS.items() for example in cls.examples()]
FAMILIES = [name for name, _ in BACKBONES.items()]
OF_STATES = {"deberta-v2": 1e-5}
OF_WORDS = ("copy", "restore")


def texts(lengths: Any = (14, 9, 2, 9)) -> list[Sentence]:
    """As a classifier reads them: one word of all rows."""
    draw = torch.Generator().manual_seed(3)
    drawn = [torch.randint(5, 30, (n,), generator=draw).tolist() for n in lengths]
    return [
        Sentence(
            [2, *ids, 3], [range(len(ids) + 2)], item=len(ids), depths=[9, *(n % 5 for n in ids), 9]
        )
        for ids in drawn
    ]


def outcome(network: Any, sentences: Any, reducer: Any, policy: Any, dense: bool, **options: Any):
    """Scores, exit layers and the states after each layer."""
    batch = pack(sentences)
    visitor = PolicyVisitor(policy, batch.num_words, "cpu")
    given = network.backbone, network.heads, batch, visitor
    with torch.no_grad():
        if dense:
            states = encode_dense(*given, reducer=reducer, **options)
            work = ()
        else:
            states = options.pop("states", None)
            work = encode(*given, reducer=reducer, states=states, **options)
    decided = visitor.decisions()
    return decided.logits, decided.exit_layers, states, work


def check(network: Any, sentences: Any, reducer: Reducer, policy: Any, **options: Any) -> Any:
    dense = outcome(network, sentences, reducer, policy, True, **options)
    engine = outcome(network, sentences, reducer, policy, False, **options)
    assert torch.equal(engine[1], dense[1])
    tolerance = OF_STATES.get(network.backbone.config.model_type, 1e-9)
    assert_close(engine[0], dense[0], atol=tolerance, rtol=tolerance)
    return engine


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[repr(one) for one in EXAMPLES])
def test_texts_and_words_agree_with_the_reference(network, sentences, number):
    """In every family, each time with another fate; all of them below."""
    turn = number + FAMILIES.index(network.backbone.config.model_type)
    reducer = replace(EXAMPLES[number], fate=FATES[turn % len(FATES)])
    *_, work = check(network, texts(), reducer, policies.Never())
    assert work[3].active - work[3].spared < work[0].active
    reducer = replace(reducer, fate=reducer.fate if reducer.fate in OF_WORDS else "restore")
    check(network, sentences[:4], reducer, policies.Never())


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("reducer", EXAMPLES, ids=repr)
@pytest.mark.parametrize("model_type", ["bert", "modernbert"])
def test_exits_and_reducers_together(build, sentences, model_type, reducer, fate):
    network, reducer = build(model_type), replace(reducer, fate=fate)
    means = replace(network, heads=copy.deepcopy(network.heads))
    means.heads.pool = "mean"
    for reading in (network, means):
        _, layers, *_ = check(reading, texts(), reducer, policies.Hash(1, 5))
        assert len(layers.unique()) > 1
    if fate in OF_WORDS:
        for halted in ("copy", "drop"):
            check(network, sentences, reducer, policies.Entropy(0.5), halted=halted)


@pytest.mark.parametrize("fate", ["drop", "merge"])
def test_words_that_would_have_no_state_are_refused(build, sentences, fate):
    with pytest.raises(UserError, match='fate="restore"'):
        check(build("bert"), sentences, reducers.CoreSet(0.5, fate=fate), policies.Never())


def test_a_row_put_back_is_as_it_entered_the_layer(build, sentences):
    """Bit for bit, whatever the layers after it do."""
    network, states = build("bert"), []
    reducer = reducers.Significance(1.0, (100, 3, 100), layers=(2,))
    outcome(network, sentences, reducer, policies.Never(), False, states=states)
    batch = pack([sentence for sentence in sentences if sentence.word_rows])
    frozen = (states[0] == states[-1]).all(dim=-1)
    assert frozen.sum() >= sum(max(length - 3, 0) for length in batch.lengths)


@dataclass(frozen=True)
class Everybody(Reducer):
    """Keeps all rows."""

    fate: str = "drop"
    place: str = "before"

    def keep(self, rows: Any, state: Any) -> Any:
        """All."""
        return torch.ones_like(rows.pinned), state


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("place", ["before", "within"])
def test_who_keeps_all_changes_nothing(build, place, fate):
    for reducer in (Everybody(fate, place), reducers.Significance(1.0, (400,), fate=fate)):
        for policy in (policies.Never(), policies.Patience(1)):
            plain = outcome(build("bert"), texts(), None, policy, False)
            found = outcome(build("bert"), texts(), reducer, policy, False)
            assert torch.equal(found[0], plain[0])
            assert found[3] == plain[3]
