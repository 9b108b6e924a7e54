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
from tokenexit.models.generation.generate_texts import GeneratedText
from tokenexit.reporting import results_markdown, results_text, save_figures, write_report
from tokenexit.reporting.run import load_run
from tokenexit.reporting.sample import SAMPLE
from tokenexit.reporting.text_map import Passage, text_map
from tokenexit.wording.subwords import _bytes_of

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
        f'engine,margin({t}),"{family}",{t},test,{0.4163 - 0.09 * (1 - t) ** 2 - less},1,'
        f"{1.4 + 4.4 * t},{0.36 + 0.6 * t}"
        for family, less in (("decay(margin, 4)", 0.0), ("saturation", 0.012))
        for t in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    settings = [
        {
            "policy": POLICY | {"temperature": t},
            "quality": 0.41,
            "relative_quality": 0.985 + t / 400,
        }
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


def test_every_section_speaks_of_tokens(make: Make):
    html = report(make())
    for ident in "results curve exits words training calibration configuration".split():
        assert f'<section id="{ident}">' in html
    assert 'id="classes"' not in html
    assert 'id="reliability"' not in html
    assert html.count('class="missing"') == 2  # no bench, and no traces of settings
    visible = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", html, flags=re.S)
    assert not re.search(r"\bwords?\b|\bsentences?\b", visible, re.IGNORECASE)
    assert "Depth along the text" in visible
    assert "all tokens stop at one layer" in visible
    assert "all tokens stop at layer 4\nBLEU 39.70" in visible
    assert "Validation BLEU at full depth" in visible
    assert not re.search(r"https?://|@import|url\((?!#)", html)


def test_quality_is_written_from_0_to_100(make: Make):
    html = report(make())
    assert "BLEU 41.3, against 41.6 at full depth." in html
    assert "−0.36 (95% interval −0.71 to +0.02)" in html
    assert "82.0% of the texts are the same as at full depth." in html
    cells = re.sub(r' data-label="[^"]*"', "", html)
    assert "<td>65.12</td><td>65.41</td><td>82.0%</td><td>91.1%</td>" in cells
    assert "BLEU signature: <code>nrefs:var|case:mixed" in html
    assert "where full depth gives 41.63" in html
    assert "Simulated" not in html


def test_a_text_stands_beside_its_source_its_reference_and_the_full_depth(make: Make):
    html = report(make())
    assert "name[text 4], kind[&lt;b&gt;pub&lt;/b&gt;], area[old town]" in html
    assert "<b>pub" not in html
    rows = re.findall(r"<dt>([^<]*)</dt><dd[^>]*dir=[^>]*>(.*?)</dd>", html, re.S)
    assert {name for name, _ in rows} == {"source", "written", "reference", "full depth"}
    assert ("reference", SENTENCES[0]) in rows
    written = [re.sub(r"<[^>]*>", "", text).strip() for name, text in rows if name == "written"]
    assert any(text == f"{SENTENCES[3]} &lt;/s&gt;" for text in written)


def passages(run: Path) -> list[Passage]:
    lines = [line for group in text_map(load_run(run)) for line in group.lines]
    return [line for line in lines if isinstance(line, Passage)]


def save(folder: Path, written: list[str], deep: list[str] | None = None) -> Path:
    def trace(tokens: list[str]) -> TextTrace:
        layers = [1 + n % LAYERS for n in range(len(tokens))]
        output = GeneratedText("", tokens, layers, [])
        return TextTrace([7], [output], [3], DecodeWork(LAYERS), LAYERS)

    path = folder / "traces" / "test.parquet"
    trace(written).save(path, None, None if deep is None else trace(deep))
    return folder


def test_a_token_put_in_makes_no_later_one_differ(tmp_path: Path):
    deep = ["▁The", "▁old", "▁pub", "▁is", "▁open", "</s>"]
    (line,) = passages(save(tmp_path, ["▁The", "▁very", "▁old", "▁pub", "▁sh", "ut", "</s>"], deep))
    tips = {cell.word: cell.tip.splitlines() for cell in line.cells}
    assert [cell.word for cell in line.cells if cell.wrong] == ["very", "sh", "ut"]
    assert tips["very"] == ["▁very", "left at layer 2 of 6", "not at full depth"]
    assert tips["sh"][2] == "full depth writes: is open"
    assert tips["pub"][2] == "as at full depth"
    assert (line.number, line.full, line.same) == (7, "The old pub is open", False)


def test_without_the_full_depth_nothing_is_marked(tmp_path: Path):
    (line,) = passages(save(tmp_path, ["▁The", "▁pub"]))
    assert not any(cell.wrong for cell in line.cells)
    assert line.cells[0].tip == "▁The\nleft at layer 1 of 2"
    assert (line.source, line.reference, line.full) == (None, None, None)
    assert "not as at full depth" not in report(tmp_path)


def test_long_texts_are_cut(tmp_path: Path):
    (line,) = passages(save(tmp_path, [f"▁w{n}" for n in range(200)]))
    assert (len(line.cells), line.left_out) == (160, 40)
    assert "and 40 more tokens" in report(tmp_path)


def test_what_is_saved(tmp_path: Path):
    texts, trace = write_texts(tmp_path, count=3)
    rows = pq.read_table(tmp_path / "traces" / "test.parquet").to_pylist()
    assert len(rows) == len(trace)
    first = [row for row in rows if row["position"] == 0]
    assert [row["reference"] for row in first] == texts
    assert first[1]["source"].startswith("name[text 1]")
    assert first[1]["full_depth"] == bpe(texts[1])
    others = [row for row in rows if row["position"]]
    assert all(row["source"] is row["reference"] is row["full_depth"] is None for row in others)
    assert [row["word"] for row in rows] == [t for o in trace.outputs for t in o.tokens]


def test_the_sample_has_no_text_twice(make: Make):
    groups = text_map(load_run(make(count=90)))
    numbers = [line.number for group in groups for line in group.lines]
    assert groups[1].title == "Texts that differ most from full depth"
    assert len(groups) == 3
    assert len(numbers) == len(set(numbers)) == SAMPLE


def test_depth_along_the_text_leaves_out_rare_places(tmp_path: Path):
    outputs = [GeneratedText("", ["▁a"] * n, [n] * n, []) for n in [1] * 30 + [2] * 10 + [3]]
    trace = TextTrace(list(range(41)), outputs, [1] * 41, DecodeWork(4), 4)
    trace.save(tmp_path / "traces" / "test.parquet")
    written = load_run(tmp_path).generated_trace
    assert written is not None
    places = written.by_position()
    assert [(place, count) for place, _, count in places] == [(1, 41), (2, 11)]
    assert [mean for _, mean, _ in places] == pytest.approx([53 / 41, 23 / 11])
    assert "fewer than 5% of the texts" in report(tmp_path)


FILES = ("metrics.json", "calibration.json", "pareto.csv", "traces/test.parquet")


@pytest.mark.parametrize("name", [*FILES, "train_log.jsonl"])
def test_a_missing_file_leaves_the_rest(make: Make, name: str):
    html = report(make(skip=(name,)))
    assert f"<code>{name}</code>" in html
    if name != "metrics.json":  # nothing else tells the task
        assert "tokenexit train data_to_text RUN/config.yaml resume=true" in html
        assert "tokenexit calibrate" not in html


@pytest.mark.parametrize("kept", FILES)
def test_one_file_is_enough(make: Make, kept: str):
    assert report(make(skip=tuple(name for name in (*FILES, "train_log.jsonl") if name != kept)))


@pytest.mark.parametrize("tokens", [[], ["</s>"], ["▁"]], ids=["none", "end", "space"])
def test_hardly_any_text(tmp_path: Path, tokens: list[str]):
    assert "Depth along the text" in report(save(tmp_path, tokens, tokens)) or not tokens


def test_figures_may_be_missing(make: Make):
    run = make()
    metrics = json.loads((run / "metrics.json").read_text())
    for result in metrics["splits"].values():
        result |= {"figures": {}, "notes": {}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    html = report(run)
    assert "95% interval –" not in html.replace("<th>95% interval</th>", "")
    assert "signature" not in html


def test_a_tagger_without_predictions_is_not_taken_for_a_generator(make: Make):
    run = make()
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["splits"]["test"] |= {"metric": "f1", "task": "ner"}
    (run / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UserError, match="lacks the columns prediction"):
        write_report(run)


def test_figures_for_papers(make: Make):
    pytest.importorskip("matplotlib")
    paths = save_figures(make(), "svg")
    assert [path.stem for path in paths] == ["curve", "exits"]
    assert "Tokens (%)" in paths[1].read_text()
    assert "BLEU" in paths[0].read_text()


def test_results_as_text(tmp_path: Path):
    _, trace = write_texts(tmp_path)
    lines = results_text(text_result(trace)).splitlines()
    assert lines[:5] == [
        f"test        {len(trace)} tokens in 60 texts",
        "quality     BLEU 41.27 against 41.63 at full depth, 99.1% kept",
        "difference  −0.36 BLEU, 95% interval −0.71 to +0.02, p = 0.061",
        "chrf        chrF 65.12 against 65.41 at full depth",
        "agreement   82.0% of texts as at full depth, the first other token after 91.1% of a text",
    ]
    assert "| BLEU | 41.27 | 41.63 | 99.1% |" in results_markdown([text_result(trace)])
    bare = text_result(trace) | {"figures": {}}
    assert "chrf" not in results_text(bare)
