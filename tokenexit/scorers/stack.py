"""All scorers of a model, one for each layer at which rows are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.scorers.base import RowScorer, build_scorer

BOUNDS = 0.01, 1.0
"""Within which bars stay."""

BESIDE = ("layers", "bar")
"""Keys of ``heads.scorers`` that are no settings of a single scorer."""


class RowScorers(nn.Module):
    """Scorers before some layers, each with weights of its own.

    Args:
        config: Such as ``{"name": "mlp", "layers": [2, 0.5]}``. ``layers`` says before which layers
            they stand, from 1; 0.5 is the first layer of the upper half; all layers where it is
            left out. ``bar: 0.25`` adds a learned number a layer, by which shares are measured.
        width: Width of the states.
        num_layers: Depth of the network.

    Raises:
        UserError: Unknown scorer or setting, a bad value, or a layer that there is not.
    """

    def __init__(self, config: Mapping[str, Any], width: int, num_layers: int) -> None:
        super().__init__()
        if not isinstance(config, Mapping):
            raise UserError(
                'heads.scorers must be a mapping such as {"name": "mlp", "layers": [2, 0.5]}, '
                f"not {config!r}."
            )
        settings = {key: value for key, value in config.items() if key not in BESIDE}
        self.layers = _layers(config.get("layers"), num_layers)
        self.scorers = nn.ModuleDict(
            {str(layer): build_scorer(settings, width) for layer in self.layers}
        )
        start = config.get("bar")
        if start is not None and (type(start) not in (int, float) or not 0 < start <= 1):
            raise UserError(f"heads.scorers.bar must be above 0 and at most 1, not {start!r}.")
        self.bars = None if start is None else nn.Parameter(torch.full((len(self.layers),), start))

    def at(self, layer: int) -> RowScorer:
        """The scorer before ``layer``, counted from 1."""
        scorer = self.scorers[str(layer)]
        assert isinstance(scorer, RowScorer)
        return scorer

    def forward(self, layer: int, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        """Judge rows that are about to enter a layer.

        Args:
            layer: From 1, one of ``layers``.
            hidden: Their states, ``[N, H]``.

        Returns:
            A number each, ``[N]``, in float32 at least, and the layer's bar, ``[]``, if it has one.
        """
        if self.bars is not None and self.training:
            self.bars.data.clamp_(*BOUNDS)  # where the last step has led them out
        score = self.at(layer)(hidden)
        score = score.to(torch.promote_types(score.dtype, torch.float32))
        return score, None if self.bars is None else self.bars[self.layers.index(layer)]


def _layers(given: Any, num_layers: int) -> tuple[int, ...]:
    """Layers, sorted; shares of the depth are those of the first layer above."""
    if given is None:
        return tuple(range(1, num_layers + 1))
    chosen = set()
    for entry in given if given and isinstance(given, list | tuple) else [None]:
        layer = entry if type(entry) is int else None
        if type(entry) is float and 0 < entry < 1:
            layer = int(entry * num_layers) + 1
        if layer is None or not 1 <= layer <= num_layers:
            raise UserError(
                f"heads.scorers.layers must be layers from 1 to {num_layers}, or shares of the "
                f"depth such as 0.5, not {given!r}."
            )
        chosen.add(layer)
    return tuple(sorted(chosen))
