"""Whether attentions are what their configuration says, which is what the engine goes by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from tokenexit.errors import UserError

_COUNT = ("num_attention_heads", "num_heads", "n_heads")
_WIDTH = ("attention_head_size", "head_dim", "key_value_proj_dim")
_CONFIGURED = (*_COUNT, "encoder_attention_heads", "decoder_attention_heads")
_QUERIES = ("query", "query_proj", "q_proj", "q_lin", "q")


def check_attention_shape(network: Any, attentions: Sequence[nn.Module]) -> None:
    """Refuse attentions whose heads have been changed and nothing else, or their configuration.

    Args:
        network: The network in its adapter.
        attentions: Modules of it that are run in pieces; others among them are passed over.

    Raises:
        UserError: Says what does not fit what.
    """
    config: Any = network.config
    for module in attentions:
        count, width = _first(module, _COUNT), _first(module, _WIDTH)
        if count is None or width is None:
            continue
        if getattr(module, "is_decoder", False):
            allowed = {network.num_heads}
        else:
            allowed = {getattr(config, name) for name in _CONFIGURED if hasattr(config, name)}
        queries = _first(module, _QUERIES)
        rows = getattr(queries, "out_features", count * width)
        kind = type(module).__name__
        if count not in allowed or count * width != rows:
            raise UserError(
                f"A {kind} of the model has {count} heads of {width}, its queries {rows} numbers, "
                f"and its configuration says {' or '.join(map(str, sorted(allowed)))} heads: "
                "change neither without the others, or build the model anew from a configuration."
            )
        scale, usual = getattr(module, "scaling", None), width**-0.5
        # T5 has its scale in the weights.
        usual = 1.0 if hasattr(module, "key_value_proj_dim") else usual
        if isinstance(scale, float) and not math.isclose(scale, usual, rel_tol=1e-6):
            raise UserError(
                f"A {kind} of the model scales by {scale}, and exits compute its attention with "
                f"{usual}: leave scaling as it was."
            )


def _first(module: nn.Module, names: Sequence[str]) -> Any:
    return next((found for n in names if (found := getattr(module, n, None)) is not None), None)
