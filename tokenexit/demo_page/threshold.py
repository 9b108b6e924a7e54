"""The one threshold of a policy, as a slider: from strict to loose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenexit.calibration.simulate import grid
from tokenexit.calibration.text_families import default_text_families
from tokenexit.errors import UserError
from tokenexit.models.settings import task_of
from tokenexit.policies import Policy
from tokenexit.policies.in_words import policy_words
from tokenexit.tasks import LabelledTask

STEPS = 101


@dataclass(frozen=True)
class Slider:
    """What is turned.

    Attributes:
        policy: Whose threshold it is.
        own: Whether it is the model's own policy, or was asked for.
        values: Settings from strict to loose; none where there is nothing to turn.
        start: Place of the policy's own setting among them.
    """

    policy: Policy
    own: bool
    values: tuple[float, ...] = ()
    start: int = 0

    def at(self, value: float | None) -> Policy:
        """The policy at a setting; as it is when None.

        Raises:
            UserError: The policy has no threshold, or none of that value.
        """
        return self.policy if value is None else self.policy.with_threshold(value)

    def to_dict(self) -> dict[str, Any]:
        """As a page wants it."""
        spec = self.policy.threshold_spec()
        return {
            "policy": policy_words(self.policy),
            "own": self.own,
            "field": "" if spec is None else spec.field.replace("_", " "),
            "values": self.values,
            "start": self.start,
        }


def slider_of(model: Any, given: Policy | None = None) -> Slider:
    """The slider of a policy, of the model's own, or of a usual one where that has no threshold.

    Args:
        model: With exits.
        given: The policy that is asked for.
    """
    asked = model.policy if given is None else given
    own = given is not None or asked.threshold_spec() is not None
    policy = asked if own else _usual(model)
    spec, now = policy.threshold_spec(), policy.threshold_value()
    if spec is None or now is None:
        return Slider(policy, own)
    values = set(grid(policy, STEPS))
    if spec.integer:  # counted in layers, of which there are only so many
        depth = max(model.settings.exit_layers[-1], round(now))
        values = {float(value) for value in range(round(spec.loose), depth + 1)}
    legal = {value for value in values if _allowed(policy, value)} | {now}
    ordered = sorted(legal, key=lambda value: (spec.place(value), abs(value - spec.strict)))
    return Slider(policy, own, tuple(ordered), ordered.index(now))


def _allowed(policy: Policy, value: float) -> bool:
    try:
        policy.with_threshold(value)
    except UserError:  # a policy's other fields may leave less room
        return False
    return True


def _usual(model: Any) -> Policy:
    """What calibration would try first."""
    task = task_of(model.settings)
    if not isinstance(task, LabelledTask):
        return default_text_families(model)[0]
    return task.families(model.labels, getattr(model, "context", None) is not None)[0]
