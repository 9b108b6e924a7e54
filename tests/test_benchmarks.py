"""The scripts behind the README's clocks: what is run, kept, gone on with and shown."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

from tokenexit import ExitModelForSequenceClassification, ExitModelForTokenClassification
from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder import train_tokenizer

SCRIPTS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="benchmarks are not installed")
WORDS = "Ada Lovelace was born in London".split()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """Load a script as ``python benchmarks/NAME.py`` would find its neighbours."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", SCRIPTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def run(script, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``run.py`` with two cases."""
    module = script("run")
    made = [
        module.Case(name, "words", "fp32", 2, 3, 1, "ctranslate2") for name in ("little", "absent")
    ]
    monkeypatch.setattr(module, "cases", lambda: iter(made))
    monkeypatch.setattr(module, "commit", lambda: "abc")
    return module


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its data, as ``--models`` and ``--data`` want them."""
    folder = tmp_path_factory.mktemp("benchmarks")
    tokenizer = train_tokenizer([WORDS], vocab_size=100)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, num_labels=2, **shape)
    network = BertForTokenClassification(config)
    model = ExitModelForTokenClassification.from_transformers(network, tokenizer, ["O", "B-PER"])
    model.save_pretrained(folder / "little")
    (folder / "words").mkdir()
    row = json.dumps({"tokens": WORDS, "ner_tags": ["B-PER", *["O"] * 5]})
    (folder / "words" / "test.jsonl").write_text(f"{row}\n" * 4)
    return folder


def told(place: Path, out: Path, *more: str) -> list[str]:
    return ["--models", str(place), "--data", str(place), "--out", str(out), *more]


@pytest.mark.slow
def test_a_case_is_measured_once_and_what_is_absent_is_named(
    run, place, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "results.json"
    assert run.main(told(place, out)) == 0
    shown = capsys.readouterr().out
    assert "little, fp32, batch 2: " in shown
    # Whether it is installed or not, it is shown why it is not in the table.
    assert "text generators only" in shown or "ctranslate2 is not installed" in shown
    assert f"absent, fp32, batch 2: skipped: there is no {place / 'absent'}" in shown
    [one] = json.loads(out.read_text())["measured"]
    assert one["commit"] == "abc"
    assert one["command"].startswith("tokenexit bench little --data words --batch-size 2")
    assert one["result"]["repeats"] == 1
    assert {"kernels", "instruction_set", "threads", "versions"} <= one["result"]["ran"].keys()

    def never(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(subprocess, "run", never)
    run.main(told(place, out))
    assert "already measured" in capsys.readouterr().out
    monkeypatch.setattr(run, "commit", lambda: "def")
    run.main(told(place, out, "--minutes", "0"))
    assert "left for another time" in capsys.readouterr().out  # of another commit: not the same


def test_texts_one_by_one_have_a_run_of_their_own_where_there_is_one(run, tmp_path):
    one, many = (run.Case("ewt", "words", "int8", size, 3, 1, "onnxruntime") for size in (1, 8))
    (tmp_path / "ewt").mkdir()
    assert run.folder_of(one, tmp_path) == tmp_path / "ewt"
    (tmp_path / "ewt_one").mkdir()
    assert run.folder_of(one, tmp_path) == tmp_path / "ewt_one"
    assert run.folder_of(many, tmp_path) == tmp_path / "ewt"


@pytest.mark.slow
def test_a_failed_case_is_told_and_nothing_is_written(run, place, tmp_path, capsys):
    (tmp_path / "little").mkdir()
    out = tmp_path / "results.json"
    given = ["--models", str(tmp_path), "--data", str(place), "--out", str(out)]
    assert run.main(given) == 1
    assert "failed with exit code 2: Error: " in capsys.readouterr().out
    assert not out.exists()


def test_a_file_of_another_machine_or_kind_is_refused(run, place, tmp_path):
    out = tmp_path / "results.json"
    out.write_text(json.dumps({"machine": {"cores": -1}, "measured": []}))
    with pytest.raises(UserError, match="another machine"):
        run.main(told(place, out))
    out.write_text("[]")
    with pytest.raises(UserError, match="no file of this script"):
        run.main(told(place, out))
    with pytest.raises(UserError, match="--out"):
        run.main([])
    with pytest.raises(UserError, match="No case"):
        run.main(["--only", "int9"])


def test_the_real_cases_have_names_of_their_own(script):
    cases = list(script("cases").cases())
    assert len({case.name for case in cases}) == len(cases)
    assert {case.batch_size for case in cases} == {1, 8, 32}
    assert {case.precision for case in cases} == {"int8", "fp32"}


def measured(model: str, precision: str, threads: int = 1, kernels: str = "auto", **more) -> dict:
    ratios = {"speedup_median": 20.0, "speedup_p10": 19.0, "speedup_p90": 21.0}
    ours = {"ms_per_text": 0.5 / threads, "agreement": 0.98}
    engine = {"ours_median": 3.1, "ours_p10": 3.0, "ours_p90": 3.2, "full_depth_median": 1.6}
    name = "ONNX Runtime, sorted"
    rows = [
        {"name": "plain transformers", "precision": "fp32"},
        {"name": "ours, policy", "precision": precision, **ours},
        {"name": name, "precision": "fp32", **engine, "ours_median": 9.0},
        {"name": name, "precision": "int8", **engine, **more},
    ]
    ran = {"processor": "P", "cores": 2, "instruction_set": "AVX2", "kernels": "avx2"}
    settings = {"model": model, "batch_size": 8, "precision": precision, "threads": threads}
    return {
        "case": f"{model}, {precision}, {threads} threads",
        "settings": {**settings, "kernels": kernels},
        "commit": "0123456789abcdef",
        "result": {**ratios, "policy_speedup": 1.9, "of_bound": 0.93, "rows": rows}
        | {"ran": {**ran, "versions": {"torch": "2.13"}}},
    }


def test_the_tables_say_what_was_measured(script, tmp_path):
    table = script("table")
    shown = table.tables(
        [
            measured("ewt", "int8"),
            measured("ewt", "fp32"),
            measured("ewt", "int8", threads=2),
            measured("ewt", "int8", kernels="off"),
            measured("pos", "int8", reason="not installed"),
        ]
    )
    first, second, *_ = [line for line in shown.splitlines() if line.startswith("| ewt")]
    assert "| 0.50 | 20.00x (19.00-21.00) | ONNX Runtime 3.10x (3.00-3.20) | 1.60x |" in first
    assert first.count("1.90x (93 %)") == 2
    assert second.count("1.90x (93 %)") == 1
    assert "ONNX Runtime: not installed" in shown
    assert "2 threads: 2.00 times as fast as one thread" in shown
    assert "commit 0123456789ab" in shown
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- clocks -->\nold\n<!-- /clocks -->\nafter\n")
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"machine": {}, "measured": [measured("ewt", "int8")]}))
    table.main([str(results), "--readme", str(readme)])
    text = readme.read_text()
    assert text.startswith("before\n<!-- clocks -->\n| run | batch |")
    assert text.endswith("<!-- /clocks -->\nafter\n")
    readme.write_text("no marks")
    with pytest.raises(UserError, match="has no <!-- clocks -->"):
        table.main([str(results), "--readme", str(readme)])
    with pytest.raises(UserError, match=r"no file of benchmarks/run\.py"):
        table.main([str(readme)])


