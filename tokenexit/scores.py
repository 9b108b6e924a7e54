"""How sure is an exit? Pure functions from logits to one number a row.

All of them work in float32 whatever comes in, and relative to the best class: exponentials of raw
logits overflow in half precision, and a NaN would never satisfy any threshold.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def entropy(logits: Tensor) -> Tensor:
    """Normalised entropy, ``[N, C] -> [N]``: 0 when certain, 1 when uniform.

    Entropy in nats divided by ``log C``, so that one threshold means the same for any
    number of classes. A single class is certain by definition.
    """
    if logits.shape[-1] < 2:
        return logits.new_zeros(logits.shape[:-1], dtype=torch.float32)
    log_p = F.log_softmax(logits.float(), dim=-1)
    nats = torch.special.entr(log_p.exp()).sum(dim=-1)
    return nats / math.log(logits.shape[-1])


def max_prob(logits: Tensor) -> Tensor:
    """Probability of the predicted class, ``[N, C] -> [N]``."""
    values = logits.float()
    # Relative to the best class: top minus logsumexp would lose digits on large logits.
    return (values - values.amax(dim=-1, keepdim=True)).exp().sum(dim=-1).reciprocal()


def margin(logits: Tensor) -> Tensor:
    """Probability of the best class minus that of the second, ``[N, C] -> [N]``."""
    if logits.shape[-1] < 2:
        return logits.new_ones(logits.shape[:-1], dtype=torch.float32)
    best = logits.float().softmax(dim=-1).topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


def energy(logits: Tensor) -> Tensor:
    """Free energy ``-logsumexp(logits)``, ``[N, C] -> [N]``: low when sure (E-LANG)."""
    return -torch.logsumexp(logits.float(), dim=-1)


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Jensen-Shannon divergence over ``log 2``, two ``[N, C] -> [N]`` in 0..1.

    Args:
        log_p: Log-probabilities of one exit.
        log_q: Log-probabilities of another.
    """
    log_m = torch.logaddexp(log_p, log_q) - math.log(2.0)
    towards, away = _relative_entropy(log_p, log_m), _relative_entropy(log_q, log_m)
    return ((towards + away) / (2.0 * math.log(2.0))).clamp(0.0, 1.0)


def log_probabilities(logits: Tensor) -> Tensor:
    """Float32 log-probabilities, ``[N, C] -> [N, C]``."""
    return torch.log_softmax(logits.float(), dim=-1)


def predicted(logits: Tensor) -> Tensor:
    """Best class, ``[N, C] -> [N]``, long; -1 for a row with a NaN, which predicts nothing."""
    best, index = logits.max(dim=-1)
    return index.masked_fill(best.isnan(), -1)


def _relative_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    terms = log_p.exp() * (log_p - log_q)
    # Only a true zero contributes nothing; a NaN has to stay one, or broken logits look alike.
    return terms.masked_fill(log_p == -math.inf, 0.0).sum(dim=-1)
