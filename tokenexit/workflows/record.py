"""What a run and its model remember of training and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from tokenexit.config import dump_config
from tokenexit.evaluation.curve import CurveRow
from tokenexit.files import write_json
from tokenexit.workflows.reading import GENERATED, reading_of
from tokenexit.workflows.selection import Selection
from tokenexit.workflows.served_texts import COUNT, EARLIER, LOOKS, RECORD
from tokenexit.workflows.used_texts import TEXTS


def for_model(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a model keeps of its results: not which classes pay, which the run's report tells."""
    return {
        name: {key: value for key, value in result.items() if key != "oracle"}
        for name, result in results.items()
    }


def training_record(config: Any, held: Selection[Any]) -> dict[str, Any]:
    """What a model card and a run say of the training.

    Args:
        config: Of a recipe.
        held: Its validation split, dealt out.
    """
    return {
        "task": config.task,
        "model": config.model,
        "data": config.data or GENERATED,
        "seed": config.seed,
        "reading": reading_of(config),
        **dump_config(config)["train"],
        RECORD: list(held.served_for),
        COUNT: held.chosen_on,
        LOOKS: held.looks,
        TEXTS: held.texts_used,
        **({EARLIER: list(held.earlier)} if held.earlier else {}),
    }


def write_metrics(
    run: Path,
    config: Any,
    results: Mapping[str, Any],
    points: Sequence[CurveRow],
    num_layers: int,
    num_processes: int,
    labels: Sequence[str] = (),
) -> None:
    """Write ``metrics.json``."""
    static = [
        {"layer": int(p.value or 0), "quality": p.quality, "mac_ratio": p.mac_ratio}
        for p in points
        if p.kind == "static"
    ]
    record = {
        "task": config.task,
        "model": config.model if isinstance(config.model, str) else "fresh",
        "data": config.data or "generated",
        "seed": config.seed,
        "labels": list(labels),
        "num_layers": num_layers,
        "num_processes": num_processes,
        "splits": results,
        "static": static,
        "made": {
            "tokenexit": import_module("tokenexit").__version__,  # which stands above
            "date": datetime.now(UTC).date().isoformat(),  # a day, so that runs can be compared
        },
    }
    write_json(run / "metrics.json", record)
