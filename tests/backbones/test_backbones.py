"""What every backbone promises, checked against the transformers model it wraps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForTokenClassification

from tokenexit.backbones import BACKBONES, Backbone, adapt
from tokenexit.errors import UserError

CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


def run_layers(backbone: Backbone, batch: Any) -> list[Tensor]:
    """States before every layer and after the last, each ``[B, M, H]``."""
    states = [backbone.embed(batch.input_ids, batch.positions)]
    context = backbone.context(states[0], batch.mask)
    for index in range(backbone.num_layers):
        states.append(backbone.layer(index, states[-1], context))
    return states


def choose(batch: Any) -> Tensor:
    """Places of some real rows of every sentence, as many in each, unordered: ``[B, A]``."""
    draw = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(3))
    return draw.masked_fill(~batch.real, -1).argsort(descending=True)[:, :5]


def split(backbone: Backbone, rows: Tensor) -> Tensor:
    """Split heads, ``[B, M, H] -> [B, heads, M, H / heads]``."""
    return rows.unflatten(-1, (backbone.num_heads, -1)).transpose(1, 2)


def spread(batch: Any, packed: Tensor) -> Tensor:
    """Packed real rows back in their places, ``[T, H] -> [B, M, H]``."""
    return packed.new_zeros(*batch.mask.shape, packed.shape[-1]).index_put((batch.real,), packed)


def gather(hidden: Tensor, chosen: Tensor) -> Tensor:
    """States of the chosen rows, ``[B, M, H], [B, A] -> [B, A, H]``."""
    return hidden.gather(1, chosen[:, :, None].expand(-1, -1, hidden.shape[-1]))


def run_pieces(
    backbone: Backbone, index: int, hidden: Tensor, batch: Any, chosen: Tensor
) -> Tensor:
    """One layer in pieces: ``[B, A]`` chosen rows ask, all real rows of ``hidden`` answer."""
    asking = gather(hidden, chosen)
    query = backbone.queries(index, asking.flatten(0, 1), chosen.flatten()).view_as(asking)
    packed = backbone.keys_values(index, hidden[batch.real], batch.positions[batch.real])
    q, k, v = (split(backbone, rows) for rows in (query, *(spread(batch, row) for row in packed)))
    scores = q @ k.mT * backbone.scaling(index)
    bias = backbone.bias(index, q, k, chosen, batch.positions)
    if bias is not None:
        scores = scores + bias
    weights = scores.masked_fill(~batch.real[:, None, None], float("-inf")).softmax(-1)
    attended = (weights @ v).transpose(1, 2).flatten(2)
    return backbone.combine(index, asking.flatten(0, 1), attended.flatten(0, 1)).view_as(asking)


def gradients(model: Any, logits: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Gradients of a fixed function of the real logits, by name of the weight."""
    model.zero_grad()
    (logits[real] * torch.linspace(-1, 1, logits.shape[-1])).square().mean().backward()
    return {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


@torch.no_grad()
def test_driving_the_layers_equals_the_model(backbone: Backbone, batch: Any) -> None:
    expected = backbone.model(input_ids=batch.input_ids, attention_mask=batch.mask).logits
    logits = backbone.classify(backbone.finish(run_layers(backbone, batch)[-1]))
    exact: dict[str, Any] = {"atol": 0.0, "rtol": 0.0} if backbone.eager else CLOSE
    assert_close(logits[batch.real], expected[batch.real], **exact)


@torch.no_grad()
def test_packed_embedding_equals_padded(eager_backbone: Backbone, batch: Any) -> None:
    padded = eager_backbone.embed(batch.input_ids, batch.positions)
    ids, positions = batch.input_ids[batch.real], batch.positions[batch.real]
    assert_close(eager_backbone.embed(ids[None], positions[None])[0], padded[batch.real])


@torch.no_grad()
def test_pieces_equal_the_layer_on_chosen_rows(backbone: Backbone, batch: Any) -> None:
    states, chosen = run_layers(backbone, batch), choose(batch)
    for index in range(backbone.num_layers):
        got = run_pieces(backbone, index, states[index], batch, chosen)
        assert_close(got, gather(states[index + 1], chosen), **CLOSE)


@torch.no_grad()
def test_bias_has_its_shape_and_stays_finite(eager_backbone: Backbone, batch: Any) -> None:
    backbone, chosen = eager_backbone, choose(batch)
    backbone.model.half()  # where a mask overflows first
    hidden = run_layers(backbone, batch)[0]
    q, k = split(backbone, gather(hidden, chosen)), split(backbone, hidden)
    for index in range(backbone.num_layers):
        for places in (chosen, chosen + 1000):  # the latter: a slot of nobody, far from all
            bias = backbone.bias(index, q, k, places, batch.positions)
            if bias is not None:
                assert bias.shape[1] in (1, backbone.num_heads)
                assert (bias.shape[0], *bias.shape[2:]) == (q.shape[0], q.shape[2], k.shape[2])
                assert (bias - 100).isfinite().all()


@torch.no_grad()
def test_absorbed_projections_give_the_same_attention(eager_backbone: Backbone, batch: Any) -> None:
    states = run_layers(eager_backbone, batch)
    for index in range(eager_backbone.num_layers):
        absorbable = eager_backbone.absorbable(index)
        if absorbable is None:
            continue
        rows, positions = states[index][0], batch.positions[0]
        query = eager_backbone.queries(index, rows, positions)[None]
        key, value = (row[None] for row in eager_backbone.keys_values(index, rows, positions))
        q, k, v = (split(eager_backbone, row) for row in (query, key, value))
        assert eager_backbone.bias(index, q, k, positions[None], positions[None]) is None

        scale = eager_backbone.scaling(index)
        expected = ((q @ k.mT * scale).softmax(-1) @ v)[0]
        by_head = (eager_backbone.num_heads, -1)
        absorbed = q[0] @ absorbable.key_weight.unflatten(0, by_head)
        read = (absorbed @ rows.T * scale).softmax(-1) @ rows
        got = read @ absorbable.value_weight.unflatten(0, by_head).mT
        if absorbable.value_bias is not None:
            got = got + absorbable.value_bias.unflatten(0, by_head)[:, None]
        assert_close(got, expected, **CLOSE)


def test_cost_equals_what_torch_counts(eager_backbone: Backbone) -> None:
    backbone, tokens = eager_backbone, 17
    backbone.model.requires_grad_(False)  # not no_grad: torch's counter trips over bare weights
    ids, positions = torch.full((1, tokens), 7), torch.arange(tokens)[None]
    with FlopCounterMode(display=False) as whole:
        backbone.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    with FlopCounterMode(display=False) as embedding:
        backbone.embed(ids, positions)
    total = tokens * backbone.classify_cost()
    for index in range(backbone.num_layers):
        cost = backbone.cost(index)
        per_row = cost.query + cost.key_value + cost.combine
        total += tokens * per_row + tokens * tokens * cost.pair + cost.fixed
    assert 2 * total == whole.get_total_flops() - embedding.get_total_flops()


def test_pieces_have_the_gradients_of_the_model(eager_backbone: Backbone, batch: Any) -> None:
    backbone, model = eager_backbone, eager_backbone.model
    logits = model(input_ids=batch.input_ids, attention_mask=batch.mask).logits
    expected = gradients(model, logits, batch.real)

    hidden = backbone.embed(batch.input_ids, batch.positions)
    for index in range(backbone.num_layers):
        hidden = run_pieces(backbone, index, hidden, batch, batch.positions)
    got = gradients(model, backbone.classify(backbone.finish(hidden)), batch.real)
    unused = {name for name, grad in expected.items() if not grad.any()}
    assert got.keys() | unused == expected.keys() | unused
    for name in got:
        assert_close(got[name], expected[name], atol=1e-5, rtol=1e-4, msg=f"{name}: {{}}".format)


@torch.no_grad()
def test_dropout_only_in_training(eager_backbone: Backbone) -> None:
    backbone = eager_backbone
    rows, positions = torch.randn(6, backbone.hidden_size), torch.arange(6)
    for training in (True, False):
        backbone.model.train(training)
        for index in range(backbone.num_layers):
            attended = backbone.keys_values(index, rows, positions)[1]
            first, second = (backbone.combine(index, rows, attended) for _ in range(2))
            assert first.equal(second) != training
            assert (backbone.attention_dropout(index) > 0) == training
        assert backbone.classify(rows).equal(backbone.classify(rows)) != training


def test_final_head_holds_the_weights_of_classify(eager_backbone: Backbone) -> None:
    backbone = eager_backbone
    backbone.classify(torch.randn(3, backbone.hidden_size)).sum().backward()
    used = {id(weight) for weight in backbone.model.parameters() if weight.grad is not None}
    assert {id(weight) for weight in backbone.final_head().parameters()} == used


@torch.no_grad()
def test_texts_of_the_longest_length_embed(eager_backbone: Backbone) -> None:
    longest = eager_backbone.max_length
    ids = torch.full((1, longest), 7)
    hidden = eager_backbone.embed(ids, torch.arange(longest)[None])
    assert hidden.shape == (1, longest, eager_backbone.hidden_size)
    assert eager_backbone.model(input_ids=ids).logits.shape[1] == longest


@pytest.mark.parametrize("model_type", [name for name, _ in BACKBONES.items()])
def test_examples_are_small_and_of_their_type(model_type: str) -> None:
    config = BACKBONES.get(model_type).example_config(model_type)
    assert config.model_type == model_type
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (4, 32, 4)


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
