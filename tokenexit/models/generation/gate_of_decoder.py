"""What a context gate of a generator belongs to: the weights that make the states it reads."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from torch import Tensor

from tokenexit.decoders import Decoder


def decoder_weights(decoder: Decoder) -> dict[str, Tensor]:
    """The vocabulary head's and the last matrix of each layer, by name.

    Not all weights: of a large model that would take seconds. Whoever trains a decoder changes
    these as well.
    """
    head: Any = decoder.final_head()
    found = {f"head.{name}": weight for name, weight in head.named_parameters()}
    stack: Any = attrgetter(decoder.stack)(decoder.model.get_decoder())
    for number, layer in enumerate(stack, 1):
        matrices = [(n, w) for n, w in layer.named_parameters() if w.dim() == 2]
        if matrices:
            name, weight = matrices[-1]
            found[f"layer {number}.{name}"] = weight
    return found
