"""What recipes set unless they are told otherwise, and what they try without data."""

from __future__ import annotations

from typing import Any

OBJECTIVE: dict[str, Any] = {"name": "halt_and_copy", "policy": "margin"}
"""Of generators: tokens halt while training as CALM's softmax margin would let them."""

SMALL: dict[str, Any] = {
    "model_type": "t5",
    "d_model": 256,
    "d_kv": 64,
    "d_ff": 1024,
    "num_heads": 4,
    "num_layers": 6,
    "num_decoder_layers": 6,
}
"""A small generator from scratch, with a tokenizer trained on the corpus."""

_FROM_SCRATCH: dict[str, Any] = {
    "max_target": 96,
    "generation": {"max_new_tokens": 96},
    "train": {"epochs": 3, "batch_size": 64, "lr": 1e-3, "head_lr": 1e-3, "objective": OBJECTIVE},
}

GENERATION: dict[str, dict[str, Any]] = {
    "translation": {"model": {**SMALL, "vocab_size": 6000}, **_FROM_SCRATCH},
    "data_to_text": {"model": {**SMALL, "vocab_size": 1500}, **_FROM_SCRATCH},
    "summarization": {"train": {"epochs": 3, "batch_size": 16, "objective": OBJECTIVE}},
}
"""Settings of generators by task."""

# Neither data nor model given: small enough for two cores.
DEMO_OF_LABELS: dict[str, Any] = {
    "model": {
        "model_type": "bert",
        "hidden_size": 128,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "max_position_embeddings": 128,
    },
    "train": {"epochs": 6, "lr": 1e-3, "head_lr": 1e-3},
}

DEMO_OF_GENERATION: dict[str, Any] = {
    "model": {
        "model_type": "t5",
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 256,
        "num_heads": 4,
        "num_layers": 4,
        "num_decoder_layers": 4,
        "vocab_size": 600,
        "dropout_rate": 0,  # what is generated follows rules; it learns slower with dropout
    },
    "train": {"epochs": 6, "batch_size": 16, "lr": 2e-3, "head_lr": 2e-3, "objective": OBJECTIVE},
    "generation": {"max_new_tokens": 48},
}
