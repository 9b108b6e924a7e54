"""CTranslate2's converter, told of a network in memory and a vocabulary of our own.

Tokens go in and out under names of our own, so any tokenizer will do, or none.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

TYPES = {"fp32": "float32", "int8": "int8"}
"""What it calls precisions."""

PAD = "<pad>"
"""The one name that its converter of Marian looks for."""


def names_of(size: int, pad: int | None) -> list[str]:
    """A name for each token, which no two share.

    Args:
        size: Tokens of the vocabulary.
        pad: Which of them is padding.
    """
    names = [f"token{number}" for number in range(size)]
    if pad is not None:
        names[pad] = PAD
    return names


def convert(
    network: Any, names: list[str], special: dict[str, int | None], folder: Path, precision: str
) -> Path:
    """Convert a network; returns the folder of the result.

    Args:
        network: A copy: the converter rounds weights in place and notes things in the
            configuration.
        names: Of its tokens.
        special: Which tokens are ``bos``, ``eos``, ``pad`` and ``unk``; the end where None.
        folder: Where to write, into one folder for each precision.
        precision: One of ``TYPES``.
    """
    ends = special["eos"]
    told = {
        f"{kind}_token": names[(ends if number is None else number) or 0]
        for kind, number in special.items()
    }
    tokenizer = SimpleNamespace(
        get_vocab=lambda: {name: number for number, name in enumerate(names)},
        convert_ids_to_tokens=names.__getitem__,
        unk_token_id=special["unk"],
        special_tokens_map={},
        **told,
    )
    converters: Any = import_module("ctranslate2.converters")

    class InMemory(converters.TransformersConverter):
        """Takes the network that is there in the place of files."""

        def load_model(self, *_: Any, **__: Any) -> Any:
            return network

        def load_tokenizer(self, *_: Any, **__: Any) -> Any:
            return tokenizer

    network.config.save_pretrained(folder)
    target = folder / precision
    InMemory(str(folder)).convert(str(target), quantization=TYPES[precision])
    return target


def start_with(folder: Path, name: str) -> None:
    """Say what decoding starts with, where the converter leaves it to each call."""
    path = folder / "config.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    if told.get("decoder_start_token") is None:
        told["decoder_start_token"] = name
        path.write_text(json.dumps(told), encoding="utf-8")
