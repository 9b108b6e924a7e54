"""Generated data for recipes that are started without any."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def write_demo(folder: Path, task: str) -> None:
    """Write a generated corpus with ``data_scripts/make_demo_tagging.py``."""
    script = Path(__file__).resolve().parent.parent / "data_scripts" / "make_demo_tagging.py"
    spec = importlib.util.spec_from_file_location("make_demo_tagging", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write(folder, task=task)


# A fresh model small enough for a demo on two cores.
DEMO_MODEL = {
    "model_type": "bert",
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 128,
}
DEMO_TRAIN = {"epochs": 8, "lr": 1e-3, "head_lr": 1e-3}
