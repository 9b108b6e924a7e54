"""The report of a run: complete, self-contained, and safe with any text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.reporting import write_report
from tokenexit.reporting.charts import Bar, axis, bar_chart
from tokenexit.reporting.panels import PANELS, Panel, Picture
from tokenexit.reporting.run import RunData
from tokenexit.reporting.sample import SAMPLE
from tokenexit.testing import check_panel

Make = Callable[..., Path]
SECTIONS = (
    "results clock curve words exits classes reliability training calibration configuration"
).split()
FILES = (
    "metrics.json",
    "calibration.json",
    "pareto.csv",
    "traces/test.parquet",
    "traces/settings.parquet",
    "bench.json",
    "train_log.jsonl",
    "config.yaml",
)
BESIDE = ("traces/settings.parquet", "bench.json")
"""Files that are nothing without others."""
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what the tests ask for, and checks that tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.titles: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]
        self.titles += [values["title"]] if values.get("title") else []
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def report(run: Path) -> str:
    path = write_report(run)
    assert path == run / "report.html"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_every_section_is_there(make_run: Make, task: str):
    html = report(make_run(task=task))
    page = Page(html)
    assert set(SECTIONS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert 'class="missing"' not in html
    assert page.tags.count("svg") > 8
    assert page.tags.count("desc") == html.count('role="img"')


@pytest.mark.parametrize(
    ("task", "counted"),
    [("ner", ["Split", "Sentences", "Words"]), ("multilabel", ["Split", "Texts"])],
)
def test_rows_that_are_whole_texts_are_counted_once(make_run: Make, task: str, counted: list[str]):
    html = report(make_run(task=task))
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", html)
    assert heads[: len(counted) + 1] == [*counted, "Metric"]


def test_nothing_is_fetched(run: Path):
    html = report(run)
    page = Page(html)
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"https?://|@import|url\((?!#)", html)
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert str(run.parent) not in html


def test_headline_speaks_plainly(run: Path):
    html = report(run)
    assert "99.2%" in html
    assert "against 0.951 at full depth" in html
    assert "for a target, to keep at least 99% of the full-depth quality." in html
    assert "On the test split (120 texts) it keeps 99.2%, as asked." in html


def test_a_broken_promise_is_told(run: Path):
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["splits"]["test"] |= {"quality": 0.9, "relative_quality": 0.9466}
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert "it keeps 94.7%, less than asked." in report(run)


def test_words_are_escaped(make_run: Make):
    evil = '<script>alert("x")</script>'
    texts = [[(evil, 1), ("' onload='x", 0), ("{{ 7 * 7 }}", 0)]]
    html = report(make_run("<b>run", texts=texts))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert "{{ 7 * 7 }}" in html
    assert "<b>run" not in html
    assert Page(html).tags.count("script") == 2  # the page's, and what the slider reads


def test_words_tell_their_story_without_a_script(run: Path):
    titles = Page(report(run)).titles
    assert any(
        re.fullmatch(r"\S+\npredicted \S+, gold \S+\nleft at layer \d of 6\nconfidence 0\.\d\d", t)
        for t in titles
    )


def test_wrong_words_are_marked(make_run: Make):
    html = report(make_run())
    assert re.search(r'class="w f\d x( e)?"', html)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_leaves_the_rest(make_run: Make, name: str):
    html = report(make_run(skip=(name,)))
    assert set(SECTIONS) <= set(Page(html).ids)
    assert 'class="missing"' in html
    assert f"<code>{name}</code>" in html


def test_a_missing_file_names_the_command_that_makes_it(make_run: Make):
    skipped = ("pareto.csv", "calibration.json")
    html = report(make_run(task="pos", skip=skipped))
    assert "tokenexit train pos RUN/config.yaml resume=true" in html
    assert "tokenexit calibrate RUN" in html


@pytest.mark.parametrize("name", [f for f in FILES[:-1] if f not in BESIDE])
def test_one_file_is_enough(make_run: Make, name: str):
    skip = tuple(other for other in FILES if other != name)
    Page(report(make_run(skip=skip)))


def test_the_validation_trace_serves_where_there_is_no_test(run: Path):
    (run / "traces" / "test.parquet").rename(run / "traces" / "validation.parquet")
    assert 'class="missing"' not in report(run)


EMPTY: list[Any] = []


@pytest.mark.parametrize(
    ("layers", "texts"),
    [(1, None), (6, EMPTY), (6, [[("alone", 0)]]), (2, [[("Ada", 1), (".", 0)]]), (30, None)],
    ids=["one layer", "no text", "one word", "one text", "30 layers"],
)
@pytest.mark.parametrize("task", ["ner", "pos"])
def test_unusual_runs(make_run: Make, task: str, layers: int, texts: Any):
    html = report(make_run(task=task, layers=layers, texts=texts))
    assert set(SECTIONS) <= set(Page(html).ids)
    assert "nan" not in re.sub(r"<[^>]*title=[^>]*>", "", html).lower().split()


def test_a_run_that_learned_nothing(run: Path):
    metrics = json.loads((run / "metrics.json").read_text())
    for result in metrics["splits"].values():
        result |= {"quality": 0.0, "quality_full_depth": 0.0, "relative_quality": 0.0}
    metrics |= {"static": [], "exits_full_depth": [0.0] * 6}
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "pareto.csv").unlink()
    html = report(run)
    Page(html)
    assert "there was nothing to keep" in html
    assert "0.0% kept" not in html


def test_long_texts_and_many_texts_are_sampled(make_run: Make):
    texts = [[(f"w{n}", n % 2) for n in range(90)] for _ in range(100)]
    html = report(make_run(texts=texts))
    assert html.count('<span class="words"') == SAMPLE
    assert "and 20 more words" in html


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{"),
        ("metrics.json", "[]"),
        ("metrics.json", '{"splits": {"test": {"quality": 1}}}'),
        ("metrics.json", '{"splits": {"test": 3}}'),
        ("metrics.json", '{"splits": [1]}'),
        ("calibration.json", "nonsense"),
        ("calibration.json", '{"candidates": 3}'),
        ("pareto.csv", "kind,policy\nfull,x\n"),
        ("traces/test.parquet", "no parquet"),
        ("train_log.jsonl", '{"step": 1}\n{"st\n{"step": 3}\n'),
        ("train_log.jsonl", "[1]\n"),
        ("traces/settings.parquet", "no parquet"),
        ("bench.json", '{"rows": []}'),
        ("bench.json", '{"rows": 7}'),
        ("config.yaml", b"\xff\xfe"),
    ],
)
def test_damaged_files_are_named(run: Path, name: str, content: str | bytes):
    (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=Path(name).name.replace(".", r"\.")):
        write_report(run)


def test_a_log_cut_off_in_its_last_line_is_read(run: Path):
    with (run / "train_log.jsonl").open("a") as file:
        file.write('{"step": 9')
    assert "Loss of each exit" in report(run)


def test_not_a_run(tmp_path: Path):
    with pytest.raises(UserError, match="is not a folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no run folder"):
        write_report(tmp_path)


def test_a_calibration_on_a_sample_says_so(run: Path):
    found = json.loads((run / "calibration.json").read_text())
    texts = json.loads((run / "metrics.json").read_text())["splits"]["validation"]["n_sentences"]
    found["chosen"] = {"n_sentences": texts - 1}
    (run / "calibration.json").write_text(json.dumps(found))
    assert f"was chosen on {texts - 1} texts of the validation split" in report(run)


class Remark(Panel):
    """A picture of one's own."""

    def draw(self, run: RunData) -> list[Picture]:
        chart = bar_chart("mine", "Mine", "", [Bar("1", 1.0, "", "", "f1")], "x", axis("y", [1.0]))
        return [Picture(f"A remark on {run.task}", chart)]


