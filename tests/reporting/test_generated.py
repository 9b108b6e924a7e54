"""Reports of runs that generate text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tokenexit.data.pairs import PairSplit
from tokenexit.decoding import DecodeWork
from tokenexit.errors import UserError
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.models.texts import GeneratedText
from tokenexit.reporting import results_markdown, results_text, save_figures, write_report
from tokenexit.reporting.pieces import _bytes_of, joined, marking, pieces
from tokenexit.reporting.run import load_run
from tokenexit.reporting.text_map import Passage, text_map

LAYERS = 6
POLICY = {"name": "decay", "policy": {"name": "margin", "threshold": 0.505}, "temperature": 4.0}
SENTENCES = [
    "The Wild Kettle is a cozy café in the old town near Rose Park .",
    "In the west end there is a pub called The Golden Fox ; dogs are welcome .",
    "Guests call The Hungry Fox poor , although meals cost only 5 euros .",
    "The Silver Onion überrascht mit gutem Essen und einem “ruhigen” Garten .",
]
Make = Callable[..., Path]


def bpe(text: str) -> list[str]:
    """Byte-level tokens; long words are cut in two, if need be inside a character."""
    letters = {byte: letter for letter, byte in _bytes_of().items()}
    tokens = []
    for place, word in enumerate(text.split()):
        raw = (" " * bool(place) + word).encode()
        cut = len(raw) if len(raw) < 8 else len(raw) // 2
        tokens += [part for part in (raw[:cut], raw[cut:]) if part]
    return ["".join(letters[byte] for byte in token) for token in tokens] + ["</s>"]


def write_texts(folder: Path, count: int = 60, beside: bool = True) -> tuple[list[str], TextTrace]:
    """A trace with a source, a reference and a full-depth text each."""
    rng = np.random.default_rng(0)
    texts = [SENTENCES[n % 4] + (" " + SENTENCES[(n + 1) % 4]) * (n % 3 == 0) for n in range(count)]
    traces = []
    for shallow in (True, False):
        outputs = []
        for text in texts:
            words = text.split()
            if shallow and rng.random() < 0.5:
                words[int(rng.integers(len(words)))] = "splendid"
                words.insert(int(rng.integers(len(words))), "very")
            tokens = bpe(" ".join(words))
            depth = 1 + rng.poisson(2.2 * np.exp(-np.arange(len(tokens)) / 9) + 0.5)
            layers = np.minimum(depth, LAYERS).tolist()
            outputs.append(GeneratedText(" ".join(words), tokens, layers, []))
        numbers = list(range(count))
        traces.append(TextTrace(numbers, outputs, [9] * count, DecodeWork(LAYERS), LAYERS))
    trace, full = traces
    sources = [f"name[text {n}], kind[<b>pub</b>], area[old town]" for n in range(count)]
    split = PairSplit(sources, texts, None, "made up")
    trace.save(folder / "traces" / "test.parquet", *((split, full) if beside else ()))
    return texts, trace


def text_result(trace: TextTrace, split: str = "test") -> dict[str, Any]:
    return {
        "task": "data_to_text",
        "split": split,
        "n_sentences": len(trace.text),
        "n_rows": len(trace),
        "metric": "bleu",
        "quality": 0.4127,
        "quality_full_depth": 0.4163,
        "relative_quality": 0.4127 / 0.4163,
        "mean_exit_layer": trace.mean_exit_layer,
        "num_layers": LAYERS,
        "depth_speedup": LAYERS / trace.mean_exit_layer,
        "exit_histogram": trace.histogram,
        "mac_ratio": 0.62,
        "policy": POLICY,
        "figures": {
            "chrf": 0.6512,
            "chrf_full_depth": 0.6541,
            "agreement_exact": 0.82,
            "agreement_prefix": 0.911,
            "bleu_difference": -0.0036,
            "bleu_difference_low": -0.0071,
            "bleu_difference_high": 0.0002,
            "bleu_difference_p": 0.061,
        },
        "notes": {
            "bleu_signature": "nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
            "chrf_signature": "nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0",
        },
    }


def write_text_run(folder: Path, skip: tuple[str, ...] = (), **options: Any) -> Path:
    """Every file of a finished run, but those in ``skip``."""
    _, trace = write_texts(folder, **options)
    static = [0.02, 0.21, 0.352, 0.397, 0.411]
    head = "kind,policy,family,value,split,quality,relative_quality,mean_exit_layer,mac_ratio"
    points = [f'full,"{{""name"": ""never""}}",never,,test,0.4163,1,{LAYERS},1']
    points += [
        f'static,"{{""name"": ""assigned_depth""}}",assigned_depth,{n},test,{q},1,{n},{n / LAYERS}'
        for n, q in enumerate(static, start=1)
    ]
    points += [
        f"engine,margin({t}),{family},{t},test,{0.4163 - 0.09 * (1 - t) ** 2 - less},1,"
        f"{1.4 + 4.4 * t},{0.36 + 0.6 * t}"
        for family, less in (("decay(margin, 4)", 0.0), ("saturation", 0.012))
        for t in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    settings = [
        {"policy": POLICY | {"temperature": t}, "quality": 0.41, "relative_quality": 0.985 + t / 400}
        | {"depth_speedup": 2.4 - t / 8, "verified": True, "mac_ratio": 0.6}
        for t in (1.0, 2.0, 4.0)
    ]
    steps = [
        {"step": s, "loss_by_exit": [3.6 / (1 + s / 200) + 0.3 / n for n in range(1, LAYERS + 1)]}
        | {"reached": [0.92**n for n in range(LAYERS)]}
        for s in range(20, 1000, 20)
    ]
    steps += [
        {"step": s, "validation_quality": 0.42 - 60 / s**1.1, "validation_chrf": 0.6}
        for s in range(200, 1001, 200)
    ]
    files = {
        "metrics.json": json.dumps(
            {"task": "data_to_text", "model": "t5-small", "data": "made up", "seed": 0}
            | {"labels": [], "num_layers": LAYERS}
            | {"splits": {s: text_result(trace, s) for s in ("validation", "test")}}
            | {
                "static": [
                    {"layer": n, "quality": q, "mac_ratio": n / LAYERS}
                    for n, q in enumerate(static, start=1)
                ]
            }
        ),
        "calibration.json": json.dumps(
            {"target": {"min_quality": 0.99}, "split": "validation", "policy": POLICY}
            | {"reached": True, "quality_full_depth": 0.4163, "candidates": settings}
        ),
        "pareto.csv": "\n".join([head, *points]) + "\n",
        "train_log.jsonl": "".join(json.dumps(step) + "\n" for step in steps),
        "config.yaml": "task: data_to_text\n",
    }
    for name, content in files.items():
        if name not in skip:
            (folder / name).write_text(content)
    if "traces/test.parquet" in skip:
        (folder / "traces" / "test.parquet").unlink()
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(name: str = "run", **options: Any) -> Path:
        return write_text_run(tmp_path / name, **options)

    return build


def report(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")
