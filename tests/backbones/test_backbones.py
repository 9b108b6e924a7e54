"""Every registered backbone keeps its promises; what is none is refused."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForTokenClassification

from tokenexit.backbones import BACKBONES, adapt
from tokenexit.backbones.bert import BertBackbone
from tokenexit.errors import UserError
from tokenexit.testing import check_backbone


def test_a_backbone_keeps_its_promises(family):
    model_type, changes = family
    check_backbone(model_type, **changes)


class Biased(BertBackbone):
    """Adds to the scores and may be absorbed."""

    def bias(self, index, queries, keys, query_pos, key_pos):
        return torch.zeros_like(queries @ keys.mT)


class Unscaled(BertBackbone):
    """Forgets the scale of the scores."""

    def scaling(self, index):
        return 1.0


class Dear(BertBackbone):
    """Counts the head twice."""

    def classify_cost(self):
        return 2 * super().classify_cost()


class Headless(BertBackbone):
    """Trains the whole network as its head."""

    def final_head(self):
        return self.model


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Biased, "bias"),
        (Unscaled, "look at scaling"),
        (Dear, "and torch counts"),
        (Headless, r"final_head\(\) has"),
    ],
)
def test_a_broken_backbone_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(BACKBONES, "_members", {**BACKBONES._members, "bert": broken})
    with pytest.raises(AssertionError, match=rf"(?s){broken.__name__}\('bert'\).*{told}"):
        check_backbone(broken)


def test_unknown_family_is_refused_with_the_known_ones() -> None:
    config = AutoConfig.for_model("gpt2", vocab_size=120, n_embd=32, n_layer=1, n_head=4)
    with pytest.raises(UserError, match="'gpt2'") as caught:
        adapt(AutoModelForTokenClassification.from_config(config))
    assert all(name in str(caught.value) for name, _ in BACKBONES.items())


def test_deberta_with_a_convolution_is_refused() -> None:
    config = BACKBONES.get("deberta-v2").example_config("deberta-v2")
    config.conv_kernel_size = 3
    with pytest.raises(UserError, match=r"conv_kernel_size=3.*deberta-v3"):
        adapt(AutoModelForTokenClassification.from_config(config))