@pytest.mark.parametrize("name", [name for name, _ in PANELS.items()])
def test_a_panel_keeps_its_promises(run: Path, name: str):
    check_panel(name, run)


class Needy(Remark):
    """Cannot do without a trace."""

    def draw(self, run: Any) -> list[Picture]:
        return super().draw(run)[: len(run.words)]


def test_a_broken_panel_is_told_what_to_mend(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(PANELS, "_members", {**dict(PANELS.items()), "remark": Remark})
    monkeypatch.setattr(Remark, "section", "exists")
    with pytest.raises(AssertionError, match="section is 'exists', not one of"):
        check_panel(Remark, run)
    monkeypatch.setattr(Remark, "section", "exits")
    check_panel(Remark, run)
    monkeypatch.setattr(PANELS, "_members", {**dict(PANELS.items()), "needy": Needy})
    with pytest.raises(TypeError) as caught:
        check_panel(Needy, run)
    assert "without some of its files" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("section", ["exits", "more"])
def test_a_panel_of_ones_own(make_run: Make, monkeypatch: pytest.MonkeyPatch, section: str):
    monkeypatch.setattr(Remark, "section", section)
    monkeypatch.setattr(PANELS, "_members", {**dict(PANELS.items()), "remark": Remark})
    html = report(make_run())
    part = html.split(f'id="{section}"')[1].split("</section>")[0]
    assert "A remark on ner" in part
    assert ('href="#more"' in html) == (section == "more")
    assert Page(html).tags.count("svg") > 8


def test_a_panel_of_an_unknown_section(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Remark, "section", "exists")
    monkeypatch.setattr(PANELS, "_members", {**dict(PANELS.items()), "remark": Remark})
    with pytest.raises(UserError, match="exits"):
        write_report(run)
