"""ModernBERT: rotary positions, and windows of attention in most layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, PretrainedConfig
from transformers.masking_utils import (
    create_bidirectional_mask,
    create_bidirectional_sliding_window_mask,
)
from transformers.models.modernbert.modeling_modernbert import rotate_half

from tokenexit.backbones.base import BACKBONES, Backbone, LayerCost
from tokenexit.backbones.channels import Channels, ChannelsOfLayer
from tokenexit.backbones.choosing import PartLinear
from tokenexit.backbones.inference_modules import is_linear
from tokenexit.backbones.projected import tiny
from tokenexit.backbones.reduced import Reduced


@BACKBONES.register("modernbert")
class ModernBertBackbone(Backbone):
    """Pre-norm encoder; keys depend on positions, so nothing is absorbable."""

    stack = "layers"

    @property
    def capturable(self) -> bool:
        """Unless rotary tables grow with the longest text, which the host looks for."""
        kinds = getattr(self.base.rotary_emb, "rope_type", {})
        return "dynamic" not in str(kinds)

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of layer ``index``; the gated block has three matrices."""
        # Windows are cut by a mask: far pairs are computed as well.
        width = self.hidden_size
        return LayerCost.of(width, 3 * width * self.neurons(index), self.inner(index))

    def channels(self, index: int) -> ChannelsOfLayer:
        """Queries, keys and values lie in one matrix, and so do neurons and their gates."""
        attention, block = self.base.layers[index].attn, self.base.layers[index].mlp
        width = self.hidden_size // self.num_heads
        return ChannelsOfLayer(
            Channels((attention.Wqkv,), attention.Wo, width, blocks=3),
            Channels((block.Wi,), block.Wo, blocks=2),
        )

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word embeddings; positions enter in the layers."""
        return self.base.embeddings(input_ids=input_ids)

    def context(self, hidden: Tensor, attention_mask: Tensor) -> Any:
        """Mask and rotary tables of each kind of layer."""
        given: dict[str, Any] = {
            "config": self.config,
            "inputs_embeds": hidden,
            "attention_mask": attention_mask,
        }
        masks = {
            "full_attention": create_bidirectional_mask(**given),
            "sliding_attention": create_bidirectional_sliding_window_mask(**given),
        }
        places = torch.arange(hidden.shape[1], device=hidden.device)[None]
        return {
            kind: (masks[kind], self.base.rotary_emb(hidden, places, kind))
            for kind in set(self.config.layer_types)
        }

    def layer(self, index: int, hidden: Tensor, context: Any) -> Tensor:
        """The model's own layer."""
        layer = self.base.layers[index]
        mask, rotary = context[layer.attention_type]
        return layer(hidden, attention_mask=mask, position_embeddings=rotary)

    def _project(self, index: int, rows: Tensor, part: slice) -> Tensor:
        # One fused matrix, rows of which are queries, keys and values in turn.
        layer = self.base.layers[index]
        fused = layer.attn.Wqkv
        if isinstance(fused, Reduced | PartLinear):
            return fused.part(part)(layer.attn_norm(rows))
        if not is_linear(fused):  # such as one with an adapter
            return fused(layer.attn_norm(rows))[..., part]
        bias = None if fused.bias is None else fused.bias[part]
        return F.linear(layer.attn_norm(rows), fused.weight[part], bias)

    def _rotate(self, index: int, rows: Tensor, positions: Tensor) -> Tensor:
        cos, sin = self.base.rotary_emb(rows, positions, self.base.layers[index].attention_type)
        heads = rows.unflatten(-1, (self.heads(index), -1)).float()
        turned = heads * cos[:, None] + rotate_half(heads) * sin[:, None]
        return turned.flatten(-2).to(rows.dtype)

    def queries(self, index: int, rows: Tensor, positions: Tensor) -> Tensor:
        """Norm, query projection and rotation."""
        asked = self._project(index, rows, slice(0, self.inner(index)))
        return self._rotate(index, asked, positions)

    def keys_values(self, index: int, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Norm, key and value projections; keys rotated."""
        part = slice(self.inner(index), 3 * self.inner(index))
        keys, values = self._project(index, rows, part).chunk(2, dim=-1)
        return self._rotate(index, keys, positions), values

    def after_attention(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection and residual."""
        attention = self.base.layers[index].attn
        return rows + attention.out_drop(attention.Wo(attended))

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """Gated feed-forward block, with norm and residual."""
        layer = self.base.layers[index]
        return rows + layer.mlp(layer.mlp_norm(rows))

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        attention = self.base.layers[index].attn
        return float(attention.attention_dropout) if attention.training else 0.0

    def bias(
        self, index: int, queries: Tensor, keys: Tensor, query_pos: Tensor, key_pos: Tensor
    ) -> Tensor | None:
        """The window of a local layer, ``[S, 1, A, M]``; None in a global one."""
        if self.base.layers[index].attention_type != "sliding_attention":
            return None
        distance = (query_pos[:, :, None] - key_pos[:, None, :]).abs()
        # Finite, so that an unused slot far from every key gives no NaN; half, so that it
        # stays finite in float16 when scores are added.
        far = torch.finfo(queries.dtype).min / 2
        bias = queries.new_zeros(distance.shape)
        return bias.masked_fill_(distance > self.config.sliding_window, far)[:, None]

    def finish(self, rows: Tensor) -> Tensor:
        """Final norm."""
        return self.base.final_norm(rows)

    def classify(self, rows: Tensor) -> Tensor:
        """Dense block and classifier."""
        return self.final_head()(rows)

    def final_head(self) -> nn.Module:
        """Dense block, dropout and classifier."""
        model: Any = self.model
        return nn.Sequential(model.head, model.drop, model.classifier)

    def classify_cost(self) -> int:
        """Multiply-accumulates of ``classify``, per row."""
        return self.hidden_size * (self.hidden_size + int(self.config.num_labels))

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Four layers of width 32, every second one with a window of four to each side."""
        more = {"local_attention": 8, "global_attn_every_n_layers": 2}
        dropouts = {"attention_dropout": 0.1, "mlp_dropout": 0.1, "classifier_dropout": 0.1}
        begins, ends = ("bos_token_id", "cls_token_id"), ("eos_token_id", "sep_token_id")
        tokens = dict.fromkeys(begins, 1) | dict.fromkeys(ends, 2) | {"pad_token_id": 0}
        return AutoConfig.for_model(model_type, **tiny(**more, **dropouts, **tokens))
