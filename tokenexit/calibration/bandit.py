"""A threshold found on the stream that is served, without labels, by a bandit.

What was calibrated on one kind of text may be too strict or too loose for another. Here every
setting of a policy's threshold is an arm of a bandit; each batch is served with one of them, and
what is learned is whether the confidence that a deeper exit adds is worth its depth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.halting import Trace, merge
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.policies import Policy


@dataclass(frozen=True)
class BanditState:
    """What a bandit knows; JSON-ready, so that a stream may go on another day.

    Attributes:
        pulls: Texts served with each arm.
        totals: Sum of their rewards.
    """

    pulls: tuple[int, ...]
    totals: tuple[float, ...]

    @property
    def means(self) -> tuple[float, ...]:
        """Mean reward of each arm; 0 for one that has not been tried."""
        return tuple(t / n if n else 0.0 for t, n in zip(self.totals, self.pulls, strict=True))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"pulls": list(self.pulls), "totals": list(self.totals)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave."""
        return cls(tuple(data["pulls"]), tuple(data["totals"]))


@dataclass(frozen=True)
class OnlineThreshold:
    """UCB1 (Auer et al. 2002) over settings of a policy's threshold.

    After UEE-UCB (Narayan N U et al. 2022), which chooses exits on-line without labels, and SplitEE
    (Bajpai et al. 2023), which rewards the confidence of the answer less the cost of its depth.
    UEE-UCB's arms are exits, and its loss is estimated from how often exits disagree, under the
    assumption that deeper ones are right whenever shallower ones are; here the arms are settings
    of any threshold (those of ``assigned_depth`` are exits) and the reward has SplitEE's form.
    Neither paper's constants, exact reward or figures were verified. Confidence stands in for being
    right: where shallow exits are over-confident, the bandit believes them.

    Args:
        policy: Whose threshold is turned.
        arms: Settings of the threshold, two or more.
        cost: Confidence that the whole depth has to add to be worth its while.
        exploration: Weight of what is not known yet. UCB1 proves logarithmic regret with the
            square root of 2, for rewards within a range of 1; less tries less.

    Raises:
        UserError: The policy has no threshold, an arm is no setting of it, or a number is out of
            range.
    """

    policy: Policy
    arms: tuple[float, ...]
    cost: float = 0.2
    exploration: float = math.sqrt(2)

    def __post_init__(self) -> None:
        if self.policy.threshold_spec() is None:
            raise UserError(
                f"{self.policy!r} has no threshold, so it has no settings to choose from."
            )
        arms = tuple(float(arm) for arm in self.arms)
        object.__setattr__(self, "arms", arms)
        if len(set(arms)) < max(len(arms), 2):
            raise UserError(
                f"arms must be two or more different settings, not {list(arms)}; for example "
                "(0.7, 0.8, 0.9)."
            )
        for arm in arms:
            self.policy.with_threshold(arm)  # refuses what is no setting
        for name in ("cost", "exploration"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise UserError(f"{name} must be 0 or more, not {value!r}.")

    def start(self) -> BanditState:
        """Nothing is known."""
        return BanditState((0,) * len(self.arms), (0.0,) * len(self.arms))

    def arm(self, state: BanditState) -> int:
        """Which arm is next: one not tried yet, or the one that could be best. No chance in it."""
        if 0 in state.pulls:
            return state.pulls.index(0)
        log = math.log(sum(state.pulls))
        bounds = [
            mean + self.exploration * math.sqrt(log / pulls)
            for mean, pulls in zip(state.means, state.pulls, strict=True)
        ]
        return bounds.index(max(bounds))

    def choose(self, state: BanditState) -> Policy:
        """The policy to serve the next texts with."""
        return self.policy.with_threshold(self.arms[self.arm(state)])

    def observe(self, state: BanditState, arm: int, reward: float) -> BanditState:
        """The state after one text was served with an arm."""
        pulls, totals = list(state.pulls), list(state.totals)
        pulls[arm] += 1
        totals[arm] += float(reward)
        return replace(state, pulls=tuple(pulls), totals=tuple(totals))

    def best(self, state: BanditState) -> Policy:
        """The policy that has earned most, to keep once the stream is known."""
        if not any(state.pulls):
            raise UserError("Nothing has been served yet, so no setting is known to be best.")
        tried = [m if n else -math.inf for m, n in zip(state.means, state.pulls, strict=True)]
        return self.policy.with_threshold(self.arms[tried.index(max(tried))])

    def rewards(self, trace: Trace) -> NDArray[np.float64]:
        """Reward of each text that has words: confidence less the cost of its depth.

        A text of several words earns their mean.

        Args:
            trace: What serving them gave.
        """
        depth = trace.exit_layer / trace.num_layers
        earned = trace.confidence.astype(np.float64) - self.cost * depth
        count = np.bincount(trace.text)
        return (np.bincount(trace.text, weights=earned) / np.maximum(count, 1))[count > 0]


@dataclass(frozen=True)
class BanditStep:
    """One batch that was served.

    Attributes:
        arm: Its number.
        setting: Of the threshold.
        texts: Texts in the batch.
        reward: Mean reward of the texts that have words.
        mean_exit_layer: Mean depth of a word.
    """

    arm: int
    setting: float
    texts: int
    reward: float
    mean_exit_layer: float


@dataclass(frozen=True)
class History:
    """What was served, in order, and what is known now: enough to reckon regret afterwards.

    Attributes:
        policy: The policy, as plain data.
        arms: Settings to choose from.
        cost: Of depth.
        exploration: As it was.
        steps: Batches.
        state: What the bandit knows at the end; give it to ``adapt`` to go on.
    """

    policy: dict[str, Any]
    arms: tuple[float, ...]
    cost: float
    exploration: float
    steps: tuple[BanditStep, ...]
    state: BanditState

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "policy": self.policy,
            "arms": list(self.arms),
            "cost": self.cost,
            "exploration": self.exploration,
            "steps": [asdict(step) for step in self.steps],
            "state": self.state.to_json(),
        }


