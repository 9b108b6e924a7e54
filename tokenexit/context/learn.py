"""Train one context gate on the numbers it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.context.gate import ContextGate

LEAST_SPREAD = 0.05
"""Numbers that vary less are not blown up: what is rare in training may be less rare later."""

BATCH = 1024


@dataclass(frozen=True)
class FitOptions:
    """How a gate is fitted.

    Attributes:
        epochs: Times it sees every row, more often where that makes fewer than ``steps`` steps.
        steps: Steps of the optimiser at least.
        rate: Highest learning rate of the one cycle.
        decay: Weight decay.
        dropout: Share of the numbers that are hidden at random from a gate with units. Exits are
            surer of texts they were trained on than of others, and a gate must not lean on that;
            a linear one has no room to, and learns worse so.
        seed: Of the order of rows and of the first weights.
    """

    epochs: int = 12
    steps: int = 300
    rate: float = 1e-2
    decay: float = 1e-3
    dropout: float = 0.2
    seed: int = 0


def fit_exit(
    gate: ContextGate,
    place: int,
    numbers: Tensor,
    wrong: Tensor,
    weight: Tensor,
    options: FitOptions,
) -> None:
    """Fit the gate of one exit; numbers are standardised meanwhile, which its weights take over.

    Args:
        gate: Its weights are changed.
        place: Which of its gates.
        numbers: ``[N, F]``.
        wrong: ``[N]`` bool.
        weight: Of each row, ``[N]``.
        options: How.
    """
    mean, spread = numbers.mean(dim=0), numbers.std(dim=0)
    # What never varies says nothing, and must not when it does one day: a class never seen.
    scale = torch.where(spread < 1e-6, 0.0, spread.clamp_min(LEAST_SPREAD).reciprocal())
    net = _network(numbers.shape[1], gate.config.inner, options.seed)
    if not gate.config.inner:
        options = replace(options, dropout=0.0)
    _optimise(net, (numbers - mean) * scale, wrong.float(), weight, options)
    first = net[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        folded = first.weight * scale
        gate.weight[place] = folded
        gate.bias[place] = first.bias - folded @ mean
        if gate.config.inner:
            last = net[2]
            assert isinstance(last, nn.Linear)
            gate.out[place], gate.out_bias[place] = last.weight[0], last.bias[0]


def projection(states: Tensor, wrong: Tensor, count: int, options: FitOptions) -> Tensor:
    """The matrix that leaves of a state what tells most about its exit, ``[P, H]``.

    The first layer of a small network that learns to tell from states alone.

    Args:
        states: ``[N, H]``.
        wrong: ``[N]`` bool.
        count: Numbers that are left, ``P``.
        options: How.
    """
    net = _network(states.shape[1], count, options.seed)
    _optimise(net, states, wrong.float(), torch.ones(len(states)), options)
    first = net[0]
    assert isinstance(first, nn.Linear)
    return first.weight.detach()


def _network(inputs: int, inner: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if not inner:
            return nn.Sequential(nn.Linear(inputs, 1))
        return nn.Sequential(nn.Linear(inputs, inner), nn.ReLU(), nn.Linear(inner, 1))


def _optimise(
    net: nn.Sequential, numbers: Tensor, wrong: Tensor, weight: Tensor, options: FitOptions
) -> None:
    draw = torch.Generator().manual_seed(options.seed)
    batches = -(-len(numbers) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=options.rate, weight_decay=options.decay)
    epochs = max(options.epochs, -(-options.steps // batches))
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.rate, total_steps=epochs * batches
    )
    for _ in range(epochs):
        for rows in torch.randperm(len(numbers), generator=draw).split(BATCH):
            seen = numbers[rows]
            if options.dropout:
                kept = torch.rand(seen.shape, generator=draw) >= options.dropout
                seen = seen * kept / (1.0 - options.dropout)
            guess = net(seen)[:, 0]
            loss = F.binary_cross_entropy_with_logits(guess, wrong[rows], weight[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
