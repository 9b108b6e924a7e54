"""A run folder with plausible numbers, made up in a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

NER = ["O", *(f"{p}-{t}" for t in ("PER", "LOC", "ORG", "PROD", "DATE") for p in "BI")]
POS = (
    "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
).split()  # fmt: skip
WINDOW = {"name": "window", "policy": {"name": "entropy", "threshold": 0.1}, "size": 3}

Texts = list[list[tuple[str, int]]]
"""Words with their gold class."""


def made_up_texts(labels: list[str], count: int, rng: np.random.Generator) -> Texts:
    stock = "the old harbour of Jordan signed a report while Paris was quiet .".split()
    texts: Texts = []
    for _ in range(count):
        size = int(rng.integers(3, 18))
        classes = rng.integers(0, len(labels), size)
        classes[rng.random(size) < 0.5] = 0
        words = rng.choice(stock, size)
        texts.append([(str(w), int(c)) for w, c in zip(words, classes, strict=True)])
    return texts


def write_run(
    folder: Path,
    *,
    task: str = "ner",
    layers: int = 6,
    texts: Texts | None = None,
    seed: int = 0,
    skip: tuple[str, ...] = (),
) -> Path:
    """Write every file of a finished run, but those in ``skip``."""
    rng = np.random.default_rng(seed)
    labels = NER if task == "ner" else POS
    texts = made_up_texts(labels, 120, rng) if texts is None else texts
    words = trace(texts, labels, layers, rng)
    histogram = np.bincount(words["exit_layer"], minlength=layers + 1)[1:].tolist()
    mean = float(np.mean(words["exit_layer"])) if len(words["exit_layer"]) else 0.0
    metric, full = ("f1", 0.9508) if task == "ner" else ("accuracy", 0.9731)

    def result(split: str, quality: float) -> dict[str, Any]:
        return {
            "task": task,
            "split": split,
            "n_sentences": len(texts),
            "n_rows": len(words["text"]),
            "metric": metric,
            "quality": quality,
            "quality_full_depth": full,
            "relative_quality": quality / full,
            "mean_exit_layer": mean,
            "num_layers": layers,
            "depth_speedup": layers / mean if mean else 1.0,
            "exit_histogram": histogram,
            "mac_ratio": 0.05 + 0.93 * mean / layers,
            "policy": WINDOW,
            "figures": {"precision": 0.948, "recall": 0.938, "f1_strict": 0.939, "accuracy": 0.981},
        }

    exits = [round(full - 0.55 * np.exp(-0.9 * layer), 4) for layer in range(layers)]
    files: dict[str, Callable[[Path], object]] = {
        "metrics.json": dump(
            {
                "task": task,
                "model": "bert-base-cased",
                "data": "made-up sentences",
                "seed": seed,
                "labels": labels,
                "num_layers": layers,
                "num_processes": 1,
                "splits": {
                    "validation": result("validation", full * 0.9915),
                    "test": result("test", full * 0.9921),
                },
                "static": [
                    {"layer": layer, "quality": exits[layer - 1], "mac_ratio": layer / layers}
                    for layer in range(1, layers)
                ],
                "exits_full_depth": exits,
                "made": {"tokenexit": "1.2.3", "date": "2026-01-31"},
            }
        ),
        "calibration.json": dump(calibration(full)),
        "pareto.csv": lambda path: path.write_text(pareto(full, exits, layers)),
        "traces/test.parquet": lambda path: pq.write_table(pa.table(words), path),
        "traces/settings.parquet": lambda path: pq.write_table(settings(words, layers), path),
        "bench.json": dump(bench(mean, layers)),
        "train_log.jsonl": lambda path: path.write_text(train_log(full, layers, rng)),
        "config.yaml": lambda path: path.write_text(f"task: {task}\ntrain:\n  epochs: 3\n"),
    }
    (folder / "traces").mkdir(parents=True, exist_ok=True)
    for name, write in files.items():
        if name not in skip:
            write(folder / name)
    return folder


def dump(data: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(data))


def trace(texts: Texts, labels: list[str], layers: int, rng: np.random.Generator) -> dict[str, Any]:
    """Entities and rarer classes go deeper, and are wrong more often."""
    rows = [(t, p, w, g) for t, text in enumerate(texts) for p, (w, g) in enumerate(text)]
    gold = np.array([row[3] for row in rows], dtype=np.int64)
    hard = np.array([rng.random() * 0.6 + (0.35 if g else 0.0) for g in gold])
    depth = np.clip(np.ceil(layers * hard * rng.random(len(rows)) * 1.6), 1, layers)
    confidence = np.clip(1 - rng.gamma(1.1, 0.045, len(rows)) * (0.4 + hard), 0.34, 0.9999)
    wrong = rng.random(len(rows)) > confidence + 0.02
    prediction = np.where(wrong, rng.integers(0, len(labels), len(rows)), gold)
    return {
        "text": np.array([row[0] for row in rows], dtype=np.int64),
        "position": np.array([row[1] for row in rows], dtype=np.int64),
        "exit_layer": depth.astype(np.int64),
        "prediction": prediction.astype(np.int64),
        "confidence": confidence.astype(np.float32),
        "gold": gold,
        "word": pa.array([row[2] for row in rows], pa.string()),
    }


def settings(words: dict[str, Any], layers: int) -> pa.Table:
    """The first texts at full depth, as the policy has them, and all at the first exit."""
    kept = words["text"] < 60
    count = int(kept.sum())
    labels = words["prediction"][kept]
    runs = {
        setting("never", ""): (np.full(count, layers), np.maximum(words["gold"][kept], 0)),
        setting("window(entropy, 3)", 0.13): (words["exit_layer"][kept], labels),
        setting("window(entropy, 3)", 0.9): (np.ones(count, dtype=np.int64), labels * 0),
    }
    parts = [
        pa.table(
            {"policy": [policy] * count, "text": words["text"][kept]}
            | {"position": words["position"][kept], "exit_layer": left, "prediction": said}
        )
        for policy, (left, said) in runs.items()
    ]
    return pa.concat_tables(parts)


def setting(family: str, value: object) -> str:
    """A policy as ``pareto.csv`` has it."""
    return json.dumps({"name": family, "threshold": value})


def bench(depth: float, layers: int) -> dict[str, Any]:
    """Plain transformers 24 ms, ours 12 ms and with the policy 6 ms; another engine is missing."""
    row = {"precision": "fp32", "agreement": 1.0}
    rows = [
        {"name": name, "ms_per_text": ms, "per_second": 1000 / ms, "speedup_median": 24 / ms}
        | {"ours_median": ms / 6, "full_depth_median": ms / 12, **row}
        for name, ms in (
            ("plain transformers", 24.0), ("ours, full depth", 12.0), ("ours, policy", 6.0)
        )
    ]  # fmt: skip
    missing = {"name": "ONNX Runtime", "precision": "fp32", "reason": "<i>not installed</i>"}
    return {
        "kind": "words",
        "batch_size": 32,
        "n_sentences": 64,
        "threads": 1,
        "device": "cpu",
        "precision": "fp32",
        "policy": WINDOW,
        "speedup_median": 4.0,
        "full_depth_speedup": 2.0,
        "policy_speedup": 2.0,
        "mean_exit_layer": depth,
        "num_layers": layers,
        "rows": [*rows, missing],
        "ran": {"processor": "A processor", "instruction_set": "AVX2"},
    }


def calibration(full: float) -> dict[str, Any]:
    candidates: list[dict[str, Any]] = []
    families = [
        ("window", lambda t: {**WINDOW, "policy": {"name": "entropy", "threshold": t}}),
        ("entropy", lambda t: {"name": "entropy", "threshold": t}),
        ("patience", lambda t: {"name": "patience", "patience": int(1 + 10 * t)}),
    ]
    for row, (_, build) in enumerate(families):
        for threshold in (0.02, 0.05, 0.1, 0.2, 0.4):
            kept = 1 - 0.08 * threshold + (-0.004 if row else 0)
            verified = threshold in (0.05, 0.1, 0.2) and row < 2
            speedup = 1.4 + 5 * threshold**0.6 - 0.2 * row
            candidates.append(
                {
                    "policy": build(threshold),
                    "quality_simulated": full * (kept + 0.001),
                    "depth_speedup_simulated": speedup + 0.05,
                    "quality": full * kept if verified else None,
                    "relative_quality": kept if verified else None,
                    "depth_speedup": speedup if verified else None,
                    "verified": verified,
                }
            )
    return {
        "target": {"min_quality": 0.99},
        "split": "validation",
        "policy": WINDOW,
        "reached": True,
        "quality_full_depth": full,
        "candidates": candidates,
    }


def pareto(full: float, exits: list[float], layers: int) -> str:
    names = "kind policy family value split quality relative_quality mean_exit_layer"
    lines = [",".join([*names.split(), "depth_speedup", "mac_ratio"])]

    def add(kind: str, family: str, value: object, quality: float, depth: float) -> None:
        policy = json.dumps({"name": family, "threshold": value}).replace('"', '""')
        macs = 0.05 + 0.95 * depth / layers if kind == "engine" else depth / layers
        lines.append(
            f'{kind},"{policy}","{family}",{value},test,{quality},{quality / full},{depth},'
            f"{layers / depth},{macs}"
        )

    add("full", "never", "", full, layers)
    for layer in range(1, layers):
        add("static", f"assigned_depth({layer})", layer, exits[layer - 1], layer)
    for family, gain in (("window(entropy, 3)", 1.0), ("entropy", 1.35), ("patience", 2.2)):
        for value in np.linspace(0.02, 0.9, 9):
            depth = 1 + (layers - 1) * float(np.exp(-3.2 * value))
            add("engine", family, round(float(value), 3), full - 0.035 * gain * value**2, depth)
    return "\n".join(lines) + "\n"


def train_log(full: float, layers: int, rng: np.random.Generator) -> str:
    entries = []
    for step in range(10, 1510, 10):
        decay = np.exp(-step / 260)
        loss = [
            float((0.04 + 0.4 / (1 + layer) ** 1.3 + 2.2 * decay) * rng.uniform(0.9, 1.1))
            for layer in range(layers)
        ]
        reached = [float(np.exp(-0.28 * layer * (1 - decay))) for layer in range(layers)]
        entry = {"step": step, "epoch": step // 500, "loss": float(np.mean(loss))}
        entry |= {"loss_by_exit": loss, "reached": reached, "lr": 1e-4, "seconds": step / 9}
        entries.append(entry)
        if step % 300 == 0:
            values = [full - (0.5 * decay + 0.3 * np.exp(-0.9 * n)) for n in range(layers)]
            entries.append(
                {"step": step, "validation_quality": values[-1], "validation_by_exit": values}
            )
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """``write_run`` into a folder of a given name."""

    def make(name: str = "run", **options: Any) -> Path:
        return write_run(tmp_path / name, **options)

    return make


@pytest.fixture
def run(make_run: Callable[..., Path]) -> Path:
    """A finished entity run."""
    return make_run()