class _Work:
    """Two parts, one of which calls the other."""

    def outer(self, ticks):
        ticks.append(1.0)
        self.inner(ticks)

    def inner(self, ticks):
        ticks.append(10.0)


def test_a_clock_charges_each_part_for_itself(script):
    module = script("clock")
    ticks: list[float] = []
    clock = module.Clock(lambda: sum(ticks))
    work, inner = _Work(), _Work.inner
    clock.watch(_Work, "outer", "a")
    clock.watch(_Work, "inner", "b")
    with clock.running():
        ticks.append(100.0)
        work.outer(ticks)
        work.inner(ticks)
    assert dict(clock.seconds) == {"a": 1.0, "b": 20.0, "Python between": 100.0}
    assert dict(clock.calls) == {"a": 1, "b": 2}
    clock.stop()
    assert _Work.inner is inner
    with pytest.raises(TypeError):
        clock.watch(_Work, "__doc__", "c")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_parts_of_a_run_add_up(script, place, tmp_path, capsys, precision):
    parts, out = script("parts"), tmp_path / "parts.json"
    flags = ["--data", str(place / "words"), "--policy", "entropy:0.9", "--batch-size", "2"]
    parts.main(
        [
            str(place / "little"),
            *flags,
            "--precision",
            precision,
            "--repeats",
            "1",
            "--json",
            str(out),
        ]
    )
    [found] = json.loads(out.read_text())["profiles"]
    assert found["texts"] == 4
    assert list(found["ladder"]) == ["nobody asked", "asked, nobody leaves", "the policy"]
    assert {"trace", "packing", "Python between"} <= found["parts"].keys()
    assert found["calls"]["packing"] == 2
    ours = "kernel encoder_run" if "kernel encoder_run" in found["parts"] else "products"
    assert found["parts"][ours] > 0
    assert "all of it, with clocks inside" in capsys.readouterr().out


def test_old_and_new_take_turns(script, monkeypatch, capsys):
    module = script("old_new")
    asked = []

    def spent(place, command):
        asked.append((place.name, command[0]))
        return {"policies": 1.0, "evaluate": 3.0 if place.name == "old" else 2.0}[command[0]]

    monkeypatch.setattr(module, "seconds", spent)
    found = module.compare(Path("old"), Path("new"), ["evaluate", "run"], 2)
    assert found == {"old": [2.0, 2.0], "new": [1.0, 1.0]}
    assert [place for place, what in asked if what == "evaluate"] == ["new", "old", "old", "new"]
    with pytest.raises(UserError, match="no commit 'nothing'"), module.checkout("nothing"):
        pass


