"""Libraries that some tokenizers need and that are installed only when asked for."""

from __future__ import annotations

# As they are called in transformers' messages, and how they are installed.
_INSTALLED_BY = {
    "sentencepiece": '"tokenexit[sentencepiece]"',
    "tiktoken": "tiktoken",
    "protobuf": "protobuf",
    "sacremoses": "sacremoses",
    "mistral-common": "mistral-common",
    "rjieba": "rjieba",
}


def installed_by(error: BaseException) -> str | None:
    """What to do about a library that a tokenizer lacks, as a sentence.

    Args:
        error: What transformers, or an import, has raised.

    Returns:
        None where the trouble is another.
    """
    text = str(error).lower()
    lacks = isinstance(error, ImportError) or "pip install" in text or "to have" in text
    named = [name for name in _INSTALLED_BY if name in text]
    if lacks and named:
        what = " or ".join(named)
        how = " or ".join(f"pip install {_INSTALLED_BY[name]}" for name in named)
        return f"It needs {what}, which is not installed here: {how}."
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if missing:
        return f"It needs the module {missing!r}, which is not installed here."
    return None
