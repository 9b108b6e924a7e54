"""Languages of tokenizers that mark them with tokens, as mBART's and mBART-50's do."""

from __future__ import annotations

import copy
from typing import Any

from tokenexit.errors import UserError


def knows_languages(tokenizer: Any) -> bool:
    """Whether a tokenizer marks the language of what it reads and writes."""
    return bool(getattr(tokenizer, "lang_code_to_id", None))


def with_languages(tokenizer: Any, source: str, target: str) -> Any:
    """A copy of a tokenizer that reads one language and writes another.

    Args:
        tokenizer: Left as it is.
        source: A code of the tokenizer, such as ``en_XX``, or the language in it, ``en``.
        target: As ``source``.

    Raises:
        UserError: The tokenizer knows no languages, or not these.
    """
    if not knows_languages(tokenizer):
        raise UserError(
            f"{type(tokenizer).__name__} marks no languages; leave source_lang and target_lang out."
        )
    source, target = (_code(tokenizer, language) for language in (source, target))
    copied = copy.deepcopy(tokenizer)
    copied.src_lang, copied.tgt_lang = source, target
    return copied


def begin_in(network: Any, tokenizer: Any) -> None:
    """Let a network generate in the language that its tokenizer writes.

    Args:
        network: Its ``generation_config`` is changed.
        tokenizer: From ``with_languages``.
    """
    written = tokenizer(text_target="")["input_ids"]
    code = tokenizer.lang_code_to_id[tokenizer.tgt_lang]
    own = network.generation_config
    # Wrapped around, as training reads it: mBART ends in the code, and mBART-50 begins with it.
    own.decoder_start_token_id = written[-1]
    own.forced_bos_token_id = code if written[0] == code else None


def _code(tokenizer: Any, language: str) -> str:
    codes = sorted(tokenizer.lang_code_to_id)
    found = [code for code in codes if code == language]
    found = found or [code for code in codes if code.split("_")[0] == language.split("_")[0]]
    if len(found) == 1:
        return found[0]
    what = "no language" if not found else "several languages"
    raise UserError(
        f"The tokenizer knows {what} {language!r}: {', '.join(found or codes)}. Name one with "
        "source_lang and target_lang."
    )
