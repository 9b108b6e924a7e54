"""Score a few words of the vocabulary instead of all (vocabulary pruning)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State, rule_of, walk
from tokenexit.policies.divergence import Divergence
from tokenexit.policies.margin import Margin
from tokenexit.policies.rule import OF_LOGITS, Network, Rule
from tokenexit.policies.value import whole
from tokenexit.policies.wrapper import WrapperPolicy
from tokenexit.signals import Signals


@POLICIES.register("shortlist")
@dataclass(frozen=True)
class Shortlist(WrapperPolicy):
    """The inner policy sees the logits of each row's ``size`` best words only.

    The first exit that is asked scores the whole vocabulary and keeps the best words of each
    row, of equal ones the first; later exits score those alone. Dynamic vocabulary pruning
    (Vincenti et al. 2024, arXiv 2410.18952; also the "top propagation" of DL2-CALM). They report
    far fewer operations and hardly any gain in time, neither of which was verified here; their
    lists that shrink from layer to layer are left out.

    Probabilities, entropies and the like are those of the list, so a threshold is not what it
    is on the whole vocabulary: a row looks a little surer. Only the decision is made on the
    list; what is predicted still comes from all logits of the exit. Where a few words cannot
    be scored alone (tagging, classification) the inner policy sees the ordinary logits.

    Args:
        policy: Who decides.
        size: Words a row keeps; all where the vocabulary is smaller.
        refresh: Keep new lists at layers ``refresh``, ``2 * refresh`` and so on; 0 is never. The
            inner policy starts anew there, since what it remembers is about other words.

    Raises:
        UserError: ``policy`` is no policy or has a shortlist itself, ``size`` is no whole number
            from 2 to 1,000,000 or ``refresh`` none from 0 to 1000.
    """

    in_words = "{policy}, among the {size:d} best words"

    policy: Policy = field(default=Margin(0.8))
    size: int = whole(64, 2, 1_000_000)
    refresh: int = whole(0, 0, 1000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(isinstance(part, Shortlist) for part in walk(self.policy)):
            raise UserError(
                f"Shortlist.policy must not have a shortlist itself, and is {self.policy!r}; "
                "leave one of them out."
            )

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """No list yet, and the state of the inner policy."""
        return None, self.policy.init(num_rows, device)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the inner policy about the rows' lists.

        The state is the lists ``[N, K]``, or None before the first exit, and the inner state.
        """
        words, inner = state
        if signals.shortlist_head is None:
            halt, inner = self.policy.step(signals, inner)
            return halt, (words, inner)
        anew = self.refresh > 0 and signals.layer % self.refresh == 0
        if words is None or anew:
            size = min(self.size, signals.logits.shape[-1])
            logits, words = best_words(signals.logits, size)
            shown = _limited(signals, words)
            shown.__dict__["logits"] = logits
            inner = self.policy.init(len(signals), words.device)
        else:
            shown = _limited(signals, words)
        halt, inner = self.policy.step(shown, inner)
        return halt, (words, inner)

    def rule_for(self, network: Network) -> Rule | None:
        """That of the inner policy on lists kept at the first exit."""
        inner = rule_of(self.policy, network)
        if inner is None or self.refresh or inner.score not in OF_LOGITS:
            return None
        # The list is made at the first exit, asked inside or not; classes of a list have no names.
        whole = inner.asked == network.asked and len(inner.thresholds[0]) == 1
        return replace(inner, shortlist=self.size) if whole else None

    @classmethod
    def examples(cls) -> list[Self]:
        """Around a policy without a state, and renewed around one with a state."""
        return [cls(Margin(0.5)), cls(Divergence(0.2), 3, refresh=4)]


def best_words(logits: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The highest and their words, ``[N, V] -> [N, K]``; of equal ones the first come first.

    Which of equal words come is open in ``topk``, and a stable sort of all takes much longer: so
    ``topk`` gives the least that is kept, and places settle who has it. What is no number comes
    before all others.
    """
    infinity = float("inf")
    whole = logits.nan_to_num(nan=infinity, posinf=infinity, neginf=-infinity)
    least = whole.topk(size, dim=-1).values[:, -1:]
    above, equal = whole > least, whole == least
    kept = above | (equal & (equal.cumsum(dim=-1) <= size - above.sum(dim=-1, keepdim=True)))
    words = kept.float().topk(size, dim=-1).indices.sort(dim=-1).values
    order = whole.gather(1, words).sort(dim=-1, descending=True, stable=True).indices
    words = words.gather(1, order)
    return logits.gather(1, words), words


def _limited(signals: Signals, words: Tensor) -> Signals:
    """The same rows with logits of some words, ``[N, K]``, under which classes are counted."""
    target = signals.target
    if target is not None:
        same = words == target[:, None]
        target = torch.where(same.any(dim=-1), same.int().argmax(dim=-1), -100)
    return replace(signals, candidates=words, classes=(), target=target)
