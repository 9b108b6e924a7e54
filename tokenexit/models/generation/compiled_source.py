"""Sources of a generator through compiled kernels, without their padding."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit import kernels
from tokenexit.backbones import Inference
from tokenexit.decoders import Decoder
from tokenexit.decoders.source_encoder import NoHeads
from tokenexit.halting import Sentence
from tokenexit.halting.compiled import CompiledEncoder, compile_encoder
from tokenexit.halting.compiled.steps import run_states
from tokenexit.halting.flat import FlatTexts

_TEXT = Sentence([], [])  # of which the kernels are told elsewhere


def encode_compiled(
    inference: Inference[Any], decoder: Decoder, input_ids: Tensor, mask: Tensor
) -> Tensor | None:
    """Encoder states at full depth, ``[B, S, H]``; zeros at padding.

    Args:
        inference: Of the model.
        decoder: What it gave.
        input_ids: ``[B, S]``.
        mask: 1 for real tokens, ``[B, S]``.

    Returns:
        None where kernels have no part in it: see ``compiled_decoder``. Sources that are not
        padded on the right have other places than kernels would count.
    """
    precision = inference.precision
    if precision not in kernels.KINDS or not input_ids.is_cpu:
        return None
    encoder = inference.keep(decoder, "source", partial(_compile, decoder, precision))
    real = mask.bool()
    if encoder is None or bool((real[:, 1:] & ~real[:, :-1]).any()):
        return None
    states = run_states(encoder, _texts(input_ids, real))
    if len(states) == real.numel():
        return states.view(*real.shape, -1)
    memory = states.new_zeros(*real.shape, states.shape[1])
    memory[real] = states
    return memory


def _compile(decoder: Decoder, precision: str) -> CompiledEncoder | None:
    encoder = decoder.source_encoder()
    return compile_encoder(encoder, NoHeads(encoder), precision)


def _texts(input_ids: Tensor, real: Tensor) -> FlatTexts:
    """Every token is a word of its own."""
    lengths = real.sum(dim=1).numpy()
    start = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=start[1:])
    ids = input_ids[real].to(torch.int32).numpy()
    place = np.arange(len(ids), dtype=np.int32) - np.repeat(start[:-1], lengths)
    return FlatTexts([_TEXT] * len(lengths), start, start, ids, place, place, None)
