"""The console script on a finished model folder."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tokenexit import kernels
from tokenexit.kernels.library import forget

ROOT = Path(__file__).parents[2]

_path = Path(__file__).parents[1] / "workflows" / "trained.py"
_spec = importlib.util.spec_from_file_location("trained", _path)
assert _spec is not None
assert _spec.loader is not None
_trained = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trained)
_no_accelerator_left = _trained._no_accelerator_left
corpus, own_run = _trained.corpus, _trained.own_run
trained_run, tagger = _trained.trained_run, _trained.tagger

EVALUATE = """task split n_sentences n_rows metric quality quality_full_depth mean_exit_layer
num_layers exit_histogram mac_ratio""".split()
BENCH = """baseline batch_size threads device dtype repeats speedup_median speedup_p10 speedup_p90
mac_ratio efficiency policy_speedup bound of_bound rows""".split()
COMMANDS = "evaluate calibrate bench predict report policies backbones".split()
PLUGIN = '''
from dataclasses import dataclass
from tokenexit.policies import POLICIES, Policy

@POLICIES.register("first_words")
@dataclass(frozen=True)
class FirstWords(Policy):
    """Halts the first words of a sentence.

    Args:
        count: How many.
    """

    count: int = 2

    def step(self, signals, state):
        return signals.position < self.count, state
'''


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


class TestEvaluate:
    def test_writes_the_keys_of_the_contract(self, ok, trained_run, corpus, tmp_path):
        out = tmp_path / "new" / "figures.json"
        shown = ok("evaluate", trained_run, "--data", corpus, "--json", out)
        data = read(out)
        assert not set(EVALUATE) - data.keys()
        assert (data["task"], data["split"], data["metric"]) == ("ner", "test", "f1")
        assert sum(data["exit_histogram"]) == data["n_rows"]
        assert f"{data['quality']:.4f}" in shown
        # It is the run's own measurement again, but for the oracle, which was not asked for.
        own = read(trained_run / "metrics.json")["splits"]["test"]
        assert data == {**own, "oracle": None}
        assert own["oracle"]["all"]["rows"] == data["n_rows"]

    def test_an_oracle_when_asked(self, ok, trained_run, corpus, tmp_path):
        out = tmp_path / "out.json"
        command = ("evaluate", trained_run, "--data", corpus, "--policy", "entropy:0.2")
        assert "oracle" not in ok(*command)
        shown = ok(*command, "--oracle", "--json", out)
        data = read(out)["oracle"]
        assert f"leave at layer {data['exit_layer']:.2f}" in shown
        assert "label of full depth" in shown
        assert sum(one["layers_lost"] for one in data["by_class"]) == data["all"]["layers_lost"]

    def test_another_split_and_policy(self, ok, trained_run, corpus, tmp_path):
        out = tmp_path / "figures.json"
        policy = '{"name": "window", "policy": {"name": "entropy", "threshold": 0.3}, "size": 5}'
        args = ["evaluate", trained_run, "--data", corpus, "--json", out]
        shown = ok(*args, "--split", "validation", "--policy", policy, "--batch-size", 7)
        assert read(out)["policy"] == json.loads(policy)
        assert read(out)["split"] == "validation"
        assert "window(entropy(0.3), 5)" in shown

    def test_a_lone_file_is_any_split(self, ok, trained_run, corpus, tmp_path):
        out = tmp_path / "figures.json"
        file = corpus / "test.parquet"
        ok("evaluate", trained_run, "--data", file, "--json", out, "--policy", "never")
        assert read(out)["n_sentences"] == 47
        assert read(out)["relative_quality"] == 1

    def test_other_labels(self, cli, ok, trained_run, tmp_path):
        file = tmp_path / "mine.jsonl"
        row = {"tokens": ["Rice", "is", "good"], "ner_tags": ["B-FOOD", "O", "O"]}
        file.write_text(json.dumps(row) + "\n", encoding="utf-8")
        done = cli("evaluate", trained_run, "--data", file)
        assert done.code == 2
        assert "'B-FOOD'" in done.err
        ok("evaluate", trained_run, "--data", file, "--unknown", "keep")

    def test_a_policy_of_the_users_own(self, ok, cli, trained_run, corpus, tmp_path):
        plugin, out = tmp_path / "mine.py", tmp_path / "figures.json"
        plugin.write_text(PLUGIN, encoding="utf-8")
        policy = '{"name": "first_words", "count": 3}'
        args = ["evaluate", trained_run, "--data", corpus, "--policy", policy, "--json", out]
        ok(*args, "--plugin", plugin)
        assert read(out)["policy"] == json.loads(policy)
        assert read(out)["exit_histogram"][0] == 3 * 47
        assert "first_words" in ok("policies", "--plugin", plugin)


PROMISE = '''
from tokenexit.promises import PROMISES, Promise

@PROMISES.register("same_words")
class SameWords(Promise):
    """Words with the label of full depth."""

    def measured(self, seen):
        return None if seen.words is None else 1 - seen.words

    def aim(self, target, alone):
        return f"keep {target['same_words']:g} of the words"

    def told(self, value, asked, past):
        return f"it kept {value:g} of the words"
'''


class TestCalibrate:
    def test_a_promise_of_the_users_own(self, ok, trained_run, corpus, tmp_path):
        plugin = tmp_path / "promise.py"
        plugin.write_text(PROMISE, encoding="utf-8")
        args = ["--data", corpus, "--policy", "entropy", "--limit", 10, "--dry-run"]
        told = ok("calibrate", trained_run, *args, "--plugin", plugin, "--promise", "same_words=1")
        assert "to keep 1 of the words; there it kept 1 of the words, as asked" in told

    def test_updates_the_folder(self, ok, own_run, corpus, tmp_path, tagger):
        before = {p.name: load_file(p) for p in own_run.glob("*.safetensors")}
        args = ["--data", corpus, "--min-quality", 0.9, "--loose", "--policy", "margin"]
        shown = ok("calibrate", own_run, *args, "--json", tmp_path / "found.json")
        found, exits = read(own_run / "calibration.json"), read(own_run / "exit_config.json")
        assert found == read(tmp_path / "found.json")
        assert exits["policy"] == found["policy"]
        assert found["policy"]["name"] == "margin"
        assert exits["calibration"]["target"] == found["target"] == {"min_quality": 0.9}
        assert found["chosen"]["relative_quality"] >= 0.9
        assert '"margin"' in shown
        for name, weights in before.items():
            after = load_file(own_run / name)
            assert after.keys() == weights.keys()
            assert all(after[key].equal(value) for key, value in weights.items())
        # From here on it is the model's own policy.
        out = tmp_path / "figures.json"
        ok("evaluate", own_run, "--data", corpus, "--split", "validation", "--json", out)
        assert read(out) == found["chosen"]

    def test_by_the_clock(self, ok, cli, own_run, corpus, monkeypatch):
        monkeypatch.setattr("tokenexit.calibration.clock.probes.SECONDS", 0.0)
        monkeypatch.setattr("tokenexit.calibration.clock.clock.RACE", 0.5)
        args = ["calibrate", own_run, "--data", corpus, "--policy", "margin", "--batch-size", 8]
        shown = ok(*args, "--minimise", "time", "--min-quality", 0.9)
        found, costs = read(own_run / "calibration.json"), read(own_run / "cost_model.json")
        assert "A text took, in turns" in shown
        assert "batches of 8" in shown
        assert found["minimise"] == "time"
        assert {row["name"] for row in found["timing"]["rows"]} > {"full depth"}
        assert found["timing"]["batch_size"] == costs["conditions"]["batch_size"] == 8
        assert costs["runs"] == found["timing"]["cost_model"]["runs"] > 0
        exits = read(own_run / "exit_config.json")
        assert exits["policy"] == found["policy"]
        assert exits["calibration"]["timing"] == found["timing"]
        assert exits["calibration"]["precision"] == "fp32"
        assert "A text took, in turns" in (own_run / "README.md").read_text(encoding="utf-8")
        ok("report", own_run)
        page = (own_run / "report.html").read_text(encoding="utf-8")
        assert "<th>Timed in turns</th>" in page
        assert "A text took, in turns" in page
        # What operations cost is known from now on, and a time that nothing keeps is refused.
        refused = cli(*args, "--latency", 1e-6)
        assert refused.code == 2
        assert "the least possible" in refused.err
        assert read(own_run / "calibration.json") == found
        ok(*args, "--latency", 1e6)
        again = read(own_run / "calibration.json")
        assert again["chosen"]["relative_quality"] >= 1
        assert again["target"] == {"latency": 1e6}
        assert again["timing"]["cost_model"] == found["timing"]["cost_model"]
        ok(*args, "--min-quality", 0.9, "--loose")
        assert read(own_run / "calibration.json")["timing"] is None

    def test_a_dry_run_changes_nothing(self, ok, own_run, corpus, tmp_path):
        before = {p: p.read_bytes() for p in own_run.rglob("*") if p.is_file()}
        out = tmp_path / "found.json"
        args = ["--speedup", 1.2, "--policy", "entropy", "--dry-run", "--json", out]
        ok("calibrate", own_run, "--data", corpus, *args)
        assert {p: p.read_bytes() for p in own_run.rglob("*") if p.is_file()} == before
        assert read(out)["target"] == {"speedup": 1.2}
        assert read(out)["reached"]

    @pytest.mark.parametrize(
        ("option", "told"),
        [
            (["--min-quality", "1.2"], "at most 1, not 1.2"),
            (["--min-quality", "nan"], "at most 1, not nan"),
            (["--speedup", "0.5"], "1 or more, not 0.5"),
            (["--policy", "never"], "no threshold to calibrate"),
            (["--split", "dev"], "train, validation, test"),
            (["--confidence", "1.5"], "between 0 and 1, not 1.5"),
            (["--minimise", "tiem"], "Did you mean 'time'?"),
            (["--latency", "0"], "milliseconds above 0, not 0"),
            (["--latency", "nan"], "milliseconds above 0, not nan"),
            (["--latency", "1", "--minimise", "macs"], "leave one out"),
            (["--latency", "1", "--speedup", "2"], "leave one out"),
            (["--latency", "1", "--risk", "0.1"], "leave one out"),
            (["--latency", "1", "--confidence", "0.9"], "give that as well"),
            (["--speedup", "2", "--minimise", "time"], "leave one out"),
            (["--promise", "same_tags"], "NAME=NUMBER, such as"),
            (["--promise", "latncy=2"], "Did you mean 'latency'?"),
        ],
    )
    def test_impossible_wishes(self, option, told, cli, trained_run, corpus):
        done = cli("calibrate", trained_run, "--data", corpus, "--dry-run", *option)
        assert done.code == 2
        assert told in done.err

    def test_only_a_folder_can_be_changed(self, cli):
        done = cli("calibrate", "nobody/nothing", "--data", "anything")
        assert done.code == 2
        assert "--dry-run" in done.err


class TestBench:
    def test_writes_the_keys_of_the_contract(self, ok, trained_run, corpus, tmp_path):
        out = tmp_path / "times.json"
        args = ["--limit", 10, "--repeats", 2, "--batch-size", 4, "--json", out]
        shown = ok("bench", trained_run, "--data", corpus, *args)
        data = read(out)
        assert not set(BENCH) - data.keys()
        assert (data["n_sentences"], data["repeats"], data["batch_size"]) == (10, 2, 4)
        assert data["efficiency"] == data["speedup_median"] * data["mac_ratio"]
        assert data["policy"] == read(trained_run / "exit_config.json")["policy"]
        assert [row["name"] for row in data["rows"]][::3] == ["plain transformers", "ours, policy"]
        assert "ours, full depth" in shown

    def test_an_engine_that_does_not_exist(self, cli, trained_run, corpus):
        done = cli("bench", trained_run, "--data", corpus, "--against", "onnxruntme")
        assert done.code == 2
        assert "Did you mean 'onnxruntime'?" in done.err

    @pytest.mark.parametrize("option", ["--repeats", "--batch-size", "--limit", "--threads"])
    def test_counts_start_at_one(self, option, cli, trained_run, corpus):
        done = cli("bench", trained_run, "--data", corpus, option, 0)
        assert done.code == 2
        assert option in done.err


class TestPredict:
    TEXT = "Anna moved to Paris .\n\nthe door\x0cwas old\u2028again\r\n \nApple sold it ."

    def check(self, shown):
        lines = [json.loads(line) for line in shown.removesuffix("\n").split("\n")]
        assert [len(line["words"]) for line in lines] == [5, 0, 5, 0, 4]
        for line in lines:
            count = len(line["words"])
            assert len(line["labels"]) == len(line["exit_layers"]) == count
            assert all(1 <= layer <= 3 for layer in line["exit_layers"])
            assert all(0 < value <= 1 for value in line["confidences"])
        assert lines[1]["labels"] == lines[3]["labels"] == []
        return lines

    def test_reads_a_file(self, ok, trained_run, tmp_path, tagger):
        file = tmp_path / "text.txt"
        file.write_bytes(self.TEXT.encode())
        lines = self.check(ok("predict", trained_run, file))
        [wanted] = tagger.predict(["Anna moved to Paris ."])
        assert lines[0] == json.loads(json.dumps(wanted.to_dict()))

    def test_reads_standard_input(self, ok, trained_run):
        shown = ok("predict", trained_run, "-", stdin=self.TEXT.encode())
        assert shown == ok("predict", trained_run, stdin=self.TEXT.encode())
        self.check(shown)

    def test_the_end_of_a_line_is_no_line(self, ok, trained_run):
        for text, count in ((b"", 0), (b"\n", 1), (b"a", 1), (b"a\n", 1), (b"a\n\n", 2)):
            shown = ok("predict", trained_run, "--policy", "never", stdin=text)
            assert len(shown.splitlines()) == count

    def test_a_byte_order_mark_is_no_word(self, ok, trained_run):
        shown = ok("predict", trained_run, stdin="\ufeffAnna sang".encode())
        assert json.loads(shown)["words"] == ["Anna", "sang"]

    def test_takes_another_policy(self, ok, trained_run):
        policy = '{"name": "assigned_depth", "depth": 2}'
        shown = ok("predict", trained_run, "--policy", policy, stdin=b"Anna moved")
        assert json.loads(shown)["exit_layers"] == [2, 2]

    def test_what_is_no_text_is_refused(self, cli, trained_run, tmp_path):
        file = tmp_path / "picture.txt"
        file.write_bytes(b"\xff\xfe\xfa")
        done = cli("predict", trained_run, file)
        assert done.code == 2
        assert "cannot be read as UTF-8" in done.err
        assert "Traceback" not in done.err


def test_every_command_is_told_a_precision(ok, own_run, corpus, tmp_path, caplog):
    given = ("--device", "cpu", "--precision", "int8", "--runtime", "eager")
    out = tmp_path / "figures.json"
    ok("evaluate", own_run, "--data", corpus, *given, "--json", out)
    measured = read(out)
    assert measured["precision"] == "int8"
    assert measured["products"] == kernels.status()
    assert "calibrated in fp32 and is used in int8" in caplog.text
    ok("evaluate", own_run, "--data", corpus, "--json", out)
    assert (read(out)["precision"], read(out)["products"]) == ("fp32", "torch")
    ok("bench", own_run, "--data", corpus, "--limit", 8, "--repeats", 1, *given, "--json", out)
    assert read(out)["precision"] == "int8"
    assert "exit_layers" in ok("predict", own_run, *given, stdin=b"Ada was born .")
    asked = ("--policy", "entropy", "--speedup", 1.2)  # which full depth does not keep
    shown = ok("calibrate", own_run, "--data", corpus, *asked, *given)
    assert " at full depth in fp32" in shown
    record = read(own_run / "exit_config.json")["calibration"]
    assert record["precision"] == read(own_run / "calibration.json")["precision"] == "int8"
    caplog.clear()
    ok("evaluate", own_run, "--data", corpus, *given)
    assert "was calibrated in" not in caplog.text
    ok("evaluate", own_run, "--data", corpus)
    assert "calibrated in int8 and is used in fp32" in caplog.text


def test_every_command_is_told_a_runtime(ok, cli, own_run, corpus, tmp_path):
    given, found = ("--device", "cpu", "--policy", "entropy:0.5"), {}
    for runtime in ("eager", "static"):
        out = tmp_path / f"{runtime}.json"
        told = (*given, "--runtime", runtime)
        ok("evaluate", own_run, "--data", corpus, *told, "--json", out)
        lines = ok("predict", own_run, *told, stdin=b"Ada was born .\nParis").splitlines()
        found[runtime] = read(out), [json.loads(line)["exit_layers"] for line in lines]
    for name in ("quality", "mean_exit_layer", "exit_histogram"):
        assert found["static"][0][name] == found["eager"][0][name]
    assert found["static"][1] == found["eager"][1]
    ok("bench", own_run, "--data", corpus, "--limit", 8, "--repeats", 1, *told)
    done = cli("predict", own_run, "--runtime", "static", "--policy", "vote", stdin=b"Paris")
    assert done.code == 2
    assert 'choose runtime="eager"' in done.err.replace("\n", " ")


@pytest.mark.parametrize("command", ["predict", "evaluate", "calibrate"])
def test_missing_kernels_are_told_once(command, ok, own_run, corpus, monkeypatch, caplog):
    monkeypatch.setenv("TOKENEXIT_KERNELS", "off")
    forget()
    try:
        more = {
            "predict": ["--batch-size", 1],
            "evaluate": ["--data", corpus],
            "calibrate": ["--data", corpus, "--policy", "entropy", "--limit", 10],
        }[command]
        text = b"Ada was born .\nParis\n"
        ok(command, own_run, "--device", "cpu", "--precision", "int8", *more, stdin=text)
        told = "Torch's operators run in place of compiled kernels (off: TOKENEXIT_KERNELS"
        assert caplog.text.count(told) == 1
    finally:
        forget()
    caplog.clear()
    ok(command, own_run, "--device", "cpu", *more, stdin=text)
    assert "Torch's operators" not in caplog.text


def test_report_draws_the_page_anew(ok, own_run):
    page = own_run / "report.html"
    page.unlink()
    assert ok("report", own_run).strip() == str(page)
    metrics = read(own_run / "metrics.json")["splits"]["test"]
    assert f"{metrics['quality']:.3f}" in page.read_text(encoding="utf-8")


def test_policies_are_listed_with_their_settings(ok):
    from tokenexit.policies import POLICIES

    shown = ok("policies")
    for name in dict(POLICIES.items()):
        assert f"\n{name} " in f"\n{shown}"
    assert "threshold=0.1" in shown
    assert "units: word, token, text" in shown
    lines = shown.splitlines()
    decided = {line.split()[0]: lines[n + 2].strip() for n, line in enumerate(lines[:-2])}
    assert decided["entropy"] == "kernels: a rule"
    assert decided["window"] == "kernels: a rule where what is inside has one"
    assert decided["divergence"] == "kernels: asked in Python at every exit"


def test_methods_are_listed_with_what_departs_from_their_papers(ok):
    shown = ok("methods")
    entry = """
