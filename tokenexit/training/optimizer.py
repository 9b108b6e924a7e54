"""AdamW with its usual groups, and a linear schedule with warm-up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from tokenexit.training.config import TrainConfig

FUSED = frozenset({"cpu", "cuda", "mps", "xpu", "hpu"})
"""Kinds of devices for which torch has AdamW as one kernel; elsewhere it goes list by list."""


class Trainable(Protocol):
    """A model that says which of its parameters are heads."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All of them."""
        ...

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Those that start from nothing and learn at a rate of their own."""
        ...

    def scorer_parameters(self) -> Iterator[nn.Parameter]:
        """Those of them that belong to scorers of rows."""
        ...

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """The word embeddings."""
        ...


def build_optimizer(
    model: Trainable, config: TrainConfig, beside: Iterable[nn.Parameter] = ()
) -> torch.optim.AdamW:
    """Rates of their own for heads, scorers and word embeddings; no decay on biases and norms.

    Args:
        model: What is trained; parameters that take no gradient are left out.
        config: Settings.
        beside: Parameters of the objective or of an architecture, which learn as heads do and
            never decay.
    """
    apart = {id(p): p for p in beside}
    kinds = dict.fromkeys(map(id, model.head_parameters()), "heads")
    rates = {"network": config.lr, "heads": config.head_lr}
    if config.embedding_lr is not None:
        kinds |= dict.fromkeys(map(id, model.embedding_parameters()), "embeddings")
        rates["embeddings"] = config.embedding_lr
    if config.scorer_lr is not None:
        kinds |= dict.fromkeys(map(id, model.scorer_parameters()), "scorers")
        rates["scorers"] = config.scorer_lr
    # In the order of `rates`, the same for every run of a configuration: checkpoints count on it.
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {
        (kind, decays): [] for kind in rates for decays in (False, True)
    }
    groups["heads", False].extend(apart.values())
    for parameter in model.parameters():
        if id(parameter) not in apart and parameter.requires_grad:
            groups[kinds.get(id(parameter), "network"), parameter.ndim > 1].append(parameter)
    there = {weight.device.type for weight in model.parameters()}
    one_pass = there <= FUSED  # over the weights; several times faster on CPUs as well
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": rates[kind],
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (kind, decays), parameters in groups.items()
            if parameters
        ],
        fused=one_pass,
        foreach=not one_pass,
    )


def build_schedule(
    optimizer: torch.optim.Optimizer, total: int, warmup: float, start: int = 0
) -> LambdaLR:
    """Linear warm-up over ``warmup`` of the steps, then linear decay to zero.

    Args:
        optimizer: With its restored state, where ``start`` is not 0.
        total: Steps of the whole training.
        warmup: Share of them.
        start: Steps done already.
    """
    rise = max(1, round(total * warmup))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return max(0.0, (total - step) / max(1, total - rise))

    return LambdaLR(optimizer, factor, last_epoch=start - 1)