@pytest.mark.slow
def test_no_script_is_taken_for_a_package():
    """Their folder comes first on the path: transformers looks for packages such as ``kernels``."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "run.py"), "--list"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ewt, int8, batch 1" in done.stdout
    names = {path.stem for path in SCRIPTS.glob("*.py")}
    assert not names & {"kernels", "accelerate", "tokenizers", *sys.stdlib_module_names}


def test_gates_are_chosen_on_validation_and_fitted_once(script, place, tmp_path, capsys):
    gates, out, data = script("gates"), tmp_path / "gates.json", tmp_path / "words"
    data.mkdir()
    row = json.dumps({"tokens": WORDS, "ner_tags": ["B-PER", *["O"] * 5]})
    for split, count in (("train", 12), ("validation", 4), ("test", 4)):
        (data / f"{split}.jsonl").write_text(f"{row}\n" * count)
    fit = {"inner": 0, "reach": 0, "features": ["margin"], "rounds": 1}
    flags = [str(place / "little"), "--data", str(data), "--out", str(out)]
    gates.main([*flags, "--fits", json.dumps([fit])])
    found = json.loads(out.read_text())
    assert list(found["fits"]) == ["entropy", json.dumps(fit, sort_keys=True)]
    for measured in found["fits"].values():
        fewer = [rung["test_fewer"] for rung in measured["curve"]]
        assert fewer == sorted(fewer)
        assert fewer[0] >= 1.0
    capsys.readouterr()
    gates.main([*flags, "--fits", json.dumps([fit])])
    assert capsys.readouterr().out == ""
    gates.main(["--table", str(out)])
    assert "| `entropy` | 0 | 0 s |" in capsys.readouterr().out


def test_a_gate_that_keeps_too_little_on_validation_is_not_chosen(script, capsys):
    gates = script("gates")

    def rung(kept: float, fewer: float) -> dict[str, float]:
        return {"validation_kept": kept, "validation_fewer": fewer}

    assert gates.chosen([rung(1.0, 2.0), rung(0.995, 3.0), rung(0.98, 4.0)], 0.99) == rung(0.995, 3)
    assert gates.chosen([rung(0.98, 4.0)], 0.99) is None
    with pytest.raises(SystemExit):
        gates.main(["m", "--data", "d", "--fits", "{}"])
    assert "a list of settings of fit-gate" in capsys.readouterr().err


@pytest.mark.slow
def test_long_texts_are_measured_once(script, tmp_path, monkeypatch, capsys):
    module = script("long_texts")
    tokenizer = train_tokenizer([WORDS], vocab_size=100)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, num_labels=2, **shape)
    network = BertForSequenceClassification(config)
    build = ExitModelForSequenceClassification.from_transformers
    build(network, tokenizer, ["a", "b"], exit_layers=[]).save_pretrained(tmp_path / "plain")
    (tmp_path / "data").mkdir()
    rows = [{"sentence": " ".join(WORDS[:n]), "label": "ab"[n % 2]} for n in (3, 4, 5, 6)]
    for split in ("validation", "test"):
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(module, "commit", lambda: "abc")
    out, plain = tmp_path / "out.json", str(tmp_path / "plain")
    given = [str(out), "--plain", plain, "--data", str(tmp_path / "data"), "--settings", "3"]
    given += ["--repeats", "1", "--system", "half", plain, "core_set:0.5", "--system", "all", plain]
    module.main(given)
    shown = capsys.readouterr().out
    half, whole = json.loads(out.read_text())["measured"]
    assert half["result"]["reducer"]["name"] == "core_set"
    chosen = half["result"]["validation"]
    assert chosen["relative_quality"] >= 0.99 or chosen["mac_ratio"] == pytest.approx(1, abs=0.05)
    assert half["result"]["test"]["mac_ratio"] == pytest.approx(chosen["mac_ratio"], abs=0.01)
    assert whole["result"]["validation"] is None
    assert whole["result"]["test"]["relative_quality"] == 1
    assert "| half | `core_set(ratio=" in shown
    assert "| all | none | as it is |" in shown
    for name in ("measure", "timed"):
        monkeypatch.setattr(module, name, None)
    module.main(given)
    assert capsys.readouterr().out == shown
    with pytest.raises(UserError, match="--system takes a name"):
        module.main([*given, "--system", "x", "nowhere"])


def test_promises_are_drawn_and_told(script, tmp_path, capsys):
    promises, out = script("promises"), tmp_path / "found.json"
    asked = ["--promises", "differs <= 0.1", "f1 kept >= 0.9 and words changed <= 0.1"]
    promises.main([*asked, "--sizes", "30", "300", "--draws", "20", "--out", str(out)])
    rows = json.loads(out.read_text())["calibrations"]
    assert [(row["texts"], row["kept_seldom_enough"]) for row in rows] == [
        (30, True),
        (300, True),
    ] * 2
    assert rows[1]["saved"] > rows[0]["saved"] >= 1
    assert rows[1]["best"] > rows[1]["saved"]
    shown = capsys.readouterr().out
    promises.main(["--table", str(out)])
    assert capsys.readouterr().out == shown
    assert "| differs <= 0.1 |" in shown
