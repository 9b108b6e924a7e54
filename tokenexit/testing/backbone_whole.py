"""What every backbone promises of whole layers, of its facts and of its head."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tokenexit.backbones import BACKBONES, Backbone
from tokenexit.testing.contract import Contract, require, require_close
from tokenexit.testing.network_case import BackboneCase, require_whole_head
from tokenexit.testing.networks import Batch

WHOLE: Contract[BackboneCase] = Contract("backbone")


def run_layers(backbone: Backbone, batch: Batch) -> list[Tensor]:
    """States before every layer and after the last, each ``[B, M, H]``."""
    states = [backbone.embed(batch.input_ids, batch.positions)]
    context = backbone.context(states[0], batch.mask)
    for index in range(backbone.num_layers):
        states.append(backbone.layer(index, states[-1], context))
    return states


@WHOLE.promise
def example_is_small(case: BackboneCase) -> None:
    """``example_config`` is of its type: four layers, width 32, four heads."""
    config = BACKBONES.get(case.model_type).example_config(case.model_type)
    shape = config.num_hidden_layers, config.hidden_size, config.num_attention_heads
    require(config.model_type == case.model_type, f"it is of the type {config.model_type!r}.")
    require(shape == (4, 32, 4), f"layers, width and heads are {shape}, not (4, 32, 4).")


@WHOLE.promise
@torch.no_grad()
def layers_are_the_models(case: BackboneCase) -> None:
    """``embed``, ``context``, ``layer``, ``finish`` and ``classify`` give the model's logits."""
    for backbone, batch in case.every():
        expected = backbone.model(input_ids=batch.input_ids, attention_mask=batch.mask).logits
        logits = backbone.classify(backbone.finish(run_layers(backbone, batch)[-1]))
        close = 0.0 if backbone.eager else 1e-5
        require_close(
            logits[batch.real],
            expected[batch.real],
            "logits of real tokens differ from the model's own",
            close,
        )


@WHOLE.promise
@torch.no_grad()
def packed_is_padded(case: BackboneCase) -> None:
    """Tokens of several texts in one row are embedded as in rows of their own."""
    backbone = case.shared()
    for batch in case.batches():
        padded = backbone.embed(batch.input_ids, batch.positions)[batch.real]
        ids, positions = batch.input_ids[batch.real], batch.positions[batch.real]
        packed = backbone.embed(ids[None], positions[None])[0]
        require_close(packed, padded, "packed embeddings differ: use the positions given")


@WHOLE.promise
def costs_what_torch_counts(case: BackboneCase) -> None:
    """``cost`` and ``classify_cost`` add up to what torch counts."""
    backbone, tokens = case.fresh(), 17
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
    counted = (whole.get_total_flops() - embedding.get_total_flops()) // 2
    require(
        total == counted,
        f"a text of {tokens} tokens takes {total} multiply-accumulates by cost() and "
        f"classify_cost(), and torch counts {counted}.",
    )


@WHOLE.promise
@torch.no_grad()
def longest_texts_embed(case: BackboneCase) -> None:
    """Texts of ``max_length`` tokens are embedded, and the model takes them."""
    backbone = case.shared()
    longest = backbone.max_length
    ids = torch.full((1, longest), 7)
    hidden = backbone.embed(ids, torch.arange(longest)[None])
    require(
        hidden.shape == (1, longest, backbone.hidden_size),
        f"{longest} tokens give {list(hidden.shape)}, not [1, {longest}, {backbone.hidden_size}].",
    )
    require(
        backbone.model(input_ids=ids).logits.shape[1] == longest,
        f"the model itself takes no text of max_length, {longest}.",
    )


@WHOLE.promise
def final_head_is_what_classifies(case: BackboneCase) -> None:
    """``final_head`` holds the weights of ``classify``, all of them and no others."""
    require_whole_head(case.fresh(), "classify")
