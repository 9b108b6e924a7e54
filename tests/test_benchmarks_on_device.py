"""What anybody with a GPU for ten minutes runs, run here with tiny shapes."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tokenexit import policies
from tokenexit.errors import UserError

SCRIPTS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="benchmarks are not installed")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def on_device():
    """The modules, found as ``benchmarks/run.py`` finds them."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        names = ("cases", "entrants", "measure", "run", "shapes", "table")
        yield SimpleNamespace(**{n: importlib.import_module(f"on_device.{n}") for n in names})
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def small(on_device):
    """The tiny case of a row, at one batch size."""

    def get(row: str, batch: int = 32) -> Any:
        found = on_device.cases.device_cases(small=True)
        return next(one for one in found if (one.row, one.batch) == (row, batch))

    return get


@pytest.fixture(scope="module")
def seen(on_device, small):
    """What is measured of a case here, each once."""
    known: dict[Any, Any] = {}

    def get(row: str, batch: int = 32) -> dict[str, Any]:
        if (row, batch) not in known:
            known[row, batch] = on_device.measure.measure(small(row, batch), CPU)
        return known[row, batch]

    return get


def test_cases_have_names_of_their_own_and_fill_the_table(on_device):
    cases = list(on_device.cases.device_cases())
    assert len({case.name for case in cases}) == len(cases)
    assert {case.row for case in cases} == set(on_device.cases.ROWS)
    wanted = {(case.row, case.batch): case.wanted for case in cases}
    assert wanted["exits", 1] == 4.0
    assert wanted["third_compiled", 128] == 2.0
    assert [wanted["own_depth", batch] for batch in (1, 32, 128)] == [1.2, 1.1, 1.3]


@pytest.mark.parametrize("row", ["exits", "never", "third", "own_depth", "by_depth"])
def test_a_ratio_is_measured_side_by_side(seen, row):
    found = json.loads(json.dumps(seen(row), allow_nan=False))
    assert found.get("reason") is None
    assert 0 < found["value_p10"] <= found["value_median"] <= found["value_p90"]
    base, ours = found["rows"].values()
    for one in (base, ours):
        assert 0 < one["ms_p10"] <= one["ms_median"] <= one["ms_p90"]
        assert one["passes"] >= 3
    assert (found["batch"], found["dtype"]) == (3, "float32")
    assert {"torch", "transformers", "tokenexit"} <= found["ran"]["versions"].keys()
    assert found["device"] == found["ran"]["processor"]
    assert ours["runtime"] == found["runtime"]
    # Whatever is planned on the device is; what is not says why.
    assert (found["runtime"] == "static") == ("refused" not in found)
    if row in ("exits", "never"):
        assert found["runtime"] == "static"


def test_depths_are_what_was_asked_for(seen, on_device):
    assert seen("never")["rows"]["never"]["depth_share"] == 1
    assert seen("third")["rows"]["third"]["depth_share"] == 0.25  # layer 1 of 4
    assert 0.25 < seen("own_depth")["rows"]["own depth"]["depth_share"] < 1
    assert 0.25 < seen("by_depth")["rows"]["by depth"]["depth_share"] < 1
    assert 0.25 < seen("exits")["rows"]["exits"]["depth_share"] < 1
    layers = [*on_device.shapes.exits_of(12), 12]
    assert layers == [2, 4, 8, 12]
    shares = zip(layers, on_device.shapes.SHARES, strict=True)
    assert sum(layer * share for layer, share in shares) / 12 == pytest.approx(0.35, abs=0.005)
    stay = 1 - on_device.shapes.RATE
    assert 2 + 2 * stay + 4 * stay**2 + 4 * stay**3 == pytest.approx(4, abs=0.05)


def test_sentences_are_of_36_words(on_device):
    lengths = [len(text) for text in on_device.shapes.sentences(2000)]
    assert sum(lengths) / len(lengths) == pytest.approx(36, abs=1)
    assert on_device.shapes.sentences(3) == on_device.shapes.sentences(3)


def test_rows_wait_only_where_there_are_more_texts_than_a_batch(seen):
    assert seen("by_depth")["texts"] == 4 * seen("third")["texts"]


