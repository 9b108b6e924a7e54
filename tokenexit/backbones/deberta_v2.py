"""DeBERTa-v2 and v3: scores with relative positions on either side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from tokenexit.backbones.base import BACKBONES, LayerCost
from tokenexit.backbones.channels import ChannelsOfLayer
from tokenexit.backbones.projected import Projected, tiny
from tokenexit.errors import UserError


@BACKBONES.register("deberta-v2")
class DebertaV2Backbone(Projected):
    """Post-norm encoder with disentangled attention.

    A score has up to three terms: content to content, content to position (``c2p``) and
    position to content (``p2c``). The latter two are this family's ``bias``.

    Raises:
        UserError: The model has a convolution after its first layer.
    """

    stack = "encoder.layer"
    attention = "attention.self"
    query_key_value = ("query_proj", "key_proj", "value_proj")

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        if self.base.encoder.conv is not None:
            raise UserError(
                "This DeBERTa-v2 model mixes neighbouring tokens by a convolution "
                f"(conv_kernel_size={self.config.conv_kernel_size}), which cannot run on chosen "
                "tokens alone. Use a checkpoint without one: microsoft/deberta-v3-xsmall, "
                "-small, -base, -large or microsoft/mdeberta-v3-base."
            )
        self._buckets: dict[tuple[int, int, torch.device], Tensor] = {}

    def _dense(self, index: int) -> tuple[Any, Any, Any]:
        layer = self._layer(index)
        return layer.attention.output.dense, layer.intermediate.dense, layer.output.dense

    def channels(self, index: int) -> ChannelsOfLayer:
        """Heads have rows of the projections of relative positions as well."""
        attention, found = self._attention(index), super().channels(index)
        names = "pos_key_proj", "pos_query_proj"
        more = [module for n in names if (module := getattr(attention, n, None)) is not None]
        return replace(found, heads=replace(found.heads, into=(*found.heads.into, *more)))

    def _kinds(self, index: int) -> set[str]:
        attention = self._attention(index)
        return (
            {"c2p", "p2c"} & set(attention.pos_att_type) if attention.relative_attention else set()
        )

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of layer ``index``; a row meets each relative position once."""
        width, inner = self.hidden_size, self.inner(index)
        attention, kinds = self._attention(index), self._kinds(index)
        distances = 2 * attention.pos_ebd_size if kinds else 0
        # With shared weights the model projects both tables, whichever it uses.
        tables = 2 if attention.share_att_key else len(kinds)
        return LayerCost(
            query=width * inner + ("c2p" in kinds) * distances * inner,
            key_value=2 * width * inner + ("p2c" in kinds) * distances * inner,
            combine=width * inner + 2 * width * self.neurons(index),
            pair=2 * inner,
            fixed=tables * distances * width * inner,
        )

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word embeddings, with positions and segments where the model has them.

        Padding is not zeroed as in the model: no real token sees it.
        """
        return self._embeddings(input_ids, positions, segments)

    def context(self, hidden: Tensor, attention_mask: Tensor) -> Any:
        """Padding mask, relative positions and their embeddings."""
        encoder = self.base.encoder
        return {
            "attention_mask": encoder.get_attention_mask(attention_mask),
            "relative_pos": encoder.get_rel_pos(hidden),
            "rel_embeddings": encoder.get_rel_embedding(),
        }

    def layer(self, index: int, hidden: Tensor, context: Any) -> Tensor:
        """The model's own layer."""
        return self._layer(index)(hidden, **context)[0]

    def after_attention(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection, residual and norm."""
        return self._layer(index).attention.output(attended, rows)

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """Feed-forward block, with residual and norm."""
        layer = self._layer(index)
        return layer.output(layer.intermediate(rows), rows)

    def in_pieces(self) -> list[nn.Module]:
        """Dropout of attention as well, which the model calls as a module."""
        layers = range(self.num_layers)
        return [*super().in_pieces(), *(self._attention(index).dropout for index in layers)]

    def scaling(self, index: int) -> float:
        """Factor on the scores, smaller the more terms they have."""
        attention = self._attention(index)
        # The model counts the terms it is configured for, used or not.
        terms = 1 + ("c2p" in attention.pos_att_type) + ("p2c" in attention.pos_att_type)
        return (attention.attention_head_size * terms) ** -0.5

    def bias(
        self, index: int, queries: Tensor, keys: Tensor, query_pos: Tensor, key_pos: Tensor
    ) -> Tensor | None:
        """Scaled c2p and p2c scores, ``[S, heads, A, M]``."""
        attention, kinds = self._attention(index), self._kinds(index)
        if not kinds:
            return None
        embeddings = attention.pos_dropout(self.base.encoder.get_rel_embedding())
        shared = attention.share_att_key
        heads = self.heads(index)
        place = self._places(index, query_pos, key_pos)[:, None].expand(-1, heads, -1, -1)
        terms = []
        if "c2p" in kinds:
            project = attention.key_proj if shared else attention.pos_key_proj
            terms.append((queries @ self._table(project(embeddings), heads)).gather(-1, place))
        if "p2c" in kinds:
            project = attention.query_proj if shared else attention.pos_query_proj
            # Buckets are symmetric, so a key finds a query at the same place of the table.
            terms.append((keys @ self._table(project(embeddings), heads)).gather(-1, place.mT).mT)
        return sum(terms[1:], terms[0]) * self.scaling(index)

    def _places(self, index: int, query_pos: Tensor, key_pos: Tensor) -> Tensor:
        """Rows of the relative embeddings, ``[S, A], [S, M] -> [S, A, M]``."""
        attention = self._attention(index)
        distance = query_pos[:, :, None] - key_pos[:, None, :]
        if attention.position_buckets > 0:
            distance = self._bucket(
                distance, attention.position_buckets, attention.max_relative_positions
            )
        span = attention.pos_ebd_size
        return (distance + span).clamp(0, 2 * span - 1)

    def _bucket(self, distance: Tensor, buckets: int, most: int) -> Tensor:
        """Buckets of distances, by the model's own function, asked once for each distance.

        It makes constants on the host, which takes time and cannot be captured.
        """
        key, far = (buckets, most, distance.device), 2 * most  # all that is farther is the same
        table = self._buckets.get(key)
        if table is None:
            with torch.inference_mode(False), torch.no_grad():
                every = torch.arange(-far, far + 1, device=distance.device)
                table = make_log_bucket_position(every, buckets, most).long()
            self._buckets[key] = table
        return table[distance.clamp(-far, far) + far]

    def _table(self, projected: Tensor, heads: int) -> Tensor:
        """Split heads, ``[R, H] -> [heads, H / heads, R]``."""
        return projected.unflatten(-1, (heads, -1)).permute(1, 2, 0)

    def classify_text(self, rows: Tensor) -> Tensor:
        """Pooler, dropout, classifier."""
        model: Any = self.model
        return model.classifier(model.dropout(model.pooler(rows[:, None])))

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Four layers of width 32, made like v3."""
        more: dict[str, Any] = {
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_biased_input": False,
        }
        return AutoConfig.for_model(model_type, **tiny(**more))
