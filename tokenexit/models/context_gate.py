"""The context gate of a model: whether it is the model's own, and how it is put there."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from tokenexit.context import ContextGate
from tokenexit.context.fingerprint import changed, fingerprint
from tokenexit.errors import UserError
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Policy
from tokenexit.policies.base import walk
from tokenexit.policies.context_gate import ContextGate as Asks

AGAIN = "Fit one to this model: `tokenexit fit-gate RUN --data D`, or tokenexit.training.fit_gate."


class Judged(ABC):
    """The part of a model that a context gate belongs to."""

    settings: ExitSettings

    row_unit: ClassVar[str] | property = ""
    """Rows that leave: ``word``, ``token`` or ``text``."""

    @property
    @abstractmethod
    def context(self) -> ContextGate | None:
        """The gate that the policy ``context_gate`` asks, if one was fitted."""

    @abstractmethod
    def put_context(self, gate: ContextGate | None) -> None:
        """Keep a gate, unchecked, or none; see ``use_context``."""

    @abstractmethod
    def judged_weights(self) -> dict[str, Tensor]:
        """The weights that a gate is fitted to, by name."""

    def use_context(self, gate: ContextGate | None) -> Self:
        """Give the model a context gate that was fitted to it; None takes its own away.

        Args:
            gate: From ``training.fit_gate``; a copy of it is saved with the heads.

        Returns:
            This model.

        Raises:
            UserError: It was fitted to other heads, exits or classes, or to rows of another kind.
        """
        model: Any = self
        heads = {key: value for key, value in self.settings.heads.items() if key != "context"}
        if gate is None:
            self.put_context(None)
        else:
            check_own(self, gate)
            self.put_context(copy.deepcopy(gate).to(model.device).eval())
            heads["context"] = gate.config.to_json()
        model.configure(heads=heads)
        return self


def mark_of(model: Judged) -> dict[str, list[float]]:
    """What a gate fitted to a model remembers of it."""
    return fingerprint(model.judged_weights())


def check_own(model: Judged, gate: ContextGate) -> None:
    """Refuse a gate that was fitted to another model.

    Raises:
        UserError: Says what differs.
    """
    config, settings = gate.config, model.settings
    unit = model.row_unit
    if config.unit != unit:
        raise UserError(
            f"This context gate judges {config.unit}s, and the model's rows are {unit}s. {AGAIN}"
        )
    exits = settings.exit_layers
    if (*config.exits, config.num_layers) != exits:
        raise UserError(
            f"This context gate was fitted to exits after layers {list(config.exits)} of "
            f"{config.num_layers}, and the model has them after {list(exits[:-1])} of "
            f"{exits[-1]}. {AGAIN}"
        )
    if config.classes != settings.labels:
        raise UserError(
            f"This context gate was fitted to {len(config.classes)} classes "
            f"({_few(config.classes)}), and the model has {len(settings.labels)} "
            f"({_few(settings.labels)}), or in another order. {AGAIN}"
        )
    name = changed(config.fingerprint, model.judged_weights())
    if name is not None:
        raise UserError(
            f"This context gate was fitted to other heads than the model has now ({name} "
            f"differs), so what it says of them means nothing. {AGAIN}"
        )


def check_asked(model: Judged, policy: Policy) -> None:
    """Before a run: refuse a gate whose heads have been trained since it was fitted.

    Raises:
        UserError: As ``check_own``.
    """
    gate = model.context
    if gate is None or not any(isinstance(part, Asks) for part in walk(policy)):
        return
    mark = [
        (gate, weight.data_ptr(), _changes(weight)) for weight in model.judged_weights().values()
    ]
    known = vars(model).get("_context_checked")
    if known != mark:
        check_own(model, gate)
        vars(model)["_context_checked"] = mark


def named_weights(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """What ``state_dict`` names, with less ado: quick enough to be asked before every text."""
    found: dict[str, Tensor] = {}
    for table in (module._parameters, module._buffers):
        for name, weight in table.items():
            if weight is not None and name not in module._non_persistent_buffers_set:
                found[prefix + name] = weight
    for name, part in module._modules.items():
        if part is not None:
            found |= named_weights(part, f"{prefix}{name}.")
    return found


def _changes(weight: Tensor) -> int:
    return -1 if weight.is_inference() else weight._version


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
