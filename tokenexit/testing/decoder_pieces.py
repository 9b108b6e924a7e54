"""What every decoder promises of a layer in pieces, on any rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.testing.contract import Contract, require, require_close
from tokenexit.testing.decoder_whole import CLOSE, DecoderCase, Pair, make_pair, run_model
from tokenexit.testing.networks import LENGTHS, gradients

PIECES: Contract[DecoderCase] = Contract("decoder")


def attend(
    decoder: Decoder, index: int, q: Tensor, k: Tensor, v: Tensor, keep: Tensor, bias: Any = None
) -> Tensor:
    """Plain attention of a layer, ``[B, A, I], 2 x [B, M, I] -> [B, A, I]``."""
    q, k, v = (x.unflatten(-1, (decoder.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.mT * decoder.scaling
    if bias is not None:
        scores = scores + bias
    weights = scores.masked_fill(~keep, float("-inf")).softmax(-1)
    read = torch.dropout(weights, decoder.attention_dropout(index), train=True) @ v
    return read.transpose(1, 2).flatten(2)


def run_pieces(
    decoder: Decoder, index: int, hidden: Tensor, chosen: Tensor, memory: Tensor, batch: Pair
) -> Tensor:
    """One layer in pieces: ``[B, A]`` chosen rows are computed, all of ``hidden`` are read."""
    shape = chosen.shape
    rows = gather(hidden, chosen).flatten(0, 1)
    query = decoder.self_query(index, rows).unflatten(0, shape)
    packed = decoder.self_keys_values(index, hidden.flatten(0, 1))
    key, value = packed.unflatten(0, hidden.shape[:2]).chunk(2, dim=-1)
    causal = batch.places[:, None, None] <= chosen[:, None, :, None]
    bias = decoder.bias(chosen, batch.places)
    read = attend(decoder, index, query, key, value, causal, bias)
    rows = decoder.after_self(index, rows, read.flatten(0, 1))
    query = decoder.cross_query(index, rows).unflatten(0, shape)
    key, value = decoder.cross_keys_values(index, memory)
    read = attend(decoder, index, query, key, value, batch.mask.bool()[:, None, None])
    rows = decoder.after_cross(index, rows, read.flatten(0, 1))
    return decoder.feed_forward(index, rows).unflatten(0, shape)


def run_whole(decoder: Decoder, batch: Pair) -> list[Tensor]:
    """States before every layer and after the last, each ``[B, T, H]``."""
    memory = decoder.encode(batch.input_ids, batch.mask)
    embedded = decoder.embed(batch.target_ids.flatten(), batch.places.flatten())
    states = [embedded.unflatten(0, batch.target_ids.shape)]
    for index in range(decoder.num_layers):
        states.append(run_pieces(decoder, index, states[-1], batch.places, memory, batch))
    return states


def choose(batch: Pair) -> Tensor:
    """Places of some rows of every target, as many in each, unordered: ``[B, A]``."""
    draw = torch.rand(batch.target_ids.shape, generator=torch.Generator().manual_seed(3))
    return draw.argsort()[:, :5]


def gather(hidden: Tensor, chosen: Tensor) -> Tensor:
    """States of the chosen rows, ``[B, T, H], [B, A] -> [B, A, H]``."""
    return hidden.gather(1, chosen[:, :, None].expand(-1, -1, hidden.shape[-1]))


@PIECES.promise
@torch.no_grad()
def pieces_are_the_model(case: DecoderCase) -> None:
    """A whole target in pieces has the model's states and logits, as have some of its rows."""
    for decoder, batch in case.every():
        expected, top = run_model(decoder, batch)
        states = run_whole(decoder, batch)
        for index in range(decoder.num_layers):  # the last that the model reports is normed
            wanted = expected.decoder_hidden_states[index]
            require_close(states[index], wanted, f"states before layer {index} differ", CLOSE)
        finished = decoder.finish(states[-1].flatten(0, 1))
        require_close(finished, top.flatten(0, 1), "finish() gives other states", CLOSE)
        logits = decoder.vocabulary(finished)
        require_close(logits, expected.logits.flatten(0, 1), "logits differ", CLOSE)
        memory, chosen = decoder.encode(batch.input_ids, batch.mask), choose(batch)
        got = decoder.embed(batch.target_ids.gather(1, chosen).flatten(), chosen.flatten())
        require_close(got, gather(states[0], chosen).flatten(0, 1), "some rows embed otherwise")
        for index in range(decoder.num_layers):
            got = run_pieces(decoder, index, states[index], chosen, memory, batch)
            wanted = gather(states[index + 1], chosen)
            require_close(got, wanted, f"some rows of layer {index} differ from all", CLOSE)


