"""What every decoder promises of whole targets, of its facts and of its vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tokenexit.decoders import DECODERS, Decoder
from tokenexit.testing.contract import Contract, require, require_close, require_raises
from tokenexit.testing.network_case import NetworkCase, require_whole_head
from tokenexit.testing.networks import LENGTHS, attentions, make_batch, tiny_decoder

CLOSE = 1e-6


@dataclass(frozen=True)
class Pair:
    """Sources ``[B, S]``, padded on the right, and targets ``[B, T]`` that need no padding."""

    input_ids: Tensor
    mask: Tensor
    target_ids: Tensor

    @property
    def places(self) -> Tensor:
        """Place of every target token, ``[B, T]``."""
        return torch.arange(self.target_ids.shape[1]).expand_as(self.target_ids)


def make_pair(lengths: tuple[int, ...]) -> Pair:
    """Random sources and targets, whose ids every vocabulary has."""
    sources = make_batch(lengths, vocab_size=90)
    draw = torch.Generator().manual_seed(2)
    targets = torch.randint(5, 90, (len(lengths), 23), generator=draw)
    return Pair(sources.input_ids, sources.mask, targets)


class DecoderCase(NetworkCase[Decoder]):
    """What promises of a decoder are checked on."""

    def build(self, attention: str) -> Decoder:
        """A network with an implementation of attention."""
        return tiny_decoder(self.model_type, self.changes, attention)

    def every(self) -> Iterator[tuple[Decoder, Pair]]:
        """Networks of every kind of attention, with padded sources and with even ones."""
        for attention in attentions(self.model_type, decodes=True):
            for lengths in LENGTHS:
                yield self.shared(attention), make_pair(lengths)


WHOLE: Contract[DecoderCase] = Contract("decoder")


def run_model(decoder: Decoder, batch: Pair) -> tuple[Any, Tensor]:
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
    require(seen, "the model never calls final_head().")
    return output, seen[0]


@WHOLE.promise
def example_is_small(case: DecoderCase) -> None:
    """``example_config`` is of its type: two and four layers, width 32, four heads, 120 ids."""
    config = DECODERS.get(case.model_type).example_config(case.model_type)
    decoder = tiny_decoder(case.model_type)
    shape = (
        config.num_hidden_layers, decoder.num_layers, decoder.hidden_size, decoder.num_heads,
        decoder.inner_size, decoder.vocab_size,
    )  # fmt: skip
    require(config.model_type == case.model_type, f"it is of the type {config.model_type!r}.")
    require(
        shape == (2, 4, 32, 4, 32, 120),
        "layers of both sides, width, heads, width of all heads and vocabulary are "
        f"{shape}, not (2, 4, 32, 4, 32, 120).",
    )
    special = {config.pad_token_id, config.eos_token_id, config.decoder_start_token_id}
    require(special <= {0, 1, 2}, f"ids of padding, end and start are {special}, not below 3.")


@WHOLE.promise
@torch.no_grad()
def encoding_is_the_models(case: DecoderCase) -> None:
    """``encode`` is the model's own encoder."""
    for decoder, batch in case.every():
        expected, _ = run_model(decoder, batch)
        memory = decoder.encode(batch.input_ids, batch.mask)
        require(
            memory.equal(expected.encoder_last_hidden_state),
            "encode() differs from the encoder's last state.",
        )


@WHOLE.promise
@torch.no_grad()
def part_of_the_vocabulary_costs_itself(case: DecoderCase) -> None:
    """``vocabulary`` of some ids gives the same logits, and computes no others."""
    decoder, rows = case.shared(), torch.randn(6, case.shared().hidden_size)
    ids = torch.randint(decoder.vocab_size, (6, 3), generator=torch.Generator().manual_seed(1))
    full = decoder.vocabulary(rows)
    require(full.shape == (6, decoder.vocab_size), f"of 6 rows it gives {list(full.shape)}.")
    require_close(decoder.vocabulary(rows, ids), full.gather(1, ids), "some logits differ", CLOSE)
    with FlopCounterMode(display=False) as counter:
        decoder.vocabulary(rows, ids)
    counted, wanted = counter.get_total_flops(), 2 * ids.numel() * decoder.hidden_size
    require(counted == wanted, f"18 logits take {counted} operations, not {wanted}.")


@WHOLE.promise
def part_of_the_vocabulary_has_its_gradients(case: DecoderCase) -> None:
    """``vocabulary`` of some ids has the gradients that it has among all."""
    decoder, found = case.fresh(), []
    ids = torch.tensor([[3, 8], [8, 5]])
    for subset in (True, False):
        rows = torch.ones(2, decoder.hidden_size, requires_grad=True)
        logits = (
            decoder.vocabulary(rows, ids) if subset else decoder.vocabulary(rows).gather(1, ids)
        )
        weights = (rows, *decoder.final_head().parameters())
        found.append(torch.autograd.grad(logits.square().sum(), weights))
    for got, expected in zip(*found, strict=True):
        require_close(got, expected, "gradients of some logits differ")


@WHOLE.promise
def costs_what_torch_counts(case: DecoderCase) -> None:
    """``encoder_macs``, ``cost`` and ``vocabulary_cost`` add up to what torch counts."""
    decoder, source, target = case.fresh(), 17, 11
    decoder.model.requires_grad_(False)  # not no_grad: torch's counter trips over bare weights
    ids, targets = torch.full((1, source), 7), torch.full((1, target), 7)
    with FlopCounterMode(display=False) as encoder:
        decoder.encode(ids, torch.ones_like(ids))
    told, counted = decoder.encoder_macs(source), encoder.get_total_flops() // 2
    require(told == counted, f"encoder_macs({source}) is {told}, and torch counts {counted}.")
    with FlopCounterMode(display=False) as whole:
        decoder.model(input_ids=ids, decoder_input_ids=targets, use_cache=False)
    cost = decoder.cost()
    layer = target * (cost.query + cost.key_value + cost.combine) + source * cost.cross_key_value
    layer += target * (target + source) * cost.pair
    told = decoder.num_layers * layer + target * decoder.vocabulary_cost()
    counted = (whole.get_total_flops() - encoder.get_total_flops()) // 2
    require(told == counted, f"a target of {target} takes {told}, and torch counts {counted}.")


@WHOLE.promise
def final_head_is_the_vocabulary(case: DecoderCase) -> None:
    """``final_head`` holds the weights of ``vocabulary``, all of them and no others."""
    require_whole_head(case.fresh(), "vocabulary")


@WHOLE.promise
@torch.no_grad()
def longest_texts_embed(case: DecoderCase) -> None:
    """Texts of ``max_length`` tokens are embedded on both sides, and longer ones are not."""
    decoder = case.shared()
    longest = decoder.max_length or 200
    ids, places = torch.full((longest,), 7), torch.arange(longest)
    for name, hidden in (
        ("embed", decoder.embed(ids, places)),
        ("encode", decoder.encode(ids[None], torch.ones_like(ids[None]))[0]),
    ):
        wanted = (longest, decoder.hidden_size)
        require(hidden.shape == wanted, f"{name}() gives {list(hidden.shape)}, not {wanted}.")
    if decoder.max_length is not None:
        require_raises(
            IndexError,
            partial(decoder.embed, ids, places + 1),
            f"place {longest} is embedded, which max_length, {longest}, forbids.",
        )
