"""Names of the files in a model folder."""

from __future__ import annotations

import re
from pathlib import Path

CONFIG, WEIGHTS = "exit_config.json", "exit_heads.safetensors"
TABLE = "ngrams.safetensors"
CASCADE = "cascade.json"
CARD = "README.md"
MASKED_HEADS = "masked_lm_heads.safetensors"
"""Of a pre-trained encoder, which is an ordinary one without them."""
MARKERS = (CONFIG, CASCADE)
"""Without one of these nothing is loaded: they go first when a folder changes and come last."""

_NETWORK = re.compile(
    r"(model|pytorch_model)(\.\w+)?(-\d{5}-of-\d{5})?\.(safetensors|bin)(\.index(\.\w+)?\.json)?"
    r"|tf_model\.h5|flax_model\.msgpack|adapter_model\.(safetensors|bin)"
)
_OTHERS = frozenset(
    (
        "config.json", "generation_config.json", "adapter_config.json", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "chat_template.jinja", "chat_template.json", "chat_templates",
        "additional_chat_templates", "vocab.txt", "vocab.json", "merges.txt", "spiece.model",
        "sentencepiece.bpe.model", "tokenizer.model", "spm.model", "source.spm", "target.spm",
        "target_vocab.json",
    )
)  # fmt: skip


def holds_weights(name: str) -> bool:
    """Whether a file has the weights of a network, or says where they are."""
    return _NETWORK.fullmatch(name) is not None


def of_a_model(name: str) -> bool:
    """Whether a saved model wrote a file, or may have."""
    named = name in _OTHERS or name in (*MARKERS, WEIGHTS, TABLE, CARD, MASKED_HEADS)
    return named or holds_weights(name)


def holds_model(folder: Path) -> bool:
    """Whether a model was saved to a folder, with exits or without."""
    if any((folder / name).exists() for name in (*MARKERS, WEIGHTS)):
        return True
    config = folder / "config.json"
    return config.is_file() and b'"model_type"' in config.read_bytes()
