"""Networks made of some layers of others: transformers runs them, and loads them as its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification

from tokenexit.backbones import adapt
from tokenexit.errors import UserError
from tokenexit.models.fresh.truncate import chosen_layers, keep_layers


def logits(model: Any, batch: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=batch.input_ids, attention_mask=batch.mask).logits


def by_hand(backbone: Any, kept: list[int], batch: Any) -> torch.Tensor:
    """The kept layers of the whole model, one after the other."""
    with torch.no_grad():
        hidden = backbone.embed(batch.input_ids, batch.positions)
        context = backbone.context(hidden, batch.mask)
        for layer in kept:
            hidden = backbone.layer(layer - 1, hidden, context)
        return backbone.classify(backbone.finish(hidden))


@pytest.mark.parametrize("kept", [[1, 2], [1, 3]])
def test_it_runs_the_kept_layers_and_plain_transformers_loads_it(
    eager_backbone, batch, kept, tmp_path
):
    whole = eager_backbone.model
    before = logits(whole, batch)
    if getattr(whole.config, "inner_group_num", 1) > 1 and kept == [1, 3]:
        with pytest.raises(UserError, match="each group whole"):
            keep_layers(whole, kept)
        return
    smaller = keep_layers(whole, kept)
    assert adapt(smaller).num_layers == 2
    found = logits(smaller, batch)
    expected = by_hand(eager_backbone, kept, batch)
    torch.testing.assert_close(found[batch.real], expected[batch.real], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found[batch.real], before[batch.real], atol=1e-2)
    smaller.save_pretrained(tmp_path)
    again = AutoModelForTokenClassification.from_pretrained(
        tmp_path, attn_implementation="eager"
    ).eval()
    assert torch.equal(logits(again, batch)[batch.real], found[batch.real])
    assert torch.equal(logits(whole, batch), before)  # left as it was


def test_keeping_all_layers_changes_nothing(eager_backbone):
    assert keep_layers(eager_backbone.model, [1, 2, 3, 4]) is eager_backbone.model
    assert keep_layers(eager_backbone.model, 4) is eager_backbone.model


def test_the_first_layer_of_some_families_has_a_place_of_its_own(eager_backbone, batch):
    kind = eager_backbone.config.model_type
    if kind == "albert":
        pytest.skip("its layers share weights")
    if kind == "modernbert":
        with pytest.raises(UserError, match="Keep the first layer"):
            keep_layers(eager_backbone.model, [2, 3])
    else:
        found = logits(keep_layers(eager_backbone.model, [2, 3]), batch)
        expected = by_hand(eager_backbone, [2, 3], batch)
        torch.testing.assert_close(found[batch.real], expected[batch.real], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("layers", "depth", "kept"),
    [
        (2, 6, [1, 2]),
        ("alternate", 6, [1, 3, 5]),
        ("alternate", 5, [1, 3, 5]),
        ([2, 5], 6, [2, 5]),
        ((1,), 1, [1]),
    ],
)
def test_ways_of_saying_which(layers, depth, kept):
    assert chosen_layers(layers, depth) == kept


@pytest.mark.parametrize(
    "layers", [0, 7, True, [], [0, 1], [2, 1], [1, 1], [7], ["1"], "half", 1.0]
)
def test_layers_that_are_none(layers):
    with pytest.raises(UserError, match=r"which has 6: give their numbers from 1 to 6"):
        chosen_layers(layers, 6)
