"""What every backbone promises of a layer in pieces, on any rows."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.testing.backbone_whole import run_layers
from tokenexit.testing.contract import Contract, require, require_close
from tokenexit.testing.network_case import BackboneCase
from tokenexit.testing.networks import Batch, gradients

PIECES: Contract[BackboneCase] = Contract("backbone")


def choose(batch: Batch) -> Tensor:
    """Places of some real rows of every text, as many in each, unordered: ``[B, A]``."""
    draw = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(3))
    return draw.masked_fill(~batch.real, -1).argsort(descending=True)[:, :5]


def split(backbone: Backbone, rows: Tensor) -> Tensor:
    """Split heads, ``[B, M, H] -> [B, heads, M, H / heads]``."""
    return rows.unflatten(-1, (backbone.num_heads, -1)).transpose(1, 2)


def gather(hidden: Tensor, chosen: Tensor) -> Tensor:
    """States of the chosen rows, ``[B, M, H], [B, A] -> [B, A, H]``."""
    return hidden.gather(1, chosen[:, :, None].expand(-1, -1, hidden.shape[-1]))


def run_pieces(
    backbone: Backbone, index: int, hidden: Tensor, batch: Batch, chosen: Tensor
) -> Tensor:
    """One layer in pieces: ``[B, A]`` chosen rows ask, all real rows of ``hidden`` answer."""
    asking = gather(hidden, chosen)
    query = backbone.queries(index, asking.flatten(0, 1), chosen.flatten()).view_as(asking)
    packed = backbone.keys_values(index, hidden[batch.real], batch.positions[batch.real])
    key, value = (
        row.new_zeros(*batch.mask.shape, row.shape[-1]).index_put((batch.real,), row)
        for row in packed
    )
    q, k, v = (split(backbone, rows) for rows in (query, key, value))
    scores = q @ k.mT * backbone.scaling(index)
    bias = backbone.bias(index, q, k, chosen, batch.positions)
    if bias is not None:
        scores = scores + bias
    weights = scores.masked_fill(~batch.real[:, None, None], float("-inf")).softmax(-1)
    attended = (weights @ v).transpose(1, 2).flatten(2)
    return backbone.combine(index, asking.flatten(0, 1), attended.flatten(0, 1)).view_as(asking)


@PIECES.promise
@torch.no_grad()
def pieces_are_the_layer(case: BackboneCase) -> None:
    """``queries``, ``keys_values``, ``bias`` and ``combine`` on some rows give the layer's rows."""
    for backbone, batch in case.every():
        states, chosen = run_layers(backbone, batch), choose(batch)
        for index in range(backbone.num_layers):
            got = run_pieces(backbone, index, states[index], batch, chosen)
            require_close(
                got, gather(states[index + 1], chosen), f"rows of layer {index} in pieces differ "
                "from those of layer(); look at scaling, the positions and the norms",
            )  # fmt: skip


@PIECES.promise
@torch.no_grad()
def bias_is_finite(case: BackboneCase) -> None:
    """``bias`` has its shape and stays finite in half precision, however far the rows are."""
    backbone = case.fresh()
    backbone.model.half()  # where a mask overflows first
    for batch in case.batches():
        chosen, hidden = choose(batch), run_layers(backbone, batch)[0]
        q, k = split(backbone, gather(hidden, chosen)), split(backbone, hidden)
        for index in range(backbone.num_layers):
            for places in (chosen, chosen + 1000):  # the latter: a slot of nobody, far from all
                bias = backbone.bias(index, q, k, places, batch.positions)
                if bias is None:
                    continue
                wanted = (q.shape[0], q.shape[2], k.shape[2])
                require(
                    bias.shape[1] in (1, backbone.num_heads)
                    and (bias.shape[0], *bias.shape[2:]) == wanted,
                    f"layer {index} has a bias of {list(bias.shape)}; texts, 1 or "
                    f"{backbone.num_heads}, queries and keys are {wanted}.",
                )
                require(
                    (bias - 100).isfinite().all(),
                    f"the bias of layer {index} overflows in float16: clamp distances, and mask "
                    "with torch.finfo(dtype).min / 2.",
                )


@PIECES.promise
@torch.no_grad()
def absorbed_is_projected(case: BackboneCase) -> None:
    """Where projections are ``absorbable``, reading states unprojected gives the same attention."""
    backbone = case.shared()
    for batch in case.batches():
        states = run_layers(backbone, batch)
        for index in range(backbone.num_layers):
            weights = backbone.absorbable(index)
            if weights is None:
                continue
            rows, positions = states[index][0], batch.positions[0]
            query = backbone.queries(index, rows, positions)[None]
            key, value = (row[None] for row in backbone.keys_values(index, rows, positions))
            q, k, v = (split(backbone, row) for row in (query, key, value))
            require(
                backbone.bias(index, q, k, positions[None], positions[None]) is None,
                f"layer {index} has a bias and is absorbable: states that are read unprojected "
                "never ask for the bias, and logits come out wrong. Let absorbable() give None.",
            )
            scale, by_head = backbone.scaling(index), (backbone.num_heads, -1)
            expected = ((q @ k.mT * scale).softmax(-1) @ v)[0]
            absorbed = q[0] @ weights.key_weight.unflatten(0, by_head)
            read = (absorbed @ rows.T * scale).softmax(-1) @ rows
            got = read @ weights.value_weight.unflatten(0, by_head).mT
            if weights.value_bias is not None:
                got = got + weights.value_bias.unflatten(0, by_head)[:, None]
            require_close(got, expected, f"layer {index} reads something else absorbed")


@PIECES.promise
def gradients_are_the_models(case: BackboneCase) -> None:
    """Pieces have the gradients of the model, so that training through them trains it."""
    backbone = case.fresh()
    model = backbone.model
    for batch in case.batches():
        logits = model(input_ids=batch.input_ids, attention_mask=batch.mask).logits
        expected = gradients(model, logits[batch.real])
        hidden = backbone.embed(batch.input_ids, batch.positions)
        for index in range(backbone.num_layers):
            hidden = run_pieces(backbone, index, hidden, batch, batch.positions)
        got = gradients(model, backbone.classify(backbone.finish(hidden))[batch.real])
        unused = {name for name, grad in expected.items() if not grad.any()}
        differ = (got.keys() | unused) ^ (expected.keys() | unused)
        require(not differ, f"only one of pieces and model reaches {sorted(differ)}.")
        for name, grad in got.items():
            require_close(grad, expected[name], f"the gradient of {name} differs", 1e-5, 1e-4)


@PIECES.promise
@torch.no_grad()
def dropout_is_for_training(case: BackboneCase) -> None:
    """``combine``, ``classify`` and ``attention_dropout`` draw in training and never else."""
    backbone = case.fresh()
    rows, positions = torch.randn(6, backbone.hidden_size), torch.arange(6)
    for training in (True, False):
        backbone.model.train(training)
        mode = "in training" if training else "in eval"
        for index in range(backbone.num_layers):
            attended = backbone.keys_values(index, rows, positions)[1]
            first, second = (backbone.combine(index, rows, attended) for _ in range(2))
            require(
                first.equal(second) != training,
                f"combine({index}) {mode} {'draws nothing' if training else 'draws'}: call the "
                "model's own dropout modules; example_config() has to set them above 0.",
            )
            rate = backbone.attention_dropout(index)
            require((rate > 0) == training, f"attention_dropout({index}) is {rate} {mode}.")
        require(
            backbone.classify(rows).equal(backbone.classify(rows)) != training,
            f"classify() {mode} {'draws nothing' if training else 'draws'}.",
        )
