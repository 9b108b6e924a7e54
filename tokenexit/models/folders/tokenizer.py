"""The tokenizer of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from tokenexit.errors import UserError
from tokenexit.models.folders.needed_libraries import installed_by
from tokenexit.models.folders.network import first_line, quiet_transformers

# Families whose byte-level tokenizers must be told that words come already split.
_PREFIX_SPACE = ("roberta", "modernbert", "deberta")


def load_tokenizer(source: str | Path, *, split_words: bool = True) -> Any:
    """Load a tokenizer.

    Args:
        source: Folder or Hub id.
        split_words: Whether it has to take split words, which only fast ones do.

    Raises:
        UserError: There is none, or only a slow one where words are split, or it needs a library
            that is not installed.
    """
    try:
        with quiet_transformers():
            kind = AutoConfig.from_pretrained(source, trust_remote_code=False).model_type
            extra = {"add_prefix_space": True} if kind in _PREFIX_SPACE else {}
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **extra)
    except Exception as error:  # tokenizers has no class of its own for a damaged file
        raise UserError(
            f"The tokenizer of {str(source)!r} cannot be loaded: "
            f"{installed_by(error) or first_line(error)}{_elsewhere(source)}"
        ) from error
    if split_words and not tokenizer.is_fast:
        raise UserError(f"The tokenizer of {str(source)!r} is not a fast one, which words need.")
    return tokenizer


def _elsewhere(source: str | Path) -> str:
    """What to do about a source that is not on this disk."""
    if Path(source).exists():
        return ""
    return " Check the name and the network, or give the folder of a checkpoint."


def check_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Let a tokenizer read a word, so that damage shows before there is work to lose.

    Raises:
        UserError: It cannot, or says what no network takes.
    """
    try:
        ids = tokenizer(["a b"], padding=True, truncation=False)["input_ids"]
        sound = all(isinstance(token, int) for token in ids[0])
        sound = sound and int(tokenizer.model_max_length) > 0
    except Exception as error:  # as above
        raise UserError(
            f"The tokenizer of {str(folder)!r} is damaged and cannot read a word: "
            f"{first_line(error)} Copy the folder again."
        ) from error
    if not sound:
        raise UserError(f"The tokenizer of {str(folder)!r} is damaged. Copy the folder again.")
