"""What the tagging recipes share: their arguments, and generated data when there is none."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenexit.config import friendly_errors
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.run import run_task

# What is used as long as neither data nor model is given: small enough for two cores.
DEMO = {
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


def main(task: str, argv: Sequence[str]) -> None:
    """Run the recipe of a task on command-line arguments."""
    defaults = {"task": task, "output_dir": f"runs/{task}-demo"}
    own = any(
        item.startswith(("data=", "model=")) or item.endswith((".yaml", ".yml")) for item in argv
    )
    with friendly_errors():
        config = load_with_method(
            TaggingConfig, argv, defaults if own else {**defaults, **DEMO}, "token"
        )
        run_task(config, demo=demo_writer("make_demo_tagging"))


def demo_writer(script: str) -> Callable[[Path, str], None]:
    """What writes a generated corpus for a task: a script of ``data_scripts``."""

    def write(folder: Path, task: str) -> None:
        path = Path(__file__).resolve().parent.parent / "data_scripts" / f"{script}.py"
        spec = importlib.util.spec_from_file_location(script, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.write(folder, task=task)

    return write
