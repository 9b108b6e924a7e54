"""The check of a decoder, an encoder-decoder family."""

from __future__ import annotations

from typing import Any

import torch

from tokenexit.decoders import DECODERS, Decoder
from tokenexit.testing.decoder_pieces import PIECES
from tokenexit.testing.decoder_whole import WHOLE, DecoderCase
from tokenexit.testing.networks import default_dtype


def check_decoder(decoder: str | type[Decoder], **changes: Any) -> None:
    """Check that a decoder keeps its promises, against the transformers model that it wraps.

    Networks are built from its ``example_config``, in double precision (T5's scores are not
    scaled, and magnify rounding), under every implementation of attention that the family has.

    Args:
        decoder: A registered ``model_type``, or the class: all that it is registered for.
        changes: Of the configuration, for another path through the family's code.

    Raises:
        AssertionError: It breaks one; the message says which, and how to mend it.
    """
    names = [name for name, cls in DECODERS.items() if decoder in (name, cls)]
    for name in names or [str(decoder)]:
        told = "".join(f", {key}={value!r}" for key, value in changes.items())
        told = f"{DECODERS.get(name).__name__}({name!r}{told})"
        with default_dtype(torch.float64):
            case = DecoderCase(name, changes)
            WHOLE.hold(case, told)
            PIECES.hold(case, told)
