"""A generator's decoder in compiled kernels, where ``use`` was told a precision."""

from __future__ import annotations

from functools import partial
from typing import Any

from tokenexit import kernels
from tokenexit.backbones import Inference
from tokenexit.decoders import Decoder
from tokenexit.decoding.compiled import CompiledDecoder, compile_decoder


def compiled_decoder(inference: Inference[Any], decoder: Decoder) -> CompiledDecoder | None:
    """The decoder laid out for kernels, as long as nothing is done to the model.

    Args:
        inference: Of the model.
        decoder: What it gave.

    Returns:
        None where no precision was asked for, where there are no kernels, or where they do not
        know what the decoder is made of: torch's operators compute the same.
    """
    precision = inference.precision
    if precision not in kernels.KINDS or decoder.model.device.type != "cpu":
        return None
    return inference.keep(decoder, "kernels", partial(compile_decoder, decoder, precision))
