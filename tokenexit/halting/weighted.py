"""Attention in which rows weigh more or less: none at all where they were taken out."""

from __future__ import annotations

from torch import Tensor

CAP = 10.0
"""Most by which the score of a row without weight is seen to exceed all that have some: it says
how large the gradient of its weight may get, and nothing else."""


def weighted_softmax(scores: Tensor, weights: Tensor) -> Tensor:
    """Softmax with a weight on each key, ``w_j e^(s_j) / sum_k w_k e^(s_k)``, ``[..., M]``.

    Weights of 0 and 1 are the same as keys taken out, and all gradients are finite there, which
    those of ``log w`` added to the scores are not; weights after the softmax are something else.

    Args:
        scores: ``[..., M]``; minus infinity where a key is none.
        weights: From 0, of each key, to be broadcast; one of each row at least is above.
    """
    there = scores.detach().masked_fill(weights <= 0, float("-inf"))
    most = there.amax(dim=-1, keepdim=True)
    shares = weights * (scores - most).clamp_max(CAP).exp()
    return (shares / shares.sum(dim=-1, keepdim=True)).to(scores.dtype)
