"""Ways to damage a folder, and models to try them on; for several tests."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 7, 10**400, 0.5, float("nan"), "", "strange", [], ["x", 1], {}, {"x": [1]},
)  # fmt: skip


def keys_of(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand in plain data; of long lists only the first few."""
    items: list[tuple[Any, Any]] = []
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data[:2]))
    for key, value in items:
        yield (*path, key)
        yield from keys_of(value, (*path, key))


def put(data: Any, path: tuple[Any, ...], value: Any) -> None:
    """Put a value there."""
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def strange_values(path: Path, values: tuple[Any, ...] = STRANGE) -> Iterator[tuple[str, str]]:
    """A JSON file with one strange value, for every place in it: what was done, and the text."""
    text = path.read_text(encoding="utf-8")
    for place in keys_of(json.loads(text)):
        for value in values:
            data = json.loads(text)
            put(data, place, value)
            yield (
                f"{path.name}: {'.'.join(map(str, place))} = {str(value)[:20]!r}",
                json.dumps(data),
            )


def of_files(other: Path) -> dict[str, Callable[[Path], None]]:
    """Damage to a whole file, by name.

    Args:
        other: A folder of another model.
    """

    def replace_by_folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    def dangle(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.with_name("nowhere"))

    def exchange(path: Path) -> None:
        theirs = other / path.name
        path.unlink()
        if theirs.is_file():
            shutil.copy(theirs, path)

    def scramble(path: Path) -> None:
        path.write_bytes(random.Random(0).randbytes(300))

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        for place in random.Random(1).sample(range(len(data)), min(20, len(data))):
            data[place] ^= 0x55
        path.write_bytes(bytes(data))

    return {
        "missing": Path.unlink,
        "empty": lambda path: path.write_bytes(b""),
        "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "a byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "a list": lambda path: path.write_text("[1, 2]"),
        "an empty object": lambda path: path.write_text("{}"),
        "nested": lambda path: path.write_text("[" * 100_000),
        "nested objects": lambda path: path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000),
        "no text": scramble,
        "bits": flip,
        "another model's": exchange,
        "a folder": replace_by_folder,
        "a dangling link": dangle,
    }
