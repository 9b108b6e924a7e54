"""Whether a tokenizer and a network know the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tokenexit.errors import UserError

if TYPE_CHECKING:
    from tokenexit.models.encoder_model import EncoderModel
    from tokenexit.models.encoding import Piece


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


def check_pieces(model: EncoderModel, pieces: Sequence[Piece]) -> None:
    """Refuse texts with tokens that the network has no embedding of.

    Raises:
        UserError: Tokens have been added to the tokenizer, and the text uses one.
    """
    entries = embeddings(model.network)
    for piece in pieces:  # first, because counting a tokenizer's entries takes longer
        if max(piece.sentence.input_ids) >= entries:
            check_vocabulary(model.tokenizer, entries)
