"""What every decoder promises, checked against the transformers model it wraps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    T5EncoderModel,
)

from tokenexit.decoders import DECODERS, Decoder, adapt_decoder
from tokenexit.errors import UserError

CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}


def run_model(decoder: Decoder, batch: Any) -> tuple[Any, Tensor]:
    """Output of the model itself, and what its vocabulary head was given, ``[B, T, H]``."""
    seen: list[Tensor] = []
    hook = decoder.final_head().register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    output = decoder.model(
        input_ids=batch.input_ids,
        attention_mask=batch.mask,
        decoder_input_ids=batch.target_ids,
        output_hidden_states=True,
        use_cache=False,
    )
    hook.remove()
    return output, seen[0]


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
    decoder: Decoder, index: int, hidden: Tensor, chosen: Tensor, memory: Tensor, batch: Any
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


def run_whole(decoder: Decoder, batch: Any) -> list[Tensor]:
    """States before every layer and after the last, each ``[B, T, H]``."""
    memory = decoder.encode(batch.input_ids, batch.mask)
    embedded = decoder.embed(batch.target_ids.flatten(), batch.places.flatten())
    states = [embedded.unflatten(0, batch.target_ids.shape)]
    for index in range(decoder.num_layers):
        states.append(run_pieces(decoder, index, states[-1], batch.places, memory, batch))
    return states


def choose(batch: Any) -> Tensor:
    """Places of some rows of every target, as many in each, unordered: ``[B, A]``."""
    draw = torch.rand(batch.target_ids.shape, generator=torch.Generator().manual_seed(3))
    return draw.argsort()[:, :5]


def gather(hidden: Tensor, chosen: Tensor) -> Tensor:
    """States of the chosen rows, ``[B, T, H], [B, A] -> [B, A, H]``."""
    return hidden.gather(1, chosen[:, :, None].expand(-1, -1, hidden.shape[-1]))


def gradients(model: Any, logits: Tensor) -> dict[str, Tensor]:
    """Gradients of a fixed function of the logits, by name of the weight."""
    model.zero_grad()
    (logits * torch.linspace(-1, 1, logits.shape[-1])).square().mean().backward()
    return {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


@torch.no_grad()
def test_a_whole_target_equals_the_model(decoder: Decoder, batch: Any) -> None:
    expected, top = run_model(decoder, batch)
    states = run_whole(decoder, batch)
    for index in range(decoder.num_layers):  # the last that the model reports is normed
        assert_close(states[index], expected.decoder_hidden_states[index], **CLOSE)
    finished = decoder.finish(states[-1].flatten(0, 1))
    assert_close(finished, top.flatten(0, 1), **CLOSE)
    logits = decoder.vocabulary(finished)
    assert_close(logits, expected.logits.flatten(0, 1), **CLOSE)


@torch.no_grad()
def test_chosen_rows_equal_those_of_the_whole(decoder: Decoder, batch: Any) -> None:
    states, chosen = run_whole(decoder, batch), choose(batch)
    memory = decoder.encode(batch.input_ids, batch.mask)
    got = decoder.embed(batch.target_ids.gather(1, chosen).flatten(), chosen.flatten())
    assert_close(got, gather(states[0], chosen).flatten(0, 1))
    for index in range(decoder.num_layers):
        got = run_pieces(decoder, index, states[index], chosen, memory, batch)
        assert_close(got, gather(states[index + 1], chosen), **CLOSE)


@torch.no_grad()
def test_encoding_is_the_models_own(decoder: Decoder, batch: Any) -> None:
    expected, _ = run_model(decoder, batch)
    memory = decoder.encode(batch.input_ids, batch.mask)
    assert memory.equal(expected.encoder_last_hidden_state)


@torch.no_grad()
def test_projections_alone_are_those_together(eager_decoder: Decoder) -> None:
    decoder, rows = eager_decoder, torch.randn(7, eager_decoder.hidden_size)
    for index in range(decoder.num_layers):
        query, keys_values = decoder.self_projections(index, rows)
        assert query.shape == (7, decoder.inner_size)
        assert keys_values.shape == (7, 2 * decoder.inner_size)
        assert decoder.self_query(index, rows).equal(query)
        assert decoder.self_keys_values(index, rows).equal(keys_values)


@torch.no_grad()
def test_some_of_the_vocabulary_costs_only_itself(eager_decoder: Decoder) -> None:
    decoder = eager_decoder
    rows = torch.randn(6, decoder.hidden_size)
    ids = torch.randint(decoder.vocab_size, (6, 3), generator=torch.Generator().manual_seed(1))
    full = decoder.vocabulary(rows)
    assert full.shape == (6, decoder.vocab_size)
    assert_close(decoder.vocabulary(rows, ids), full.gather(1, ids), **CLOSE)
    with FlopCounterMode(display=False) as counter:
        decoder.vocabulary(rows, ids)
    assert counter.get_total_flops() == 2 * ids.numel() * decoder.hidden_size


@torch.no_grad()
def test_bias_has_its_shape_and_depends_on_distance(eager_decoder: Decoder) -> None:
    decoder = eager_decoder
    queries, keys = torch.tensor([[5, 9], [30, 3]]), torch.arange(40).expand(2, -1)
    bias = decoder.bias(queries, keys)
    if bias is None:
        return
    assert bias.shape == (2, decoder.num_heads, 2, 40)
    assert_close(decoder.bias(queries[1], keys[1]), bias[1])
    assert_close(decoder.bias(queries + 100, keys + 100), bias)
    assert len(bias[1, 0, 0].unique()) > 5


def test_cost_equals_what_torch_counts(eager_decoder: Decoder) -> None:
    decoder, source, target = eager_decoder, 17, 11
    decoder.model.requires_grad_(False)  # not no_grad: torch's counter trips over bare weights
    ids, targets = torch.full((1, source), 7), torch.full((1, target), 7)
    with FlopCounterMode(display=False) as encoder:
        decoder.encode(ids, torch.ones_like(ids))
    assert 2 * decoder.encoder_macs(source) == encoder.get_total_flops()

    with FlopCounterMode(display=False) as whole:
        decoder.model(input_ids=ids, decoder_input_ids=targets, use_cache=False)
    cost = decoder.cost()
    layer = target * (cost.query + cost.key_value + cost.combine) + source * cost.cross_key_value
    layer += target * (target + source) * cost.pair
    total = decoder.num_layers * layer + target * decoder.vocabulary_cost()
    assert 2 * total == whole.get_total_flops() - encoder.get_total_flops()


def test_pieces_have_the_gradients_of_the_model(eager_decoder: Decoder, batch: Any) -> None:
    decoder, model = eager_decoder, eager_decoder.model
    expected = gradients(model, run_model(decoder, batch)[0].logits)
    finished = decoder.finish(run_whole(decoder, batch)[-1].flatten(0, 1))
    got = gradients(model, decoder.vocabulary(finished))
    assert got.keys() == expected.keys()
    for name in got:
        assert_close(got[name], expected[name], **CLOSE, msg=f"{name}: {{}}".format)


def test_some_of_the_vocabulary_has_its_gradients(eager_decoder: Decoder) -> None:
    decoder, found = eager_decoder, []
    ids = torch.tensor([[3, 8], [8, 5]])
    for subset in (True, False):
        rows = torch.ones(2, decoder.hidden_size, requires_grad=True)
        logits = (
            decoder.vocabulary(rows, ids) if subset else decoder.vocabulary(rows).gather(1, ids)
        )
        weights = (rows, *decoder.final_head().parameters())
        found.append(torch.autograd.grad(logits.square().sum(), weights))
    for got, expected in zip(*found, strict=True):
        assert_close(got, expected, **CLOSE)


@torch.no_grad()
def test_dropout_is_the_models_own(eager_decoder: Decoder, batch: Any, monkeypatch: Any) -> None:
    rand = torch.rand

    def draw_aside(*size: Any, **options: Any) -> torch.Tensor:
        # Pegasus before transformers 5.23 draws whether a layer is dropped at rate 0 too.
        with torch.random.fork_rng():
            return rand(*size, **options)

    monkeypatch.setattr(torch, "rand", draw_aside)
    decoder, logits = eager_decoder, []
    decoder.model.train()
    for seed in (5, 6):
        torch.manual_seed(seed)
        expected = run_model(decoder, batch)[0].logits
        torch.manual_seed(seed)  # as many draws in the same order
        finished = decoder.finish(run_whole(decoder, batch)[-1].flatten(0, 1))
        logits.append(decoder.vocabulary(finished))
        assert_close(logits[-1], expected.flatten(0, 1), **CLOSE)
    assert not torch.allclose(*logits)


def test_final_head_holds_the_weights_of_the_vocabulary(eager_decoder: Decoder) -> None:
    decoder = eager_decoder
    decoder.vocabulary(torch.randn(3, decoder.hidden_size)).sum().backward()
    used = {id(weight) for weight in decoder.model.parameters() if weight.grad is not None}
    assert {id(weight) for weight in decoder.final_head().parameters()} == used


@torch.no_grad()
def test_texts_of_the_longest_length_embed(eager_decoder: Decoder) -> None:
    decoder = eager_decoder
    longest = decoder.max_length or 200
    ids, places = torch.full((longest,), 7), torch.arange(longest)
    assert decoder.embed(ids, places).shape == (longest, decoder.hidden_size)
    assert decoder.encode(ids[None], torch.ones_like(ids[None])).shape[1] == longest
    if decoder.max_length is not None:
        with pytest.raises(IndexError):
            decoder.embed(ids, places + 1)


@pytest.mark.parametrize("model_type", ["t5", "mt5"])
@torch.no_grad()
def test_t5_stays_finite_in_half_precision(model_type: str) -> None:
    config = DECODERS.get(model_type).example_config(model_type)
    decoder = adapt_decoder(AutoModelForSeq2SeqLM.from_config(config).half().eval())
    rows = torch.full((2, 32), 60_000, dtype=torch.float16)
    read = torch.full((2, 32), 60_000, dtype=torch.float16)
    for piece in (decoder.after_self, decoder.after_cross):
        got = piece(0, rows, read)
        assert got.dtype == torch.float16
        assert got.isfinite().all()


@pytest.mark.parametrize("model_type", [name for name, _ in DECODERS.items()])
def test_examples_are_small_and_of_their_type(model_type: str) -> None:
    config = DECODERS.get(model_type).example_config(model_type)
    decoder = adapt_decoder(AutoModelForSeq2SeqLM.from_config(config))
    assert config.model_type == model_type
    assert (decoder.num_layers, decoder.hidden_size, decoder.num_heads) == (4, 32, 4)
    assert (decoder.vocab_size, config.num_hidden_layers, decoder.inner_size) == (120, 2, 32)
    assert {config.pad_token_id, config.eos_token_id, config.decoder_start_token_id} <= {0, 1, 2}


def test_untied_variants_are_untied(eager_decoder: Decoder) -> None:
    words: Any = eager_decoder.model.get_decoder().embed_tokens
    tied = eager_decoder.final_head().weight is words.weight
    assert tied == eager_decoder.config.tie_word_embeddings


def test_unknown_family_is_refused_with_the_known_ones() -> None:
    config = AutoConfig.for_model(
        "blenderbot-small",
        vocab_size=120,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
    )
    with pytest.raises(UserError, match="'blenderbot-small'") as caught:
        adapt_decoder(AutoModelForSeq2SeqLM.from_config(config))
    assert all(name in str(caught.value) for name, _ in DECODERS.items())


def test_half_of_an_encoder_decoder_is_refused() -> None:
    bert = AutoConfig.for_model(
        "bert", vocab_size=120, hidden_size=32, num_hidden_layers=1, num_attention_heads=4
    )
    bart = DECODERS.get("bart").example_config("bart")
    for model in (
        AutoModelForTokenClassification.from_config(bert),
        AutoModelForCausalLM.from_config(bart),
        T5EncoderModel(DECODERS.get("t5").example_config("t5")),
    ):
        with pytest.raises(UserError, match="is not an encoder-decoder") as caught:
            adapt_decoder(model)
        assert type(model).__name__ in str(caught.value)
        assert "pegasus" in str(caught.value)


def test_a_model_without_a_vocabulary_is_refused() -> None:
    config = DECODERS.get("t5").example_config("t5")
    with pytest.raises(UserError, match=r"no vocabulary head.*AutoModelForSeq2SeqLM"):
        adapt_decoder(AutoModelForSequenceClassification.from_config(config))
