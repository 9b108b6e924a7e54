"""A generator's decoder planned on the device, where ``use`` was told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from tokenexit.decoders import Decoder
from tokenexit.decoding.static import StaticDecoder, check_decoder

if TYPE_CHECKING:
    from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM


def static_decoder(model: ExitModelForSeq2SeqLM, decoder: Decoder) -> StaticDecoder | None:
    """The decoder in memory of fixed size, kept as long as nothing is done to the model.

    ``auto`` is eager on every device until ``static`` has been timed on a GPU.

    Args:
        model: The generator.
        decoder: From its ``for_inference``.

    Raises:
        UserError: ``static`` was asked for and does not serve the model.
    """
    if model.runtime != "static":
        return None
    exits, beside = model.exits(decoder), _beside(model)
    check_decoder(decoder, *beside.children())

    def make() -> StaticDecoder:
        return StaticDecoder(decoder, exits)

    return model._inference.keep(
        decoder, f"static {exits.layers}", make, beside if len(beside) else None, in_place=True
    )


def _beside(model: ExitModelForSeq2SeqLM) -> nn.ModuleDict:
    """What there is beside the network: the same object as long as that is the same."""
    found, known = model._side, vars(model).get("_side_known")
    if known is None or dict(known.items()) != dict(found.items()):
        known = vars(model)["_side_known"] = found
    return known