def test_figures_by_themselves(seen):
    tokens = seen("tokens_third")
    ours = tokens["rows"]["third"]
    assert tokens["value_median"] == ours["tokens_per_second_median"]
    per_step = tokens["batch"] / ours["ms_per_step"] * 1000
    assert ours["tokens_per_second_median"] == pytest.approx(per_step, rel=0.5)
    ten = seen("ten", 10)
    assert ten["value_median"] == ten["rows"]["exits"]["ms_median"]


def test_a_training_step_is_timed_and_without_a_gpu_nothing_is_busy(seen, on_device):
    found = seen("training")
    assert found["step"]["ms_per_step"] > 0
    assert "no GPU to be busy" in found["reason"]
    assert "value_median" not in found
    busy = on_device.measure._busy({**found["step"], "gpu_busy": 0.9})
    assert busy["value_median"] == 0.9
    assert "reason" not in busy


def test_the_compiled_baseline_is_compiled_for_each_shape(on_device, small, monkeypatch):
    asked = []

    def compiled(network: Any, **options: Any) -> Any:
        asked.append(options)
        return network

    monkeypatch.setattr(torch, "compile", compiled)
    found = on_device.measure.measure(small("exits_compiled"), CPU)
    assert asked == [{"mode": "reduce-overhead", "dynamic": False}]
    assert "value_median" in found


def test_generate_with_a_static_cache_writes_as_many_tokens(on_device, small):
    found = on_device.measure.measure(small("third_compiled"), CPU)
    assert ("value_median" in found) != ("reason" in found)


def test_what_is_refused_only_when_it_runs_is_measured_eagerly(on_device, small, monkeypatch):
    choose = on_device.entrants.policy_of
    monkeypatch.setattr(
        on_device.entrants,
        "policy_of",
        lambda ours, depth: policies.Window(policies.AnyOf((choose(ours, depth),))),
    )
    found = on_device.measure.measure(small("exits"), CPU)
    assert found["refused"].startswith("UserError: ")
    assert found["runtime"] == found["rows"]["exits"]["runtime"] == "eager"
    assert "value_median" in found


