"""What the text-to-text recipes share: their arguments, and generated data when there is none."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenexit.config import friendly_errors
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

# Tokens halt while training as CALM's softmax margin would let them.
OBJECTIVE: dict[str, Any] = {"name": "halt_and_copy", "policy": "margin"}

# A small model from scratch, with a tokenizer trained on the corpus.
SMALL: dict[str, Any] = {
    "model_type": "t5",
    "d_model": 256,
    "d_kv": 64,
    "d_ff": 1024,
    "num_heads": 4,
    "num_layers": 6,
    "num_decoder_layers": 6,
}

# What is used as long as neither data nor model is given: small enough for two cores.
DEMO: dict[str, Any] = {
    "model": {
        "model_type": "t5",
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 256,
        "num_heads": 4,
        "num_layers": 4,
        "num_decoder_layers": 4,
        "vocab_size": 600,
    },
    "train": {"epochs": 6, "lr": 2e-3, "head_lr": 2e-3, "objective": OBJECTIVE},
    "generation": {"max_new_tokens": 48},
    "calibrate": {"limit": 100},
}


def main(task: str, argv: Sequence[str], defaults: dict[str, Any]) -> None:
    """Run the recipe of a task on command-line arguments.

    Args:
        task: ``translation``, ``data_to_text`` or ``summarization``.
        argv: The arguments.
        defaults: What the task sets unless told otherwise.
    """
    own = any(
        item.startswith(("data=", "model=")) or item.endswith((".yaml", ".yml")) for item in argv
    )
    base = {"task": task, "output_dir": f"runs/{task}-demo"}
    with friendly_errors():
        config = load_with_method(
            Seq2SeqConfig, argv, {**base, **(defaults if own else DEMO)}, "step"
        )
        run_task(config, demo=write_demo)


def write_demo(folder: Path, task: str) -> None:
    """Write a generated corpus with ``data_scripts/make_demo_pairs.py``."""
    script = Path(__file__).resolve().parent.parent / "data_scripts" / "make_demo_pairs.py"
    spec = importlib.util.spec_from_file_location("make_demo_pairs", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write(folder, task=task)
