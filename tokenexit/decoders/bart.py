"""BART and the families that share its modules: Marian, mBART, Pegasus."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from torch import Tensor
from torch.nn.functional import dropout
from transformers import AutoConfig, PretrainedConfig

from tokenexit.backbones.inference_modules import project, query_beside, residual, side_by_side
from tokenexit.decoders.bart_encoder import LEARNED_POSITIONS, PRE_NORM, BartEncoder
from tokenexit.decoders.bart_recipe import bart_recipe
from tokenexit.decoders.base import DECODERS, Decoder, DecoderCost
from tokenexit.decoders.recipe import DecoderRecipe


@DECODERS.register("bart", "marian", "mbart", "pegasus")
class BartDecoder(Decoder):
    """Decoder with absolute positions; its norms lie before or after each block."""

    stack = "layers"

    @property
    def capturable(self) -> bool:
        """All is computed where the rows are."""
        return True

    @cached_property
    def _layers(self) -> list[Any]:
        return list(self._stack.layers)

    @cached_property
    def _pre_norm(self) -> bool:
        return self.config.model_type in PRE_NORM

    @cached_property
    def inner_size(self) -> int:
        """Width of all heads together: that of the network."""
        return self.hidden_size

    @cached_property
    def max_length(self) -> int | None:
        """Longest text in tokens, special tokens included."""
        return int(self.config.max_position_embeddings)

    @cached_property
    def scaling(self) -> float:
        """Factor on the attention scores before the softmax."""
        return (self.hidden_size // self.num_heads) ** -0.5

    def cost(self) -> DecoderCost:
        """Multiply-accumulates of a decoder layer."""
        width, inner = self.hidden_size, int(self.config.decoder_ffn_dim)
        return DecoderCost(
            query=2 * width * width,
            key_value=2 * width * width,
            cross_key_value=2 * width * width,
            combine=2 * width * width + 2 * width * inner,
            pair=2 * width,
        )

    def encoder_macs(self, length: int) -> int:
        """Multiply-accumulates of the encoder on one source."""
        width, inner = self.hidden_size, int(self.config.encoder_ffn_dim)
        row = 4 * width * width + 2 * width * inner
        return int(self.config.encoder_layers) * (length * row + 2 * width * length**2)

    def embed(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        """Word and position embeddings."""
        stack = self._stack
        words = stack.embed_tokens(token_ids)
        places = stack.embed_positions(token_ids.shape, position_ids=positions)
        if self.config.model_type in LEARNED_POSITIONS:
            # Here the words come scaled, and the places with a batch dimension of their own.
            hidden = stack.layernorm_embedding(words + places[0])
        else:
            hidden = words * stack.embed_scale + places
        return _drop(stack, hidden)

    def source_encoder(self) -> BartEncoder:
        """The encoder in pieces."""
        return BartEncoder(self.model)

    def bias(self, query_pos: Tensor, key_pos: Tensor) -> None:
        """None: places enter with the embeddings."""
        return None

    def _before(self, norm: Any, rows: Tensor) -> Tensor:
        """Rows after the norm that pre-norm families put before a block."""
        return norm(rows) if self._pre_norm else rows

    def _after(self, norm: Any, rows: Tensor) -> Tensor:
        """Rows after the norm that post-norm families put behind a block and its residual."""
        return rows if self._pre_norm else norm(rows)

    def _attended(
        self, layer: Any, attention: Any, norm: Any, rows: Tensor, read: Tensor
    ) -> Tensor:
        """Output projection and residual, then the norm of post-norm families."""
        rows = residual(rows, attention.out_proj, read, partial(_drop, layer))
        return self._after(norm, rows)

    def self_projections(self, index: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Query, and key beside value."""
        layer = self._layers[index]
        attention, rows = layer.self_attn, self._before(layer.self_attn_layer_norm, rows)
        return query_beside(rows, attention.q_proj, attention.k_proj, attention.v_proj)

    def self_query(self, index: int, rows: Tensor) -> Tensor:
        """Query projection."""
        layer = self._layers[index]
        return layer.self_attn.q_proj(self._before(layer.self_attn_layer_norm, rows))

    def self_keys_values(self, index: int, rows: Tensor) -> Tensor:
        """Key beside value."""
        layer = self._layers[index]
        attention, rows = layer.self_attn, self._before(layer.self_attn_layer_norm, rows)
        return side_by_side(rows, attention.k_proj, attention.v_proj)

    def after_self(self, index: int, rows: Tensor, read: Tensor) -> Tensor:
        """Output projection and residual, then the norm of post-norm families."""
        layer = self._layers[index]
        return self._attended(layer, layer.self_attn, layer.self_attn_layer_norm, rows, read)

    def cross_query(self, index: int, rows: Tensor) -> Tensor:
        """Query projection."""
        layer = self._layers[index]
        return layer.encoder_attn.q_proj(self._before(layer.encoder_attn_layer_norm, rows))

    def cross_keys_values(self, index: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value projections of the source, which no norm of the layer touches."""
        attention = self._layers[index].encoder_attn
        keys, values = project(memory, attention.k_proj, attention.v_proj)
        return keys, values

    def after_cross(self, index: int, rows: Tensor, read: Tensor) -> Tensor:
        """Output projection and residual, then the norm of post-norm families."""
        layer = self._layers[index]
        return self._attended(layer, layer.encoder_attn, layer.encoder_attn_layer_norm, rows, read)

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """Feed-forward block with residual, its norm first or last."""
        layer = self._layers[index]
        inner = layer.activation_fn(layer.fc1(self._before(layer.final_layer_norm, rows)))
        inner = dropout(inner, layer.activation_dropout, layer.training)
        rows = residual(rows, layer.fc2, inner, partial(_drop, layer))
        return self._after(layer.final_layer_norm, rows)

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        attention = self._layers[index].self_attn
        return float(attention.dropout) if attention.training else 0.0

    def finish(self, rows: Tensor) -> Tensor:
        """The final norm, in pre-norm families."""
        return self._stack.layer_norm(rows) if self._pre_norm else rows

    def vocabulary(self, rows: Tensor, ids: Tensor | None = None) -> Tensor:
        """Logits of finished rows, with the bias that lies beside the head."""
        model: Any = self.model
        bias = model.final_logits_bias[0]
        return super().vocabulary(rows, ids) + (bias if ids is None else bias[ids])

    def recipe(self) -> DecoderRecipe | None:
        """The decoder as data."""
        return bart_recipe(self, self._stack)

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Two and four layers of width 32."""
        padding = 0 if model_type == "pegasus" else 1
        return AutoConfig.for_model(
            model_type,
            vocab_size=120,
            d_model=32,
            encoder_layers=2,
            encoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_layers=4,
            decoder_attention_heads=4,
            decoder_ffn_dim=48,
            max_position_embeddings=64,
            pad_token_id=padding,
            eos_token_id=2,
            decoder_start_token_id=2 if model_type in LEARNED_POSITIONS else padding,
            forced_eos_token_id=None,
        )


def _drop(module: Any, rows: Tensor) -> Tensor:
    """The dropout of a layer or stack, which is a number in these families."""
    return dropout(rows, module.dropout, module.training)
