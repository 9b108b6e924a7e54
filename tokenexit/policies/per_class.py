"""Other thresholds for other predictions (early-exiting monoBERT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.errors import UserError, unknown_name
from tokenexit.policies.base import (
    POLICIES,
    Policy,
    State,
    ThresholdSpec,
    check_inner_policy,
    check_pairs,
    rule_of,
)
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.group import ask_each, at_same_ratio
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_join import by_class
from tokenexit.signals import Signals


@POLICIES.register("per_class")
@dataclass(frozen=True)
class PerClass(Policy):
    """The class an exit predicts chooses the policy whose decision counts.

    Early exiting BERT for document ranking (Xin et al. 2020) gives up on irrelevant documents
    sooner than it accepts relevant ones; when tagging, a strict threshold on everything but
    ``"O"`` protects the recall of rare entities. All policies see every exit.

    Args:
        otherwise: Decides for all classes that are not named; its threshold is the one to turn,
            and the named policies with the same kind of threshold keep their ratio to it.
        classes: ``{class name: policy}`` or pairs of the same; kept as a sorted tuple of
            pairs. A name that ends in ``*`` stands for all classes which begin like it; an
            exact name goes before, and among those the longest.

    Raises:
        UserError: A policy is no policy or a name is given twice; when asked, the model has
            no class names or none of that name.
    """

    in_words = "{classes}otherwise {otherwise}"

    otherwise: Policy = field(default=Entropy(0.1))
    classes: Mapping[str, Policy] | tuple[tuple[str, Policy], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_inner_policy(self, "otherwise")
        pairs = check_pairs(self, "classes", '{"O": Entropy(0.3)}')
        for name, policy in pairs:
            if not isinstance(name, str) or not isinstance(policy, Policy):
                raise UserError(
                    "PerClass.classes maps names to policies, for example "
                    f'{{"O": Entropy(0.3)}}, not {name!r} to {policy!r}.'
                )
        if len(dict(pairs)) < len(pairs):
            raise UserError(f"PerClass.classes names a class twice: {[name for name, _ in pairs]}.")
        object.__setattr__(self, "classes", tuple(sorted(pairs, key=lambda pair: pair[0])))

    @property
    def members(self) -> tuple[Policy, ...]:
        """``otherwise`` and the named policies."""
        return (self.otherwise, *dict(self.classes).values())

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """States of all policies."""
        return tuple(policy.init(num_rows, device) for policy in self.members)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask all, and take the answer of the one in charge of each row's prediction."""
        names = tuple(dict(self.classes))
        decisions, state = ask_each(self.members, signals, state)
        if not names:
            return decisions[0], state
        if not signals.classes:
            raise UserError(
                f"PerClass chooses by class name ({', '.join(names)}), and the classes of this "
                "model have no names: build it with labels=[...]."
            )
        charge = _in_charge(names, signals.classes, decisions.device)
        # The extra last entry serves -1, the prediction of a broken row: nobody in particular.
        who = charge[scores.predicted(signals.logits)]
        return decisions.gather(0, who[None])[0], state

    def threshold_spec(self) -> ThresholdSpec | None:
        """The threshold of ``otherwise``."""
        return self.otherwise.threshold_spec()

    def threshold_value(self) -> float | None:
        """Where that threshold stands."""
        return self.otherwise.threshold_value()

    def with_threshold(self, value: float) -> Self:
        """``otherwise`` at ``value``, and the others at their ratio to it."""
        turned = {
            name: at_same_ratio(policy, self.otherwise, value)
            for name, policy in dict(self.classes).items()
        }
        return replace(self, otherwise=self.otherwise.with_threshold(value), classes=turned)

    def rule_for(self, network: Network) -> Rule | None:
        """Those of all policies in one, as long as they differ in thresholds only."""
        names = tuple(dict(self.classes))
        if not names:
            return rule_of(self.otherwise, network)
        if not network.classes:
            return None
        charge = _in_charge(names, network.classes, torch.device("cpu"))[:-1].tolist()
        return by_class([rule_of(member, network) for member in self.members], charge, network)

    @classmethod
    def examples(cls) -> list[Self]:
        """Looser on the class outside all entities; by prefix; nobody named."""
        return [
            cls(Entropy(0.3), {"O": Entropy(0.6)}),
            cls(Entropy(0.6), {"B-*": Entropy(0.3)}),
            cls(Entropy(0.4)),
        ]


@lru_cache(maxsize=64)
def _in_charge(names: tuple[str, ...], classes: tuple[str, ...], device: torch.device) -> Tensor:
    """Which member of the policy decides for each class, ``[C + 1]``, 0 for ``otherwise``."""
    for name in names:
        matches = any(_matches(name, cls) for cls in classes)
        if not matches:
            raise unknown_name("class in PerClass.classes", name, classes)
    charge = [0] * (len(classes) + 1)
    for number, cls in enumerate(classes):
        fitting = [name for name in names if _matches(name, cls)]
        if fitting:
            best = max(fitting, key=lambda name: (name == cls, len(name)))
            charge[number] = names.index(best) + 1
    return torch.tensor(charge, device=device)


def _matches(name: str, cls: str) -> bool:
    return name == cls or (name.endswith("*") and cls.startswith(name[:-1]))
