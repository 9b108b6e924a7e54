"""What selected widths need of a model: selectors, and the network as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenexit.backbones import Backbone
from tokenexit.backbones.precise import REDUCED
from tokenexit.errors import UserError
from tokenexit.heads import ExitHeads
from tokenexit.selectors import WidthSelectors
from tokenexit.widths import Widths


def put_selectors(heads: ExitHeads, config: Mapping[str, Any], backbone: Backbone) -> None:
    """Build selectors for a network's layers and put them beside its heads, if it is to have any.

    Args:
        heads: Get them.
        config: As ``heads`` of a model.
        backbone: The network.

    Raises:
        UserError: A bad setting, or layers that do not say where their heads lie.
    """
    told = config.get("selectors")
    if told is None or told is False:
        return
    layers = [backbone.channels(index) for index in range(backbone.num_layers)]
    counts = [one.heads.count for one in layers], [one.neurons.count for one in layers]
    made = WidthSelectors(told, backbone.hidden_size, *counts)
    weight = next(backbone.model.parameters())
    heads.selectors = made.to(device=weight.device, dtype=weight.dtype).train(heads.training)


def check_selected(widths: Widths | None, precision: str | None, device: str, static: bool) -> None:
    """Refuse to compute selected widths by what plans or multiplies whole layers.

    Args:
        widths: Of the model.
        precision: That it is used in, if one was chosen.
        device: Where, as a type.
        static: Whether it is used with that runtime.

    Raises:
        UserError: Says what to use instead.
    """
    if widths is None or widths.selected is None:
        return
    told = None
    if static:
        told = "The runtime 'static' plans", 'model.use(runtime="eager")'
    elif precision in REDUCED and device == "cpu":
        told = f"The precision {precision!r} lays out", 'model.use(precision="fp32")'
    if told is not None:
        raise UserError(
            f"{told[0]} whole layers, and the model's widths are selected text by text: call "
            f"{told[1]}, or model.use_widths(None)."
        )