def adapt(
    model: Labeller,
    texts: Sequence[Sequence[str]],
    bandit: OnlineThreshold,
    batch_size: int = 32,
    state: BanditState | None = None,
) -> tuple[Trace, History]:
    """Serve a stream batch by batch, each with the arm that the bandit chooses.

    Texts are served in their order, and what a text gets never depends on later ones. Small
    batches learn faster: all texts of a batch share an arm.

    Args:
        model: A tagger or text classifier; it keeps its own policy.
        texts: As for ``tag``: words of each text, or one or two strings.
        bandit: Chooses.
        batch_size: Texts a batch.
        state: What is known already, of the same arms; nothing when None.

    Returns:
        One trace of all texts, as from ``tag``, and the history.

    Raises:
        UserError: No texts, a batch size below 1, or a state of other arms.
    """
    if not texts:
        raise UserError("There are no texts to serve.")
    if batch_size < 1:
        raise UserError(f"batch_size must be a whole number from 1, not {batch_size!r}.")
    state = bandit.start() if state is None else state
    if len(state.pulls) != len(bandit.arms):
        raise UserError(
            f"The state knows {len(state.pulls)} arms and the bandit has {len(bandit.arms)}; go on "
            "with the arms it was saved with, or start anew."
        )
    traces, steps = [], []
    for start in range(0, len(texts), batch_size):
        part, arm = texts[start : start + batch_size], bandit.arm(state)
        trace = model.trace(part, policy=bandit.choose(state), batch_size=batch_size)
        rewards = bandit.rewards(trace)
        for reward in rewards:
            state = bandit.observe(state, arm, reward)
        mean = float(rewards.mean()) if len(rewards) else 0.0
        steps.append(BanditStep(arm, bandit.arms[arm], len(part), mean, trace.mean_exit_layer))
        traces.append(replace(trace, text=trace.text + start))
    history = History(
        policy=bandit.policy.to_config(),
        arms=bandit.arms,
        cost=bandit.cost,
        exploration=bandit.exploration,
        steps=tuple(steps),
        state=state,
    )
    return merge(traces), history
