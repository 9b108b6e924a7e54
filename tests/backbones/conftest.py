"""Tiny models of every registered family, and batches to run through them.

A test that asks for ``backbone`` runs for every registered model type, for the variants
below and for every attention implementation that the family has; one that asks for
``eager_backbone`` runs without the last.
"""

from __future__ import annotations

from typing import Any

import pytest

from tokenexit.backbones import BACKBONES, Backbone
from tokenexit.testing.networks import LENGTHS, Batch, attentions, make_batch, tiny_backbone

# Same family, another path through its code: (name, model type, changes to its example).
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("electra-unprojected", "electra", {"embedding_size": 32}),
    ("albert-inner", "albert", {"num_hidden_layers": 2, "inner_group_num": 2}),
    ("albert-uneven", "albert", {"num_hidden_groups": 3}),
    ("modernbert-biased", "modernbert", {"attention_bias": True, "mlp_bias": True}),
    ("deberta-own-tables", "deberta-v2", {"share_att_key": False}),
    ("deberta-no-buckets", "deberta-v2", {"position_buckets": -1, "norm_rel_ebd": "none"}),
    ("deberta-clamped", "deberta-v2", {"position_buckets": -1, "max_relative_positions": 6}),
    ("deberta-c2p", "deberta-v2", {"pos_att_type": ["c2p"]}),
    ("deberta-c2p-own", "deberta-v2", {"pos_att_type": ["c2p"], "share_att_key": False}),
    ("deberta-p2c-own", "deberta-v2", {"pos_att_type": ["p2c"], "share_att_key": False}),
    (
        "deberta-absolute",
        "deberta-v2",
        {"relative_attention": False, "position_biased_input": True},
    ),
    ("deberta-narrow", "deberta-v2", {"embedding_size": 16, "type_vocab_size": 2}),
]


def cases() -> list[tuple[str, str, dict[str, Any]]]:
    """Every registered family as it is, and the variants."""
    return [(name, name, {}) for name, _ in BACKBONES.items()] + VARIANTS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spread a test over families, variants and attention implementations."""
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", [pytest.param(case[1:], id=case[0]) for case in cases()])
    for fixture, kinds in [("backbone", ("eager", "sdpa")), ("eager_backbone", ("eager",))]:
        if fixture not in metafunc.fixturenames:
            continue
        params = []
        for name, model_type, changes in cases():
            for attention in kinds:
                if attention in attentions(model_type):
                    case = (model_type, changes, attention)
                    params.append(pytest.param(case, id=f"{name}-{attention}"))
        metafunc.parametrize(fixture, params, indirect=True)


@pytest.fixture
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """A fresh tiny model in its adapter, in eval mode."""
    return tiny_backbone(*request.param)


@pytest.fixture
def eager_backbone(request: pytest.FixtureRequest) -> Backbone:
    """The same, eager attention only."""
    return tiny_backbone(*request.param)


@pytest.fixture(params=LENGTHS, ids=["padded", "even"])
def batch(request: pytest.FixtureRequest) -> Batch:
    """Random sentences, padded on the right with an id that every family takes as padding."""
    return make_batch(request.param)
