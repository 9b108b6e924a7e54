"""How combinators turn the rules of what is inside them into their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokenexit.policies.rule import Network, Pool, Rule, closed, nobody


def pooled(rule: Rule | None, *, window: int = 1, pool: Pool = "none") -> Rule | None:
    """The same rule where neighbours have a say; None where they have one already."""
    if rule is None or rule.score == "never" or (window == 1 and pool == "none"):
        return rule
    return None if rule.pools else replace(rule, window=window, pool=pool)


def patient(rule: Rule | None, network: Network, times: int) -> Rule | None:
    """Halt when the rule would ``times`` exits in a row.

    A row that would halt for the ``p``-th time in a row, ``times`` times in a row, does so after
    ``p + times - 1``. Counting starts anew at an exit where nobody would halt, so the rule must
    not skip exits once it has begun; nor can it count after neighbours had their say.
    """
    if rule is None or rule.score == "never" or times == 1:
        return rule
    begun = rule.asked.index(True) if any(rule.asked) else len(rule.asked)
    if rule.pools or rule.asked[begun:] != network.asked[begun:]:
        return None
    return replace(rule, patience=rule.patience + times - 1)


def by_layer(rules: Sequence[Rule | None], network: Network) -> Rule | None:
    """One rule for several of which each is asked at layers of its own.

    Each remembers what it alone was asked, so several that remember are not one.
    """
    stated = [rule for rule in rules if rule is not None]
    if len(stated) < len(rules):
        return None
    live = [rule for rule in stated if any(rule.asked)]
    if len(live) < 2:
        return live[0] if live else nobody(network.asked)
    if any(rule.counts or rule.schedule or rule.depths for rule in live) or not _alike(live):
        return None
    wide = max(len(rule.thresholds[0]) for rule in live)
    shut = (closed(live[0].low),) * wide
    lines = []
    for layer in range(len(network.asked)):
        turn = next((rule.thresholds[layer] for rule in live if rule.asked[layer]), shut)
        lines.append(turn if len(turn) == wide else turn * wide)
    asked = tuple(map(any, zip(*(rule.asked for rule in live), strict=True)))
    return replace(live[0], asked=asked, thresholds=tuple(lines))


def by_class(rules: Sequence[Rule | None], charge: Sequence[int], network: Network) -> Rule | None:
    """One rule for several of which the predicted class chooses.

    Args:
        rules: Of all members.
        charge: Which member each class asks, ``[C]``.
        network: Where they are asked. Who is in charge is read off the logits, so the exit is
            computed at all of these.
    """
    stated = [rule for rule in rules if rule is not None]
    live = [rule for rule in stated if any(rule.asked)]
    if len(stated) < len(rules) or not live or not _alike(live):
        return None
    first = live[0]
    plain = first.score in ("entropy", "max_prob", "margin", "energy") and not first.pools
    if not plain or any(rule.counts or rule.schedule or rule.shortlist for rule in live):
        return None
    if network.num_classes < 2 or any(len(rule.thresholds[0]) > 1 for rule in live):
        return None
    shut = closed(first.low)
    lines = [
        tuple(
            stated[member].thresholds[layer][0] if stated[member].asked[layer] else shut
            for member in charge
        )
        for layer in range(len(network.asked))
    ]
    return replace(first, asked=network.asked, thresholds=tuple(lines))


def _alike(rules: Sequence[Rule]) -> bool:
    """Whether they differ in thresholds and layers only."""
    first = rules[0]
    return all(
        replace(rule, asked=first.asked, thresholds=first.thresholds) == first for rule in rules
    )