@PIECES.promise
@torch.no_grad()
def projections_are_consistent(case: DecoderCase) -> None:
    """``self_projections`` gives what ``self_query`` and ``self_keys_values`` give."""
    decoder = case.shared()
    rows, inner = torch.randn(7, decoder.hidden_size), decoder.inner_size
    for index in range(decoder.num_layers):
        query, keys_values = decoder.self_projections(index, rows)
        require(
            query.shape == (7, inner) and keys_values.shape == (7, 2 * inner),
            f"of 7 rows layer {index} gives {list(query.shape)} and {list(keys_values.shape)}, not "
            f"{[7, inner]} and {[7, 2 * inner]}.",
        )
        require(
            decoder.self_query(index, rows).equal(query)
            and decoder.self_keys_values(index, rows).equal(keys_values),
            f"projections of layer {index} differ when they are asked for one by one.",
        )


@PIECES.promise
@torch.no_grad()
def bias_depends_on_distance(case: DecoderCase) -> None:
    """``bias`` has its shape and depends on the distance of query and key alone."""
    decoder = case.shared()
    queries, keys = torch.tensor([[5, 9], [30, 3]]), torch.arange(40).expand(2, -1)
    bias = decoder.bias(queries, keys)
    if bias is None:
        return
    wanted = (2, decoder.num_heads, 2, 40)
    require(bias.shape == wanted, f"its shape is {list(bias.shape)}, not {list(wanted)}.")
    for queried, read, what, part in (
        (queries[1], keys[1], "one text alone has another bias", bias[1]),
        (queries + 100, keys + 100, "100 places later the bias is another", bias),
    ):
        found = decoder.bias(queried, read)
        assert found is not None
        require_close(found, part, what)
    require(len(bias[1, 0, 0].unique()) > 5, "it hardly tells distances apart.")


@PIECES.promise
def gradients_are_the_models(case: DecoderCase) -> None:
    """Pieces have the gradients of the model, so that training through them trains it."""
    decoder = case.fresh()
    for batch in map(make_pair, LENGTHS):
        expected = gradients(decoder.model, run_model(decoder, batch)[0].logits)
        finished = decoder.finish(run_whole(decoder, batch)[-1].flatten(0, 1))
        got = gradients(decoder.model, decoder.vocabulary(finished))
        differ = got.keys() ^ expected.keys()
        require(not differ, f"only one of pieces and model reaches {sorted(differ)}.")
        for name, grad in got.items():
            require_close(grad, expected[name], f"the gradient of {name} differs", CLOSE)


@PIECES.promise
@torch.no_grad()
def dropout_is_the_models(case: DecoderCase) -> None:
    """In training, pieces draw as often and in the same order as the model."""
    decoder = case.fresh()
    decoder.model.train()
    for batch in map(make_pair, LENGTHS):
        logits = []
        for seed in (5, 6):
            torch.manual_seed(seed)
            with _drawing_aside():
                expected = run_model(decoder, batch)[0].logits
            torch.manual_seed(seed)
            with _drawing_aside():
                finished = decoder.finish(run_whole(decoder, batch)[-1].flatten(0, 1))
            logits.append(decoder.vocabulary(finished))
            wanted = expected.flatten(0, 1)
            require_close(logits[-1], wanted, "in training, logits differ by what is drawn", CLOSE)
        require(not torch.allclose(*logits), "in training, nothing is drawn.")


@contextmanager
def _drawing_aside() -> Iterator[None]:
    """Let ``torch.rand`` not count.

    Pegasus before transformers 5.23 draws whether a layer is dropped at rate 0 too.
    """
    rand = torch.rand

    def aside(*size: Any, **options: Any) -> Tensor:
        with torch.random.fork_rng():
            return rand(*size, **options)

    torch.rand = aside  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.rand = rand
