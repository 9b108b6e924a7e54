"""What a device reached, as the table that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from on_device.cases import ROWS

Measured = Mapping[str, Any]
COLUMNS = (1, 10, 32, 128)


def device_tables(measured: Sequence[Measured]) -> str:
    """Numbers with their spread and what was wanted, what could not be had, and the machine."""
    parts = [_numbers(measured)]
    parts += [_list(lines) for lines in (_reasons(measured), _said(measured)) if lines]
    return "\n\n".join([*parts, _list(_ran(measured))])


def _numbers(measured: Sequence[Measured]) -> str:
    known = {(one["settings"]["row"], one["settings"]["batch"]): one for one in measured}
    columns = [batch for batch in COLUMNS if any(key[1] == batch for key in known)]
    small = any(one["settings"]["small"] for one in measured)
    header = ["tiny shapes on a CPU" if small else "", *(f"batch {batch}" for batch in columns)]
    lines = [header, ["---"] * len(header)]
    for row, about in ROWS.items():
        if any(key[0] == row for key in known):
            lines.append(
                [about.title, *(_cell(known.get((row, batch)), about.unit) for batch in columns)]
            )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(one: Measured | None, unit: str) -> str:
    if one is None:
        return ""
    found, settings = one["result"], one["settings"]
    wanted = "" if settings["wanted"] is None else f" of {_told(settings['wanted'], unit)}"
    if settings["small"]:
        wanted = ""  # which is asked of a GPU and whole shapes
    if "value_median" not in found:
        return f"-{wanted}"
    middle, low, high = (_told(found[f"value_{at}"], unit) for at in ("median", "p10", "p90"))
    spread = "" if low == high else f" ({low}-{high})"
    return f"{middle}{spread}{wanted}"


def _told(value: float, unit: str) -> str:
    if unit == "ratio":
        return f"{value:.2f}x"
    if unit == "busy":
        return f"{100 * value:.0f} %"
    return f"{value:.2f}" if unit == "ms" else f"{value:,.0f}"


def _reasons(measured: Sequence[Measured]) -> list[str]:
    return [
        f"{one['case']}: {one['result']['reason']}" for one in measured if "reason" in one["result"]
    ]


def _said(measured: Sequence[Measured]) -> list[str]:
    lines = [f"eager: {one['result']['refused']}" for one in measured if "refused" in one["result"]]
    lines += [line for one in measured for line in one["result"].get("said", ())]
    return list(dict.fromkeys(lines))


def _ran(measured: Sequence[Measured]) -> list[str]:
    return sorted(set(_machines(measured)))


def _machines(measured: Sequence[Measured]) -> Iterator[str]:
    for one in measured:
        found = one["result"]
        if "ran" not in found:
            continue
        versions = ", ".join(f"{k} {v}" for k, v in found["ran"]["versions"].items())
        runtime = found.get("runtime", "no runtime")
        yield (
            f"{found['device']}; {found['dtype']}; {runtime}; {versions}; "
            f"commit {one['commit'][:12]}"
        )


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
