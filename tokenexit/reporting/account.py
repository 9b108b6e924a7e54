"""What a saved result says of the oracle, and which rows pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tokenexit.errors import UserError
from tokenexit.oracle import Tally
from tokenexit.reporting.files import AGAIN, number


@dataclass(frozen=True)
class Account:
    """The oracle's line.

    Attributes:
        exit_layer: Layer at which it lets rows leave, on average.
        speedup: Layers it saves, as a factor.
        reached: Share of its saving that the policy reaches.
        total: All rows that were compared one by one.
        classes: The same for each class.
    """

    exit_layer: float
    speedup: float
    reached: float | None
    total: Tally
    classes: Sequence[Tally]


def account_of(data: Any, origin: str) -> Account | None:
    """Read plain data; None where nothing was saved.

    Args:
        data: As ``tokenexit evaluate --oracle --json`` writes it.
        origin: Where it came from, for messages.

    Raises:
        UserError: It is damaged.
    """
    if data is None:
        return None
    where = f"{origin}: oracle"
    if not isinstance(data, Mapping) or not isinstance(data.get("by_class"), list):
        raise UserError(f"{where} should be an object with by_class, not {data!r}. {AGAIN}")
    layer, speedup = number(data, "exit_layer", where), number(data, "depth_speedup", where)
    if layer is None or speedup is None:
        raise UserError(f"{where} lacks exit_layer or depth_speedup. {AGAIN}")
    return Account(
        exit_layer=layer,
        speedup=speedup,
        reached=number(data, "reached", where),
        total=_tally(data.get("all"), f"{where}.all"),
        classes=[_tally(one, f"{where}.by_class") for one in data["by_class"]],
    )


def _tally(data: Any, where: str) -> Tally:
    if not isinstance(data, Mapping):
        raise UserError(f"{where} should be an object, not {data!r}. {AGAIN}")
    told: dict[str, Any] = {"label": str(data.get("label", ""))}
    for field in fields(Tally):
        if field.name == "label":
            continue
        value = number(data, field.name, where)
        if value is None and field.name != "reached":
            raise UserError(f"{where} lacks {field.name}. {AGAIN}")
        told[field.name] = int(value) if field.type == "int" and value is not None else value
    return Tally(**told)
