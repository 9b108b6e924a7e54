"""T5 and mT5."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig

from tokenexit.backbones.adapter import of_config
from tokenexit.backbones.inference_modules import (
    InferenceModule,
    Product,
    RootMeanSquareNorm,
    project,
    query_beside,
    residual,
    side_by_side,
)
from tokenexit.backbones.twin import unheard
from tokenexit.decoders.base import DECODERS, Decoder, DecoderCost
from tokenexit.decoders.recipe import DecoderRecipe
from tokenexit.decoders.t5_encoder import T5Encoder, held
from tokenexit.decoders.t5_recipe import t5_recipe


@DECODERS.register("t5", "mt5")
class T5Decoder(Decoder):
    """Pre-norm decoder with relative positions, the same bias in every layer."""

    stack = "block"
    num_layers = of_config("num_decoder_layers")
    num_heads = of_config("num_heads")

    @property
    def capturable(self) -> bool:
        """All is computed where the rows are."""
        return True

    @cached_property
    def _layers(self) -> list[tuple[Any, ...]]:
        return [tuple(block.layer) for block in self._stack.block]

    @cached_property
    def inner_size(self) -> int:
        """Width of all heads together, free of the width of the network."""
        return self.num_heads * int(self.config.d_kv)

    @cached_property
    def max_length(self) -> int | None:
        """None: positions are relative."""
        return None

    @cached_property
    def scaling(self) -> float:
        """One: T5 folds the scale into its initialisation."""
        return 1.0

    @cached_property
    def _scaled(self) -> bool:
        # mT5 has no such field: it never scales.
        return bool(getattr(self.config, "scale_decoder_outputs", False))

    def _feed_forward_macs(self) -> int:
        matrices = 3 if self.config.is_gated_act else 2
        return matrices * self.hidden_size * int(self.config.d_ff)

    def cost(self) -> DecoderCost:
        """Multiply-accumulates of a decoder layer."""
        projection = self.hidden_size * self.inner_size
        return DecoderCost(
            query=2 * projection,
            key_value=2 * projection,
            cross_key_value=2 * projection,
            combine=2 * projection + self._feed_forward_macs(),
            pair=2 * self.inner_size,
        )

    def encoder_macs(self, length: int) -> int:
        """Multiply-accumulates of the encoder on one source."""
        row = 4 * self.hidden_size * self.inner_size + self._feed_forward_macs()
        pairs = 2 * self.inner_size * length**2
        return int(self.config.num_layers) * (length * row + pairs)

    def embed(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        """Word embeddings; places enter through ``bias``."""
        return self._stack.dropout(self._stack.embed_tokens(token_ids))

    def source_encoder(self) -> T5Encoder:
        """The encoder in pieces."""
        return T5Encoder(self.model)

    def bias(self, query_pos: Tensor, key_pos: Tensor) -> Tensor:
        """The first layer's bias for the distance of each pair, bucketed."""
        attention = self._layers[0][0].SelfAttention
        buckets = attention._relative_position_bucket(
            key_pos[..., None, :] - query_pos[..., :, None],
            bidirectional=False,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        return attention.relative_attention_bias(buckets).movedim(-1, -3)

    def self_query(self, index: int, rows: Tensor) -> Tensor:
        """Query projection of the normed rows."""
        layer = self._layers[index][0]
        return layer.SelfAttention.q(layer.layer_norm(rows))

    def self_keys_values(self, index: int, rows: Tensor) -> Tensor:
        """Key and value projections of the normed rows."""
        layer = self._layers[index][0]
        attention = layer.SelfAttention
        return side_by_side(layer.layer_norm(rows), attention.k, attention.v)

    def self_projections(self, index: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Projections of the normed rows."""
        layer = self._layers[index][0]
        attention, rows = layer.SelfAttention, layer.layer_norm(rows)
        return query_beside(rows, attention.q, attention.k, attention.v)

    def after_self(self, index: int, rows: Tensor, read: Tensor) -> Tensor:
        """Output projection and residual."""
        layer = self._layers[index][0]
        return held(residual(rows, layer.SelfAttention.o, read, layer.dropout))

    def cross_query(self, index: int, rows: Tensor) -> Tensor:
        """Query projection of the normed rows."""
        layer = self._layers[index][1]
        return layer.EncDecAttention.q(layer.layer_norm(rows))

    def cross_keys_values(self, index: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value projections of the source, whose norm the encoder has applied."""
        attention = self._layers[index][1].EncDecAttention
        keys, values = project(memory, attention.k, attention.v)
        return keys, values

    def after_cross(self, index: int, rows: Tensor, read: Tensor) -> Tensor:
        """Output projection and residual."""
        layer = self._layers[index][1]
        return held(residual(rows, layer.EncDecAttention.o, read, layer.dropout))

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """The model's own sub-layer, gated or not."""
        return held(self._layers[index][-1](rows))

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        attention = self._layers[index][0].SelfAttention
        return float(attention.dropout) if attention.training else 0.0

    def finish(self, rows: Tensor) -> Tensor:
        """Final norm, and the scale that goes with the head of the first T5."""
        rows = self._stack.dropout(self._stack.final_layer_norm(rows))
        return rows * self.hidden_size**-0.5 if self._scaled else rows

    def lean(self, module: Any) -> nn.Module | None:
        """T5's norm and feed-forward block in few kernels."""
        block = self._layers[0][-1]
        if type(module) is type(block.layer_norm):
            return RootMeanSquareNorm(module.weight, module.variance_epsilon)
        if type(module) is not type(block) or not all(map(unheard, module.modules())):
            return None
        return _FeedForward(module) if isinstance(module.DenseReluDense.wo, Product) else None

    def recipe(self) -> DecoderRecipe | None:
        """The decoder as data."""
        return t5_recipe(self, self._stack, self._scaled)

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Two and four layers of width 32."""
        return AutoConfig.for_model(
            model_type,
            vocab_size=120,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_decoder_layers=4,
            num_heads=4,
            # Few enough that short texts reach the buckets of several distances.
            relative_attention_num_buckets=8,
            relative_attention_max_distance=16,
            pad_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=0,
        )


class _FeedForward(InferenceModule):
    """Norm, dense block and residual; ``block`` is the twin of the model's own."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.DenseReluDense = dense = block.DenseReluDense
        self.layer_norm, self._out = block.layer_norm, dense.wo
        self._gated = hasattr(dense, "wi_0")
        self._in = dense.wi_0 if self._gated else dense.wi
        self._beside = dense.wi_1 if self._gated else None
        self._act = dense.act
        # The usual activation is part of the product.
        self._relu = type(dense.act) is nn.ReLU and isinstance(self._in, Product)
        self.__dict__.update(self._modules)

    def forward(self, rows: Tensor) -> Tensor:
        normed = self.layer_norm(rows)
        if self._beside is not None:
            inner, factor = project(normed, self._in, self._beside)
            return self._out.plus(self._act(inner) * factor, rows)
        inner = self._in.relu(normed) if self._relu else self._act(self._in(normed))
        return self._out.plus(inner, rows)
