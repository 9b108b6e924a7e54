"""What people hand over as a network: the transformers model inside, or a word why not."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from tokenexit.backbones.twin import unheard
from tokenexit.errors import UserError
from tokenexit.heads.base import Fitted

_SHELLS = ("OptimizedModule", "DataParallel", "DistributedDataParallel")
"""Classes of torch that run a model and change nothing about it."""

_THEIRS = ("transformers.", "torch.nn.modules.")


def unwrapped(given: Any) -> PreTrainedModel:
    """The transformers model, out of what torch puts around one to run it.

    Raises:
        UserError: It is something else.
    """
    while type(given).__module__.startswith("torch.") and type(given).__name__ in _SHELLS:
        given = getattr(given, "_orig_mod", None) or given.module
    if isinstance(given, PreTrainedModel):
        return given
    kind = f"{type(given).__module__}.{type(given).__qualname__}"
    if kind.startswith("peft."):
        raise UserError(
            f"Exits are added to a transformers model, not to a {type(given).__name__} around it: "
            "give model.merge_and_unload(), or model.get_base_model(), which keeps adapters such "
            "as LoRA apart."
        )
    raise UserError(
        f"Exits are added to a transformers model in memory, not to {kind}. To load one from a "
        "folder, call from_pretrained of transformers' AutoModel first."
    )


def own_parts(network: nn.Module) -> list[str]:
    """Parts that a configuration does not tell of, so that nobody can build them anew.

    Such as adapters, quantised layers and masks of pruning; named by their paths. Our own parts of
    a head that are fitted after training save what a plain layer would.
    """
    theirs = (*_THEIRS, type(network).__module__.split(".")[0] + ".")
    ours = tuple(f"{name}." for name, p in network.named_modules() if isinstance(p, Fitted))
    strange = [
        name
        for name, part in network.named_modules()
        if name and not f"{type(part).__module__}.".startswith(theirs)
        if not f"{name}.".startswith(ours)
    ]
    masked = [name for name, _ in network.named_parameters() if name.endswith("_orig")]
    return strange + masked


def heard_parts(network: nn.Module) -> list[str]:
    """Parts with hooks, by their paths."""
    return [name for name, part in network.named_modules() if not unheard(part)]
