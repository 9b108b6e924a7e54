"""What a saved result says of the oracle, and which rows pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tokenexit.errors import UserError
from tokenexit.oracle import Account, Tally
from tokenexit.reporting.files import AGAIN, number


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
        depth_speedup=speedup,
        reached=number(data, "reached", where),
        all=_tally(data.get("all"), f"{where}.all"),
        by_class=[_tally(one, f"{where}.by_class") for one in data["by_class"]],
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
