"""A small corpus, and a tagger trained on it by the machinery of the recipes.

Fixtures for several folders, loaded by path because tests are no package. What they make is kept
in a folder that all workers of pytest share, so it is made once however many there are.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
# 45 and 47 are odd, so two processes get shares of different sizes.
SIZES = {"train": 150, "validation": 45, "test": 47}
# Without dropout, so that only the order of sums can make two runs differ.
SMALL_BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def forget_accelerator() -> None:
    """The accelerator's state is one for the whole process; the next run starts without."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)


def write_corpus(folder: Path, task: str) -> None:
    """Generated sentences; validation and test are parts of the training split."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tokenexit.demo import tagging

    rows = tagging.make(task, SIZES["train"], 0)["train"]
    folder.mkdir(parents=True)
    for name, count in SIZES.items():
        # So few sentences teach nothing general; what was learned by heart shows depth as well.
        start = 0 if name in ("train", "validation") else SIZES["validation"]
        part = rows[start : start + count]
        pq.write_table(pa.Table.from_pylist(part), folder / f"{name}.parquet")


def train_small(folder: Path, data: Path) -> None:
    """A tagger whose exits differ: early ones are good enough for some words only."""
    from tokenexit.calibration import CalibrateConfig
    from tokenexit.training import TrainConfig
    from tokenexit.workflows.config import TaggingConfig
    from tokenexit.workflows.run import run_task

    objective = {"name": "joint", "weights": "depth"}
    run_task(
        TaggingConfig(
            output_dir=str(folder),
            data=str(data),
            model=SMALL_BERT,
            heads={"name": "linear"},  # with a hidden layer the first exit learns all by heart
            train=TrainConfig(
                max_steps=120, batch_size=16, lr=1e-2, head_lr=1e-2, objective=objective
            ),
            calibrate=CalibrateConfig(policies=[{"name": "entropy"}], grid=16, loose=True),
        )
    )
    forget_accelerator()


def made_once(name: str, make: Any) -> Path:
    """A folder that ``make`` fills, under the folder that all workers share."""
    place = Path(os.environ["HF_HOME"]) / "trained"
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / f"{name}.lock"):
        if not (place / name).exists():
            shutil.rmtree(place / f"{name}.partial", ignore_errors=True)
            make(place / f"{name}.partial")
            (place / f"{name}.partial").rename(place / name)
    return place / name


@pytest.fixture(autouse=True)
def _no_accelerator_left() -> Iterator[None]:
    yield
    forget_accelerator()


@pytest.fixture(scope="session")
def small_bert() -> dict[str, Any]:
    """Description of a fresh model of three narrow layers."""
    return dict(SMALL_BERT)


@pytest.fixture(scope="session")
def model_key() -> str:
    """The same as an argument of a recipe."""
    return f"model={json.dumps(SMALL_BERT)}"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of parquet files with entity tags and word classes; not to be changed."""
    return made_once("corpus", lambda folder: write_corpus(folder, "ner"))


@pytest.fixture(scope="session")
def trained_run(corpus: Path) -> Path:
    """The folder of a finished recipe; not to be changed."""
    return made_once("run", lambda folder: train_small(folder, corpus))


@pytest.fixture
def own_run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    skip = shutil.ignore_patterns("checkpoints")
    return Path(shutil.copytree(trained_run, tmp_path / "run", ignore=skip))


@pytest.fixture(scope="session")
def tagger(trained_run: Path) -> Any:
    """The trained model; not to be changed."""
    from tokenexit import ExitModelForTokenClassification

    return ExitModelForTokenClassification.from_pretrained(trained_run)


@pytest.fixture(scope="session")
def splits(corpus: Path) -> Any:
    """The corpus, read."""
    from tokenexit.data.tagged import read_tagged

    return read_tagged(corpus)
