"""A decoder laid out for kernels: made once, read by every decoding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tokenexit import kernels as compiled
from tokenexit.backbones.recipe import Linear, Norm, packed
from tokenexit.decoders import Decoder
from tokenexit.decoders.recipe import DecoderRecipe, LayerParts
from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.room import Room
from tokenexit.kernels import ACTIVATIONS, Library
from tokenexit.kernels.structs import zeros_of_none

_NORMS = {"layer": 1, "rms": 2}


class CompiledDecoder:
    """The matrices, norms and tables of a decoder as kernels read them.

    Args:
        decoder: The network.
        recipe: What it is made of.
        precision: ``int8``, ``fp32`` or ``bf16``.
        kernels: Who computes.
    """

    def __init__(
        self,
        decoder: Decoder,
        recipe: DecoderRecipe,
        precision: str,
        kernels: Library,
    ) -> None:
        self.decoder, self.precision, self.kernels = decoder, precision, kernels
        self.room = Room()
        self.narrow = precision != "fp32"
        """Whether keys and values are kept in bfloat16: reading them is what many rows wait for."""
        self.rules: dict[Any, Any] = {}
        """Policies that have been stated as rules for it; see ``rule_for``."""
        self._kept: list[Any] = []  # what the structs point to
        self._bias: Tensor | None = None
        layers = (structs.Layer * decoder.num_layers)(*map(self._layer, recipe.layers))
        self._kept.append(layers)
        self.struct = structs.Model(
            layers=decoder.num_layers,
            hidden=decoder.hidden_size,
            heads=decoder.num_heads,
            head_size=decoder.inner_size // decoder.num_heads,
            vocabulary=decoder.vocab_size,
            num_words=len(recipe.words),
            pre_norm=recipe.pre_norm,
            activation=ACTIVATIONS[recipe.activation],
            narrow=self.narrow,
            scaling=decoder.scaling,
            word_scale=recipe.word_scale,
            final_scale=recipe.final_scale,
            words=self._numbers(recipe.words),
            places=self._numbers(recipe.places),
            embed_norm=self._norm(recipe.embed_norm),
            final_norm=self._norm(recipe.final_norm),
            head=self._matrix(recipe.head),
            layer=structs.address(layers),
        )
        self.address = structs.address(self.struct)

    @property
    def block_bytes(self) -> int:
        """Size of the keys of 16 places of one layer, or of their values."""
        head = -(-self.struct.head_size // 16) * 16
        return self.decoder.num_heads * head * 16 * (2 if self.narrow else 4)

    def bias(self, width: int) -> Tensor | None:
        """Position bias of keys that end at the query, ``[heads, width]``, or None."""
        if self._bias is None or self._bias.shape[1] < width:
            places = torch.arange(width)
            with torch.no_grad():
                made = self.decoder.bias(places[-1:], places)
            self._bias = None if made is None else made[:, 0].float().contiguous()
        return self._bias

    # --- states to numbers ------------------------------------------------------------------

    def score(self, hidden: Tensor) -> Tensor:
        """Vocabulary logits of states, ``[N, H] -> [N, V]``."""
        made = torch.empty(len(hidden), self.struct.vocabulary)
        given = hidden.contiguous()
        self.kernels.match_threads()
        self.kernels.decode_score(self.address, given.data_ptr(), len(given), made.data_ptr())
        return made

    def finish(self, hidden: Tensor) -> Tensor:
        """States as the vocabulary reads them, ``[N, H]``."""
        made, given = torch.empty_like(hidden), hidden.contiguous()
        self.kernels.decode_finish(self.address, given.data_ptr(), len(given), made.data_ptr())
        return made

    # --- laying out -------------------------------------------------------------------------

    def _layer(self, parts: LayerParts) -> structs.Layer:
        return structs.Layer(
            self_norm=self._norm(parts.self_norm),
            cross_norm=self._norm(parts.cross_norm),
            feed_norm=self._norm(parts.feed_norm),
            query_key_value=self._matrix(parts.query, parts.key, parts.value),
            key_value=self._matrix(parts.key, parts.value),
            out=self._matrix(parts.out),
            cross_query=self._matrix(parts.cross_query),
            cross_key_value=self._matrix(parts.cross_key, parts.cross_value),
            cross_out=self._matrix(parts.cross_out),
            inner=self._matrix(parts.inner),
            gate=None if parts.gate is None else self._matrix(parts.gate),
            outer=self._matrix(parts.outer),
        )

    def _matrix(self, *parts: Linear) -> int:
        """Products of the same rows as one."""
        matrix = packed(self.kernels, self.precision, parts)
        self._kept.append(matrix)
        return matrix.pointer

    @zeros_of_none(structs.Norm)
    def _norm(self, norm: Norm) -> structs.Norm:
        return structs.Norm(
            kind=_NORMS[norm.kind],
            epsilon=norm.epsilon,
            weight=self._numbers(norm.weight),
            bias=self._numbers(norm.bias),
        )

    def _numbers(self, values: Tensor | None) -> int | None:
        if values is None:
            return None
        kept = values.detach().contiguous()
        self._kept.append(kept)
        return kept.data_ptr()


def compile_decoder(decoder: Decoder, precision: str) -> CompiledDecoder | None:
    """Lay a decoder out for kernels.

    Args:
        decoder: The network, or a twin of it in the precision asked for.
        precision: ``int8``, ``fp32`` or ``bf16``.

    Returns:
        None where there are no kernels, or the decoder is not made of parts that they know.

    Raises:
        UserError: A weight is NaN or infinite.
    """
    kernels = compiled.library()
    recipe = decoder.recipe()
    if kernels is None or recipe is None:
        return None
    return CompiledDecoder(decoder, recipe, precision, kernels)
