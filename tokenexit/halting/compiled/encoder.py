"""A network as compiled kernels see it: built from recipes, in one precision."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit import kernels
from tokenexit.backbones import Backbone, as_data
from tokenexit.backbones.recipe import (
    EmbeddingRecipe,
    HeadRecipe,
    LayerRecipe,
    Linear,
    Norm,
    packed,
)
from tokenexit.halting.compiled import structs
from tokenexit.halting.compiled.structs import address
from tokenexit.halting.flat import FlatTexts
from tokenexit.heads import ExitHeads
from tokenexit.heads.linear import LinearHead
from tokenexit.heads.mlp import MLPHead
from tokenexit.heads.pooled import PooledHead
from tokenexit.kernels.structs import zeros_of_none

_LEAST_SPAN = 64
"""Places that position biases reach at least."""


@dataclass(frozen=True, eq=False)
class CompiledEncoder:
    """Structs of C, and what they point to.

    Norms, tables and heads are read where the network has them. Matrices are copies: whoever
    changes the network's has to compile anew.

    Attributes:
        library: The kernels.
        precision: Of the large products.
        num_layers: ``L``.
        width: ``H``.
        classes: ``C``.
        entries: Of the vocabulary.
        exits: Layers below the top with an exit, from 1.
        scores: Whether kernels know all heads; else nothing below asks them to score.
        mean: Whether heads below the top read the mean of a word's rows.
        struct: The whole.
        last: What others keep of the last call, by name.
    """

    library: Any
    precision: str
    num_layers: int
    width: int
    classes: int
    entries: int
    exits: tuple[int, ...]
    scores: bool
    mean: bool
    struct: structs.Encoder
    last: dict[str, Any]
    _layers: Sequence[LayerRecipe] = field(repr=False)
    _kept: Sequence[Any] = field(repr=False)
    _reaching: dict[int, tuple[Any, ...]] = field(repr=False, default_factory=dict)

    def score(self, layer: int, rows: Tensor) -> Tensor:
        """What the head behind a layer, from 1, says of states, ``[N, H] -> [N, C]``."""
        rows = rows.contiguous()
        made = torch.empty(len(rows), self.classes)
        self.library.encoder_score(
            ctypes.addressof(self.struct), layer - 1, rows.data_ptr(), len(rows), made.data_ptr()
        )
        return made

    def reaching(self, texts: FlatTexts) -> structs.Encoder:
        """The whole, with position biases that reach as far as the longest text."""
        if self._layers[0].position_bias is None:
            return self.struct
        longest = int(np.diff(texts.row_start).max(initial=_LEAST_SPAN))
        span = 1 << (longest - 1).bit_length()
        if span not in self._reaching:
            self._reaching[span] = self._with_biases(span)
        return self._reaching[span][0]

    def _with_biases(self, span: int) -> tuple[Any, ...]:
        stack = (structs.Layer * self.num_layers).from_address(self.struct.layers)
        stack = type(stack)(*stack)
        tables = {}
        for layer, recipe in zip(stack, self._layers, strict=True):
            bias = recipe.position_bias
            if bias is not None and bias not in tables:
                with torch.no_grad():
                    tables[bias] = bias(span).float().contiguous()
            layer.bias, layer.span = address(tables.get(bias)), span
        whole = structs.Encoder.from_buffer_copy(self.struct)
        whole.layers = ctypes.addressof(stack)
        return whole, stack, tables


def compile_encoder(backbone: Backbone, heads: Any, precision: str) -> CompiledEncoder | None:
    """Lay a network out for the kernels.

    Args:
        backbone: The network.
        heads: Exit heads below the top, or what stands for them in a source encoder.
        precision: Of the large products.

    Returns:
        None where there are no kernels, or the adapter has no recipe for some part.
    """
    library = kernels.library()
    embedding = backbone.embedding_recipe()
    layers = [backbone.recipe(index) for index in range(backbone.num_layers)]
    if library is None or embedding is None:
        return None
    known = [layer for layer in layers if layer is not None]
    if len(known) < len(layers):
        return None
    return _Builder(library, precision).encoder(backbone, heads, known, embedding)


def head_recipe(head: Any) -> HeadRecipe | None:
    """An exit head as data, if it is of a kind that has one."""
    if type(head) is LinearHead and as_data.untouched(head):
        return as_data.head(head.project, drops=(head.dropout,))
    if type(head) is MLPHead and as_data.untouched(head):
        return as_data.head(head.project, head.expand, head.activation, drops=(head.dropout,))
    if type(head) is PooledHead and as_data.untouched(head):
        return as_data.head(head.project, head.dense, torch.tanh, drops=(head.dropout,))
    return None


class _Builder:
    """Makes structs and keeps alive what they point to."""

    def __init__(self, library: Any, precision: str) -> None:
        self._library = library
        self._precision = precision
        self._kept: list[Any] = []
        self._matrices: dict[tuple[Any, ...], int] = {}

    def encoder(
        self,
        backbone: Backbone,
        heads: Any,
        layers: Sequence[LayerRecipe],
        embedding: EmbeddingRecipe,
    ) -> CompiledEncoder:
        recipes: list[HeadRecipe | None] = [None] * len(layers)
        real = isinstance(heads, ExitHeads)
        for layer in heads.layers if real else ():
            recipes[layer - 1] = head_recipe(heads.at(layer))
        recipes[-1] = backbone.top_recipe() if real else None
        exits = tuple(heads.layers)
        scores = all(map(_in_float32, (recipes[layer - 1] for layer in (*exits, len(layers)))))
        classes = int(backbone.config.num_labels) if real else 0
        stack = (structs.Layer * len(layers))(*(self.layer(layer) for layer in layers))
        tops = (structs.Head * len(layers))(*(self.head(r if scores else None) for r in recipes))
        mean = heads.pool == "mean"
        self._kept += [stack, tops]
        struct = structs.Encoder(
            num_layers=len(layers),
            width=backbone.hidden_size,
            classes=classes,
            mean=mean,
            embedding=self.embedding(embedding),
            final_norm=self.norm(backbone.final_norm()),
            layers=ctypes.addressof(stack),
            heads=ctypes.addressof(tops),
        )
        return CompiledEncoder(
            library=self._library,
            precision=self._precision,
            num_layers=len(layers),
            width=backbone.hidden_size,
            classes=classes,
            entries=len(embedding.tokens),
            exits=exits,
            scores=scores,
            mean=mean,
            struct=struct,
            last={},
            _layers=layers,
            _kept=self._kept,
        )

    def layer(self, recipe: LayerRecipe) -> structs.Layer:
        of_a_twin = recipe.query.layer is not None
        if of_a_twin and len(recipe.query.weight) % kernels.PANEL == 0:
            # All three in one memory, of which two are a stretch.
            self.matrix(recipe.query, recipe.key, recipe.value)
        return structs.Layer(
            query=self.matrix(recipe.query),
            key_value=self.matrix(recipe.key, recipe.value),
            output=self.matrix(recipe.output),
            ff_in=self.matrix(recipe.ff_in),
            gate=None if recipe.gate is None else self.matrix(recipe.gate),
            ff_out=self.matrix(recipe.ff_out),
            attention_norm=self.norm(recipe.attention_norm),
            ff_norm=self.norm(recipe.ff_norm),
            pre_norm=recipe.pre_norm,
            activation=kernels.ACTIVATIONS[recipe.activation],
            heads=recipe.heads,
            scale=recipe.scale,
        )

    def embedding(self, recipe: EmbeddingRecipe) -> structs.Embedding:
        return structs.Embedding(
            tokens=self.place(recipe.tokens),
            places=self.place(recipe.places),
            segments=self.place(recipe.segments),
            project=None if recipe.project is None else self.matrix(recipe.project),
            norm=self.norm(recipe.norm),
            scale=recipe.scale,
            width=recipe.tokens.shape[1],
            first_place=recipe.first_place,
            padding=-1 if recipe.padding is None else recipe.padding,
        )

    @zeros_of_none(structs.Head)
    def head(self, recipe: HeadRecipe) -> structs.Head:
        return structs.Head(
            dense=self.dense(recipe.dense),
            project=self.dense(recipe.project),
            activation=kernels.ACTIVATIONS[recipe.activation],
        )

    @zeros_of_none(structs.Dense)
    def dense(self, linear: Linear) -> structs.Dense:
        outputs, inputs = linear.weight.shape
        return structs.Dense(
            self.place(linear.weight), self.place(linear.bias), inputs=inputs, outputs=outputs
        )

    @zeros_of_none(structs.Norm)
    def norm(self, recipe: Norm) -> structs.Norm:
        return structs.Norm(
            weight=self.place(recipe.weight),
            bias=self.place(recipe.bias),
            epsilon=recipe.epsilon,
            rms=recipe.kind == "rms",
        )

    def matrix(self, *linears: Linear) -> int:
        """Several products of the same rows as one matrix, made once."""
        key = tuple(id(x.layer) if x.layer else x.weight.data_ptr() for x in linears)
        if key not in self._matrices:
            made = packed(self._library, self._precision, linears)
            self._kept += [made, linears]
            self._matrices[key] = made.pointer
        return self._matrices[key]

    def place(self, tensor: Tensor | None) -> int | None:
        """Where a tensor lies, which stays there."""
        if tensor is None:
            return None
        self._kept.append(tensor)
        return address(tensor)


def _in_float32(recipe: HeadRecipe | None) -> bool:
    """Whether kernels may read a head where the network has it."""
    parts = () if recipe is None else (recipe.project, recipe.dense)
    weights = [part.weight for part in parts if part is not None]
    return bool(weights) and all(weight.dtype == torch.float32 for weight in weights)
