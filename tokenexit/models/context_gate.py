"""The context gate of a model: whether it is the model's own, and how it is put there."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from torch import Tensor

from tokenexit.context import ContextGate
from tokenexit.context.fingerprint import changed, fingerprint
from tokenexit.errors import UserError
from tokenexit.policies import Policy
from tokenexit.policies.base import walk
from tokenexit.policies.context_gate import ContextGate as Asks

if TYPE_CHECKING:
    from tokenexit.models.encoder_model import EncoderModel

AGAIN = "Fit one to this model: `tokenexit fit-gate RUN --data D`, or tokenexit.training.fit_gate."


def head_weights(model: EncoderModel) -> dict[str, Tensor]:
    """Weights of all exits, the top's included, by name."""
    top = model.backbone.final_head().state_dict()
    below = model.heads.exits.state_dict()
    return {**below, **{f"top.{name}": weight for name, weight in top.items()}}


def mark_of(model: EncoderModel) -> dict[str, list[float]]:
    """What a gate fitted to a model remembers of it."""
    return fingerprint(head_weights(model))


def check_own(model: EncoderModel, gate: ContextGate) -> None:
    """Refuse a gate that was fitted to another model.

    Raises:
        UserError: Says what differs.
    """
    config, settings = gate.config, model.settings
    level = level_of(model)
    if config.level != level:
        raise UserError(
            f"This context gate judges rows of the level {config.level!r}, and the model's rows "
            f"are of the level {level!r}. {AGAIN}"
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
    name = changed(config.fingerprint, head_weights(model))
    if name is not None:
        raise UserError(
            f"This context gate was fitted to other heads than the model has now ({name} "
            f"differs), so what it says of them means nothing. {AGAIN}"
        )


def use_context(model: EncoderModel, gate: ContextGate | None) -> None:
    """Give a model a gate, or take its own away; the gate itself stays as it is.

    Raises:
        UserError: It was fitted to another model.
    """
    settings = {key: value for key, value in model.settings.heads.items() if key != "context"}
    if gate is None:
        model.heads.context = None
    else:
        check_own(model, gate)
        own = copy.deepcopy(gate).to(model.device).eval()
        model.heads.context = own
        settings["context"] = gate.config.to_json()
    model.configure(heads=settings)


def check_asked(model: EncoderModel, policy: Policy) -> None:
    """Before a run: refuse a gate whose heads have been trained since it was fitted.

    Raises:
        UserError: As ``check_own``.
    """
    gate = model.heads.context
    if gate is None or not any(isinstance(part, Asks) for part in walk(policy)):
        return
    weights = [*model.heads.exits.parameters(), *model.backbone.final_head().parameters()]
    mark = [(gate, id(weight), _changes(weight)) for weight in weights]
    known = vars(model).get("_context_checked")
    if known != mark:
        check_own(model, gate)
        vars(model)["_context_checked"] = mark


def level_of(model: EncoderModel) -> str:
    """Kind of a model's rows."""
    return "sentence" if model.backbone.of_texts else "token"


def _changes(weight: Tensor) -> int:
    return -1 if weight.is_inference() else weight._version


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
