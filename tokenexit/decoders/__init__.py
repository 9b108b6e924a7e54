"""Decoders: encoder-decoder families, one short adapter each, found by themselves."""

from __future__ import annotations

from transformers import PreTrainedModel

from tokenexit.backbones.base import check_depth
from tokenexit.decoders.base import DECODERS, Decoder, DecoderCost
from tokenexit.errors import UserError

__all__ = ["DECODERS", "Decoder", "DecoderCost", "adapt_decoder"]


def adapt_decoder(model: PreTrainedModel) -> Decoder:
    """Wrap an encoder-decoder of transformers in the adapter of its family.

    Raises:
        UserError: The model is no encoder-decoder, its family is not supported (the message
            lists those that are), or it has no vocabulary head.
    """
    kind = str(model.config.model_type)
    names = [name for name, _ in DECODERS.items()]
    supported = f"Supported types: {', '.join(names)}."
    if not model.config.is_encoder_decoder:
        raise UserError(
            f"{type(model).__name__} (type {kind!r}) is not an encoder-decoder: it has an encoder "
            f"or a decoder alone, and decoding needs both. {supported}"
        )
    if kind not in names:
        raise UserError(
            f"Encoder-decoders of type {kind!r} are not supported. {supported} "
            "A new family is one file in tokenexit/decoders."
        )
    if model.get_output_embeddings() is None:
        raise UserError(
            f"{type(model).__name__} has no vocabulary head. "
            "Load the model with AutoModelForSeq2SeqLM."
        )
    decoder = DECODERS.get(kind)(model)
    check_depth(model.get_decoder(), decoder.stack, decoder.num_layers)
    return decoder
