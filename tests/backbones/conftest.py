"""Tiny models of every registered family, and batches to run through them.

A test that asks for ``backbone`` runs for every registered model type, for the variants
below and for every attention implementation that the family has; one that asks for
``eager_backbone`` runs without the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForTokenClassification,
    PretrainedConfig,
)

from tokenexit.backbones import BACKBONES, Backbone, adapt

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


@dataclass
class Batch:
    """Padded token ids ``[B, M]`` with their mask and places."""

    input_ids: Tensor
    mask: Tensor
    positions: Tensor

    @property
    def real(self) -> Tensor:
        """True where a token is no padding, ``[B, M]``."""
        return self.mask.bool()


def _config(model_type: str, changes: dict[str, Any]) -> PretrainedConfig:
    config = BACKBONES.get(model_type).example_config(model_type)
    for name, value in {"num_labels": 5, **changes}.items():
        setattr(config, name, value)
    return config


def _build(model_type: str, changes: dict[str, Any], attention: str) -> Backbone:
    torch.manual_seed(0)
    config = _config(model_type, changes)
    model = AutoModelForTokenClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for weight in model.parameters():
            # As initialised, attention is all but uniform and would hide mistakes.
            weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
    return adapt(model.eval())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spread a test over families, variants and attention implementations."""
    cases = [(name, name, {}) for name, _ in BACKBONES.items()] + VARIANTS
    for fixture, attentions in [("backbone", ("eager", "sdpa")), ("eager_backbone", ("eager",))]:
        if fixture not in metafunc.fixturenames:
            continue
        params = []
        for name, model_type, changes in cases:
            model_class: Any = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[
                type(_config(model_type, changes))
            ]
            for attention in attentions:
                if attention == "eager" or model_class._supports_sdpa:
                    case = (model_type, changes, attention)
                    params.append(pytest.param(case, id=f"{name}-{attention}"))
        metafunc.parametrize(fixture, params, indirect=True)


@pytest.fixture
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """A fresh tiny model in its adapter, in eval mode."""
    return _build(*request.param)


@pytest.fixture
def eager_backbone(request: pytest.FixtureRequest) -> Backbone:
    """The same, eager attention only."""
    return _build(*request.param)


@pytest.fixture(params=[(19, 7, 12), (13, 13)], ids=["padded", "even"])
def batch(request: pytest.FixtureRequest) -> Batch:
    """Random sentences, padded on the right with an id that every family takes as padding."""
    lengths = torch.tensor(request.param)
    draw = torch.Generator().manual_seed(0)
    positions = torch.arange(int(lengths.max())).expand(len(lengths), -1)
    mask = (positions < lengths[:, None]).long()
    ids = torch.randint(5, 120, positions.shape, generator=draw)
    return Batch(ids.where(mask.bool(), 1), mask, positions)
