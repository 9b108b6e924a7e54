"""The model card: what was trained, what it scores, how to use it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tokenexit.errors import printable
from tokenexit.models.settings import ExitSettings, task_of
from tokenexit.promises.sentences import promise_sentences
from tokenexit.wording.held_to import full_depth, held_to_sentence
from tokenexit.wording.naming import metric_name, scale

TAGS = ("early-exit", "adaptive-computation")
NO_SOURCE = ("generated", "fresh")
"""What runs write where there is no model or data set to name."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_FILE = re.compile(r".*\.(parquet|jsonl?|csv|tsv|txt|conll\w*)", re.IGNORECASE)


def model_card(settings: ExitSettings, class_name: str, model_type: str) -> str:
    """Render the card of a model folder as Markdown.

    Args:
        settings: What is saved about the exits, training and results included.
        class_name: The class that loads the folder.
        model_type: Family of the network.
    """
    task = task_of(settings)
    title = f"Early-exit {model_type} for {task.title}"
    calibration = settings.calibration or {}
    return (
        _environment()
        .get_template("card.md.j2")
        .render(
            metadata=yaml.safe_dump(
                _metadata(settings, title), sort_keys=False, allow_unicode=True
            ),
            title=title,
            settings=settings,
            class_name=class_name,
            model_type=model_type,
            depth=settings.exit_layers[-1],
            task=task,
            calibration=calibration,
            promise=promise_sentences(calibration, settings.results or {}),
            results=settings.results or {},
            held_to=held_to_sentence((settings.results or {}).values()),
            facts=_facts(settings.training or {}),
        )
    )


def pipeline(settings: ExitSettings) -> str:
    """What the Hub calls the task."""
    return task_of(settings).pipeline


def _metadata(settings: ExitSettings, title: str) -> dict[str, Any]:
    """The header the Hub reads."""
    training, kind = settings.training or {}, pipeline(settings)
    data: dict[str, Any] = {"library_name": "tokenexit", "pipeline_tag": kind}
    data["tags"] = list(dict.fromkeys([*TAGS, kind, settings.task.replace("_", "-")]))
    base, source = hub_id(training.get("model")), hub_id(training.get("data"))
    if base:
        data["base_model"] = base
    if source:
        data["datasets"] = [source]
    results = [
        _indexed(name, row, training.get("data"), kind)
        for name, row in (settings.results or {}).items()
    ]
    if results:
        data["model-index"] = [{"name": title, "results": results}]
    return data


def _indexed(name: str, row: Mapping[str, Any], data: Any, kind: str) -> dict[str, Any]:
    """One split in the form of the Hub's model index."""
    metric, figures = str(row["metric"]), row.get("figures") or {}
    label = metric_name(metric)
    named = {
        f"{label} with early exit": (metric, row["quality"]),
        f"{label} at {full_depth(row)}": (metric, row.get("quality_full_depth")),
        "chrF with early exit": ("chrf", figures.get("chrf")),
        f"chrF at {full_depth(row)}": ("chrf", figures.get("chrf_full_depth")),
        "mean exit layer": ("mean_exit_layer", row["mean_exit_layer"]),
        "multiply-accumulates, plain model = 1": ("mac_ratio", row.get("mac_ratio")),
    }
    return {
        "task": {"type": kind},
        "dataset": {
            "name": public_name(data) or "unknown",
            "type": hub_id(data) or "custom",
            "split": name,
        },
        "metrics": [
            {"type": key, "value": round(scale(key) * float(value), 5), "name": text}
            for text, (key, value) in named.items()
            if value is not None
        ],
    }


def _score(value: float | None, metric: str, signed: bool = False) -> str:
    """A quality; of those from 0 to 100 two decimals are enough."""
    digits, sign = 4 if scale(metric) == 1 else 2, "+" if signed else ""
    # Nothing added turns minus zero into zero.
    return "" if value is None else f"{round(scale(metric) * value, digits) + 0:{sign}.{digits}f}"


def _facts(training: Mapping[str, Any]) -> dict[str, str]:
    """Settings of the training; folders by their last name, as a card is for others to read."""
    facts = {}
    for key, value in training.items():
        if key in ("texts_used", "earlier_trainings"):  # hashes, which tell a reader nothing
            continue
        if key in ("model", "data"):
            facts[key] = public_name(value)
        elif isinstance(value, str | int | float):
            facts[key.replace("_", " ")] = f"{value:g}" if isinstance(value, float) else str(value)
        elif value:
            facts[key.replace("_", " ")] = json.dumps(value, ensure_ascii=False)
    return facts


def hub_id(source: Any) -> str | None:
    """The source as a Hub id, or None when it is a file, a folder or a description."""
    if not isinstance(source, str) or source in NO_SOURCE or _FILE.fullmatch(source):
        return None
    return source if _HUB_ID.fullmatch(source) and not Path(source).exists() else None


def public_name(source: Any) -> str:
    """A name that tells nothing of this machine's folders."""
    if source is None:
        return ""
    if isinstance(source, Mapping):
        return f"a fresh {source.get('model_type', 'model')}"
    return hub_id(source) or Path(str(source)).name


def code_span(text: Any) -> str:
    """Text in a code span of Markdown, whatever it holds."""
    return "`" + " ".join(printable(text).replace("`", "'").split()) + "`"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # Markdown; the Hub cleans what it renders
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "code": code_span,
        "cell": lambda text: " ".join(printable(text).replace("|", "\\|").split()),
        "metric": metric_name,
        "fixed": lambda value, digits, unit="": (
            "" if value is None else f"{value:.{digits}f}{unit}"
        ),
        "score": _score,
        "percent": lambda value: "" if value is None else f"{100 * value:.1f}%",
    }
    return environment
