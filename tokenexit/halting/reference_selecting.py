"""Selected widths, one text at a time with what is left out at zero, for the plain reference."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from tokenexit.backbones import Backbone
from tokenexit.backbones.twin import with_parts
from tokenexit.halting.packing import Index
from tokenexit.halting.reference_rows import text_by_text
from tokenexit.heads import ExitHeads
from tokenexit.selectors import Asked, Choose, WidthSelectors, at_least


class DenseSelecting:
    """Computes layers of padded texts.

    Args:
        backbone: The network.
        heads: Has the selectors.
        lengths: Tokens of each text, ``[B]``.
        choose: What is computed; by ``backbone.selected`` when None.
    """

    def __init__(
        self, backbone: Backbone, heads: ExitHeads, lengths: Index, choose: Choose | None = None
    ) -> None:
        assert isinstance(heads.selectors, WidthSelectors)
        self._backbone, self._selectors = backbone, heads.selectors
        self._lengths = lengths.tolist()
        self._choose = at_least(backbone.selected or 0.0) if choose is None else choose

    def layer(self, layer: int, hidden: Tensor, still: Tensor, read: Tensor) -> Tensor:
        """States after a layer, ``[B, M, H]``; of rows that ask no more they are nothing.

        Args:
            layer: From 1.
            hidden: States that enter it, ``[B, M, H]``.
            still: Rows that ask no more, ``[B, M]`` bool.
            read: Rows that the layer may read.
        """
        compute = partial(self._text, layer)
        return text_by_text(hidden, still, read, self._lengths, compute)

    def _text(self, layer: int, text: int, hidden: Tensor, asking: Tensor, keys: Tensor) -> Tensor:
        backbone, index = self._backbone, layer - 1
        seen = hidden[keys].mean(dim=0) if layer == 1 else hidden[keys[0]]
        kept = self._chosen(layer, "heads", text, seen)
        read = self._read(index, hidden, asking, keys)
        read = (read * kept[:, None]).flatten(1)
        between = backbone.after_attention(index, hidden[asking], read)
        blocks = self._chosen(layer, "neurons", text, between[0])
        sizes = torch.tensor(np.diff(self._selectors.edges(layer)), device=hidden.device)
        out = backbone.channels(index).neurons.out
        masked = _Masked(out, blocks.repeat_interleave(sizes))
        network = type(backbone)(with_parts(backbone.model, {out: masked}))
        return network.feed_forward(index, between)

    def _read(self, index: int, hidden: Tensor, asking: Tensor, keys: Tensor) -> Tensor:
        """What all heads read, ``[A, heads, H / heads]``."""
        backbone, heads = self._backbone, self._backbone.heads(index)
        queries = backbone.queries(index, hidden[asking], asking)
        key, value = backbone.keys_values(index, hidden[keys], keys)
        queries, key, value = (
            rows.view(len(rows), heads, -1).transpose(0, 1) for rows in (queries, key, value)
        )
        scores = queries @ key.transpose(1, 2) * backbone.scaling(index)
        bias = backbone.bias(index, queries[None], key[None], asking[None], keys[None])
        scores = scores if bias is None else scores + bias[0]
        return (scores.softmax(dim=-1) @ value).transpose(0, 1)

    def _chosen(self, layer: int, part: str, text: int, seen: Tensor) -> Tensor:
        odds = self._selectors.at(layer, part)(seen[None])
        asked = Asked(layer, part, odds, np.array([text]), torch.ones(1, device=odds.device))
        return self._choose(asked)[0].to(seen.dtype)


class _Masked(nn.Module):
    """A linear layer some of whose inputs are at zero."""

    def __init__(self, linear: nn.Linear, mask: Tensor) -> None:
        super().__init__()
        self.linear, self.mask = linear, mask

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in] -> [..., out]``."""
        return self.linear(rows * self.mask)