past_future     States of earlier exits, imitations of later ones; entropy (Liao et al. 2021).
                Liao et al. 2021; units: text, word; Entropy(threshold=0.1) by threshold
                fidelity: imitators of each exit, one gate on its state; released: shared, a gate a
                class on all so far
"""
    assert entry in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_reducers_are_listed_and_used(ok, cli, folder):
    shown = ok("reducers")
    assert "\nsignificance " in f"\n{shown}"
    assert "reads: attention; ratio=0.8" in shown
    told = "predict", folder, "-", "--policy", "never"
    text = b"Ada was born in London and she was in Paris .\n"
    plain, fewer, none = (
        ok(*told, "--reducer", given, stdin=text)
        for given in ("significance:1", "significance:0.3", "none")
    )
    assert plain == none != fewer
    done = cli(*told, "--reducer", "core_set", stdin=text)
    assert done.code == 2
    assert 'fate="restore"' in done.err
    assert ok(*told, "--widths", "none", stdin=text) == plain
    done = cli(*told, "--widths", "2", stdin=text)
    assert done.code == 2
    assert "at most 1" in done.err


def test_backbones_are_listed(ok):
    from tokenexit.backbones import BACKBONES
    from tokenexit.decoders import DECODERS

    shown = ok("backbones").splitlines()
    assert [line.split()[0] for line in shown] == [
        name for name, _ in [*BACKBONES.items(), *DECODERS.items()]
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evaluate", "./nowhere", "--data", "CORPUS"], "'./nowhere' is not a folder"),
        (["evaluate", "nobody/nothing", "--data", "CORPUS"], "Check the name and the network"),
        (["evaluate", "CORPUS", "--data", "CORPUS"], "it is no tokenexit model"),
        (["evaluate", "MODEL", "--data", "./gone"], "'./gone' does not exist"),
        (
            ["evaluate", "MODEL", "--data", "CORPUS", "--split", "dev"],
            "no split 'dev'; it has train, validation, test",
        ),
        (["evaluate", "MODEL", "--data", "CORPUS", "--polcy", "never"], "--polcy"),
        (["evaluate", "MODEL", "--data", "CORPUS", "--policy", "nevr"], "'never'"),
        (["evaluate", "MODEL", "--data", "CORPUS", "--policy", '{"name": '], "policy"),
        (
            ["evaluate", "MODEL", "--data", "CORPUS", "--policy", "[1, 2]"],
            "a mapping with a 'name'",
        ),
        (
            ["evaluate", "MODEL", "--data", "CORPUS", "--policy", '{"name": "entropy", "t": 1}'],
            "threshold",
        ),
        (["evaluate", "MODEL", "--data", "CORPUS", "--decode", "crf"], "no CRF"),
        (["evaluate", "MODEL", "--data", "CORPUS", "--decode", "best"], "'best'"),
        (["evaluate", "MODEL", "--data", "CORPUS", "--unknown", "drop"], "error or keep"),
        (["evaluate", "MODEL", "--data", "CORPUS", "--column", "chunks"], "ner_tags"),
        (["evaluate", "MODEL", "--data", "CORPUS", "--json", "FILE/x.json"], "cannot be written"),
        (["bench", "MODEL", "--data", "CORPUS", "--batch-size", "many"], "--batch-size"),
        (["predict", "MODEL", "gone.txt"], "no file 'gone.txt'"),
        (["predict", "MODEL", "--precision", "int4"], "Did you mean 'int8'?"),
        (["evaluate", "MODEL", "--data", "CORPUS", "--precision", "INT8"], "Did you mean 'int8'?"),
        (["bench", "gone", "--against", ","], "',' names no engine to compare with"),
        (["bench", "gone", "--against", ""], "'' names no engine to compare with"),
        (["predict", "MODEL", "--runtime", "eagr"], "Did you mean 'eager'?"),
        (["predict", "MODEL", "--device", "cpu", "--precision", "fp16"], "served on a GPU"),
        (
            ["predict", "MODEL", "--precision", "int8", "--dtype", "bfloat16"],
            "made from float32 weights",
        ),
        (["report", "nowhere"], "'nowhere' is not a folder"),
        (["report", "CORPUS"], "it is no run folder"),
        (["policies", "--plugin", "gone.py"], "'gone.py' does not exist"),
        (["evalute"], "No such command 'evalute'"),
    ],
)
def test_mistakes_end_with_one_message(arguments, told, cli, trained_run, corpus, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    places = {"MODEL": trained_run, "CORPUS": corpus, "FILE/x.json": tmp_path / "file" / "x.json"}
    done = cli(*[places.get(argument, argument) for argument in arguments])
    assert done.code == 2
    assert done.err.startswith("Error: ")
    assert told in done.err
    assert "Traceback" not in done.err
    if not told.startswith("policy"):  # what YAML says of a text has lines
        assert done.err.count("\n") == 1


def test_a_model_with_a_policy_of_the_users_own_asks_for_its_file(cli, own_run, corpus):
    path = own_run / "exit_config.json"
    path.write_text(json.dumps({**read(path), "policy": {"name": "homemade"}}), encoding="utf-8")
    done = cli("evaluate", own_run, "--data", corpus)
    assert done.code == 2
    assert "Unknown policy 'homemade'" in done.err


def test_without_a_command_it_says_what_there_is(ok):
    shown = ok()
    assert all(command in shown for command in COMMANDS)


def test_help_of_every_command_waits_for_no_heavy_library():
    code = (
        "import sys\n"
        "from tokenexit.cli import main\n"
        f"for command in {[[], *[[name] for name in COMMANDS]]}:\n"
        "    sys.argv = ['tokenexit', *command, '--help']\n"
        "    try:\n        main()\n"
        "    except SystemExit as stop:\n        assert not stop.code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pyarrow', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage") == 1 + len(COMMANDS)


def test_as_a_program(trained_run, tmp_path):
    """In a process of its own: nothing but the message, and the code."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tokenexit.cli", "predict", str(trained_run), "gone.txt"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: There is no file 'gone.txt'")
    assert done.stderr.count("\n") == 1


def test_a_reducer_is_chosen_before_the_policy(ok, own_run, corpus, tmp_path):
    asked = ["--reducer", "significance", "--tune-reducer", "threshold", "--reducer-speedup", 1.2]
    found = tmp_path / "found.json"
    args = ["--data", corpus, "--limit", 12, "--policy", "margin", "--json", found]
    shown = ok("calibrate", own_run, *args, *asked)
    told = json.loads(found.read_text())["reducer"]
    assert told["reached"]
    assert f"multiply-adds:   {told['chosen']['mac_ratio']:.2f}" in shown
    assert json.loads((own_run / "reducer.json").read_text()) == told
    config = json.loads((own_run / "exit_config.json").read_text())
    assert config["reducer"] == told["reducer"]
    assert config["policy"]["name"] == "margin"
