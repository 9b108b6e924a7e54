"""Self-speculative greedy decoding: drafts leave early, the remaining layers verify them.

Draft tokens leave at the exits of a policy. After a few of them, or after one that the policy
was not sure of, all go through the layers they skipped in one pass, and are kept up to the
first where the full depth would have gone on otherwise: the output is that of full-depth greedy
search. Nothing is computed twice, because verification begins at the states that the drafts
left with (LayerSkip, Elhoushi et al. 2024; FREE, Bae et al. 2023, defers in the same way).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.decoding.sequences import Sequences
from tokenexit.policies import Policy
from tokenexit.policies.any_of import AnyOf
from tokenexit.policies.assigned_depth import AssignedDepth

Choose = Callable[[Tensor, Tensor], Tensor]
"""The next token of each row, ``[R]``, from the tokens so far ``[R, T]`` and logits ``[R, V]``."""


@dataclass
class Acceptance:
    """How drafts fared.

    Attributes:
        drafted: Tokens that left early and were checked.
        accepted: Of these, tokens that the full depth agreed with and that were kept.
        passes: Verifications.
    """

    drafted: int = 0
    accepted: int = 0
    passes: int = 0

    @property
    def rate(self) -> float:
        """Share of drafts that were kept; 1 where nothing was drafted."""
        return self.accepted / self.drafted if self.drafted else 1.0


class Speculation:
    """Greedy decoding of one batch with verified drafts.

    Rows of a batch advance together: a verification keeps as many tokens as its least lucky
    row, and the others draft theirs again, to the same result.

    Args:
        decoding: A fresh decoding whose ``pending`` is ``parallel``; its policy makes drafts.
        choose: Picks tokens; must not depend on chance.
        draft: Most tokens drafted between verifications.
    """

    def __init__(self, decoding: Sequences, choose: Choose, draft: int = 8) -> None:
        self._decoding, self._choose, self._draft = decoding, choose, draft
        lower = decoding.exits.layers
        self._last = lower[-1] if lower else 0
        self._drafter: Policy | None = (
            AnyOf((decoding.policy, AssignedDepth(self._last))) if lower else None
        )
        self.acceptance = Acceptance()
        self.exit_layers: list[Tensor] = []
        """Depth of the guess that became each new token, ``[R]`` each; the top's if corrected."""

    def begin(self, prompt: Tensor) -> None:
        """Read all but the last token of a prompt, ``[R, n]``, at full depth."""
        for place in range(prompt.shape[1] - 1):
            self._decoding.verify(prompt[:, place])

    def advance(self, tokens: Tensor, done: Tensor, most: int) -> Tensor:
        """Draft and verify once.

        Args:
            tokens: All tokens so far, sure ones, ``[R, T]``; the last is not read yet.
            done: Rows that have ended, ``[R]`` bool; they hold up nobody.
            most: New tokens at most, 1 or more.

        Returns:
            ``[R, T + n]`` with ``n`` from 1 to ``most``.
        """
        sure, layers, unsure = tokens.shape[1], [], self._drafter is None
        while not unsure and len(layers) < min(self._draft, most - 1):
            step = self._decoding.step(tokens[:, -1], policy=self._drafter)
            guess = self._choose(tokens, step.logits)
            tokens = torch.cat([tokens, guess[:, None]], dim=1)
            layers.append(step.exit_layers)
            unsure = bool((step.exit_layers[~done.cpu()] >= self._last).any())
        checked = self._decoding.verify(tokens[:, -1])  # [R, drafts + 1, V]
        right, kept = [], 0
        for place in range(len(layers) + 1):
            prefix = tokens[:, : sure + place]
            right.append(self._choose(prefix, checked[:, place]))
            kept = place
            if place < len(layers):
                agrees = (right[-1] == tokens[:, sure + place]) | done
                if not bool(agrees.all()):
                    break
        self._decoding.forget(sure + kept)
        self._count(len(layers), kept, int((~done).sum()))
        top = torch.full((len(tokens),), self._decoding.decoder.num_layers)
        self.exit_layers += [*layers[:kept], top]
        return torch.cat([tokens[:, : sure + kept], right[-1][:, None]], dim=1)

    def _count(self, drafted: int, kept: int, rows: int) -> None:
        self.acceptance.drafted += drafted * rows
        self.acceptance.accepted += kept * rows
        self.acceptance.passes += 1
