"""Whether a tokenizer and a network know the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenexit.errors import UserError
from tokenexit.models.encoders.encoding import TextWindow


def check_vocabulary(tokenizer: Any, entries: int) -> None:
    """Refuse a tokenizer with more entries than the network has embeddings.

    Raises:
        UserError: Says how many there are.
    """
    if isinstance(tokenizer, str) or not hasattr(tokenizer, "__len__"):
        raise UserError(
            f"A tokenizer of transformers is needed, not {type(tokenizer).__name__}: load it from "
            "the model's folder, with AutoTokenizer.from_pretrained."
        )
    if len(tokenizer) > entries:
        raise UserError(
            f"The tokenizer has {len(tokenizer)} entries and the model {entries}: they do not "
            "belong together. Load both from the same folder, or resize the model's embeddings: "
            "resize_token_embeddings(len(tokenizer))."
        )


def embeddings(network: Any) -> int:
    """Entries of a network's vocabulary."""
    return int(network.get_input_embeddings().num_embeddings)


def check_windows(model: Any, windows: Sequence[TextWindow], entries: int | None = None) -> None:
    """Refuse texts with tokens that the network has no embedding of.

    Args:
        model: With a network and a tokenizer.
        windows: Its texts.
        entries: Entries of its vocabulary, where they are known already.

    Raises:
        UserError: A token has none, as after tokens were added to the tokenizer.
    """
    entries = embeddings(model.network) if entries is None else entries
    most = max((max(window.sentence.input_ids) for window in windows), default=0)
    if most >= entries:  # first, because counting a tokenizer's entries takes longer
        check_vocabulary(model.tokenizer, entries)
        raise UserError(
            f"The text has token {most}, and the model knows tokens 0 to {entries - 1} only."
        )