@pytest.mark.parametrize("who", ["plain", "exits"])
def test_out_of_memory_is_a_result(on_device, small, monkeypatch, who):
    entrant = on_device.measure.entrant

    def breaks(name: str, *given: Any) -> Any:
        made = entrant(name, *given)
        if name == who:
            monkeypatch.setattr(made, "run", full)
        return made

    def full(batch: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(on_device.measure, "entrant", breaks)
    found = on_device.measure.measure(small("exits"), CPU)
    assert "OutOfMemoryError: CUDA out of memory" in found["reason"]
    assert "value_median" not in found
    other = next(one for name, one in found["rows"].items() if name != who)
    assert other["ms_median"] > 0  # what could be measured was


def test_a_model_that_does_not_fit_is_a_result(on_device, small, monkeypatch):
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(on_device.measure, "seq2seq", full)
    assert "no room" in on_device.measure.measure(small("third"), CPU)["reason"]


# --- the run ---------------------------------------------------------------------------------


@pytest.fixture
def run(on_device, small, monkeypatch):
    """A run of one case."""
    cases = [small("ten", 10)]
    monkeypatch.setattr(on_device.run, "device_cases", lambda small: iter(cases))

    def call(out: Path, minutes: float = 5.0, commit: str = "abc", device: str = "cpu") -> int:
        return on_device.run.run_on_device(device, True, "", minutes, out, commit, False)

    return call


@pytest.mark.slow
def test_a_case_runs_in_a_process_of_its_own_and_is_gone_on_with(
    run, on_device, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "results.json"
    assert run(out) == 0
    assert " ms (" in capsys.readouterr().out
    told = json.loads(out.read_text())
    [one] = told["measured"]
    assert told["machine"]["cuda"] is None
    assert one["result"]["runtime"] == "static"
    assert one["command"].startswith("python benchmarks/run.py --device cpu --small --only")
    monkeypatch.setattr(on_device.run, "_process", None)
    assert run(out) == 0
    assert "already measured" in capsys.readouterr().out
    run(out, minutes=0, commit="def")
    assert "left for another time: --minutes 0 are over" in capsys.readouterr().out


def test_a_process_that_dies_is_a_result(run, on_device, tmp_path, capsys, monkeypatch):
    died = (-11, "loading\nFatal Python error: Segmentation fault\n")
    monkeypatch.setattr(on_device.run, "_process", lambda command, left: died)
    out = tmp_path / "results.json"
    assert run(out) == 1
    assert "ended with code -11: Fatal Python error" in capsys.readouterr().out
    [one] = json.loads(out.read_text())["measured"]
    assert "code -11" in one["result"]["reason"]
    assert run(out) == 0  # and is not tried again
    assert "already measured" in capsys.readouterr().out


def test_a_case_that_takes_too_long(run, on_device, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(on_device.run, "_process", lambda command, left: (None, ""))
    out = tmp_path / "results.json"
    run(out, minutes=1)
    assert "left for another time: it would take longer" in capsys.readouterr().out
    assert not out.exists()
    run(out, minutes=10)
    assert "given up after 180 s" in capsys.readouterr().out
    assert "given up" in json.loads(out.read_text())["measured"][0]["result"]["reason"]


def test_a_process_is_ended_with_all_it_started(on_device, tmp_path):
    script = tmp_path / "sleeps.py"
    script.write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "child.wait()\n"
    )
    assert on_device.run._process([sys.executable, str(script)], 4.0) == (None, "")
    status = Path(f"/proc/{(tmp_path / 'pid').read_text()}/status")

    def gone() -> bool:
        try:
            return "State:\tZ" in status.read_text()
        except OSError:
            return True

    for _ in range(100):  # it was told to end; when it does is for the system to say
        if gone():
            break
        time.sleep(0.1)
    assert gone()


def test_devices_that_are_not_there(on_device, run, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    out = tmp_path / "results.json"
    with pytest.raises(UserError, match=r"no CUDA device here.*--device cpu --small"):
        run(out, device="cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="1 CUDA devices, counted from 0, not cuda:3"):
        run(out, device="cuda:3")
    for name in ("gpu", "mps"):
        with pytest.raises(UserError, match=f"cuda, cuda:1 or cpu, not '{name}'"):
            run(out, device=name)
    with pytest.raises(UserError, match=r"for a GPU\. --device cpu --small"):
        on_device.run.chosen_device("cpu", small=False)
    with pytest.raises(UserError, match="No case has 'int9'"):
        on_device.run.run_on_device("cpu", True, "int9", 1, out, "abc", False)
    with pytest.raises(UserError, match="--out"):
        on_device.run.run_on_device("cpu", True, "", 1, None, "abc", False)


def test_the_table_says_what_was_reached_and_what_was_wanted(on_device, seen):
    def one(row: str, batch: int, result: Any, **settings: Any) -> dict[str, Any]:
        case = next(c for c in on_device.cases.device_cases() if (c.row, c.batch) == (row, batch))
        told = {**vars(case), **settings}
        return {"case": case.name, "settings": told, "commit": "0123456789abcdef", "result": result}

    ran = {"ran": {"versions": {"torch": "2.13"}}, "device": "A card", "dtype": "bfloat16"}
    value = {"value_median": 3.4, "value_p10": 3.2, "value_p90": 3.61, "runtime": "static"}
    shown = on_device.table.device_tables(
        [
            one("exits", 32, {**value, **ran, "said": ["captures stop"]}),
            one("exits", 1, {"reason": "OutOfMemoryError: no room", **ran}),
            one("training", 32, {f"value_{at}": 0.9 for at in ("median", "p10", "p90")}),
            one("tokens_full", 128, {f"value_{at}": 18123.4 for at in ("median", "p10", "p90")}),
            one("third", 32, {**value, **ran, "runtime": "eager", "refused": "no text is written"}),
        ]
    )
    assert "| batch 1 | batch 32 | batch 128 |" in shown
    assert "| - of 4.00x | 3.40x (3.20x-3.61x) of 3.00x |" in shown
    assert "GPU busy |  | 90 % of 85 % |" in shown
    assert "18,123 of 18,000" in shown
    assert "batch 1: exits over plain: OutOfMemoryError: no room" in shown
    assert "- eager: no text is written" in shown
    assert "- captures stop" in shown
    assert "A card; bfloat16; static; torch 2.13; commit 0123456789ab" in shown
    tiny = on_device.table.device_tables([one("exits", 32, seen("exits"), small=True)])
    assert "tiny shapes on a CPU" in tiny
    assert " of 3.00x" not in tiny
