"""Attention of decoding: one call, whatever types its parts come in."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tokenexit.decoders import Decoder


def attend(
    decoder: Decoder, asked: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None
) -> Tensor:
    """What queries read.

    Args:
        decoder: Whose scale.
        asked: ``[R, h, A, d]``.
        keys: ``[R, h, M, d]``.
        values: As ``keys``.
        bias: Added to the scores, or None.

    Returns:
        ``[R, h, A, d]``, in the type of ``asked``.
    """
    kind = asked.dtype
    if keys.dtype != kind:  # such as written under autocast, and read without it
        keys, values = keys.to(kind), values.to(kind)
    if bias is not None and bias.dtype != kind:
        bias = bias.to(kind)
    return F.scaled_dot_product_attention(
        asked, keys, values, attn_mask=bias, scale=decoder.scaling
    )
