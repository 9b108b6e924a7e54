"""The recipes from data to report, in this process, killed and resumed, and in two at once."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
PATIENCE = 180  # seconds; a deadlock takes longer

_path = Path(__file__).parent / "workflows" / "trained.py"
_spec = importlib.util.spec_from_file_location("trained", _path)
assert _spec is not None
assert _spec.loader is not None
_trained = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trained)
_no_accelerator_left = _trained._no_accelerator_left
corpus, trained_run, model_key = _trained.corpus, _trained.trained_run, _trained.model_key

# Subprocesses find the package however this one did.
FOUND = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
ENV = os.environ | {"PYTHONPATH": FOUND}

# Everything a run folder must hold: a model folder that plain transformers reads, and the rest.
MODEL_FILES = """config.json model.safetensors exit_config.json exit_heads.safetensors README.md
tokenizer.json tokenizer_config.json""".split()
RUN_FILES = """metrics.json train_log.jsonl calibration.json pareto.csv report.html config.yaml
traces/validation.parquet traces/test.parquet checkpoints""".split()
QUICK = ["train.max_steps=4", "train.log_every=2", "calibrate.grid=4", "calibrate.verify=1"]
QUICK += ["calibrate.loose=true"]  # so few texts promise nothing
PLUGIN = '''
from dataclasses import dataclass
from tokenexit.policies import POLICIES, Policy

@POLICIES.register("even_words")
@dataclass(frozen=True)
class EvenWords(Policy):
    """Halts every second word at the first exit."""

    def step(self, signals, state):
        return signals.position % 2 == 0, state
'''


@pytest.fixture
def recipe(monkeypatch) -> Callable[..., int]:
    """Run a recipe as a program would, in this process; returns its exit code."""

    def run(name: str, *arguments: str) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
            patch.syspath_prepend(str(RECIPES))
            try:
                runpy.run_path(str(RECIPES / f"{name}.py"), run_name="__main__")
            except SystemExit as stop:
                return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            finally:
                _trained.forget_accelerator()
        return 0

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory, corpus, model_key) -> Path:
    """An entity run of a few steps; not to be changed."""
    run = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys, "argv", ["ner.py", f"data={corpus}", model_key, f"output_dir={run}", *QUICK]
        )
        patch.syspath_prepend(str(RECIPES))
        runpy.run_path(str(RECIPES / "ner.py"), run_name="__main__")
    _trained.forget_accelerator()
    return run


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def same_weights(first: Path, second: Path) -> bool:
    for name in ("model.safetensors", "exit_heads.safetensors"):
        one, other = load_file(first / name), load_file(second / name)
        if one.keys() != other.keys() or not all(torch.equal(one[k], other[k]) for k in one):
            return False
    return True


def without_clock(run: Path) -> list[dict[str, Any]]:
    lines = (run / "train_log.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


class TestTheRunFolder:
    def test_holds_all_files_of_the_contract(self, finished):
        assert not [name for name in MODEL_FILES + RUN_FILES if not (finished / name).exists()]
        assert not list(finished.rglob("*.partial"))

    def test_has_no_pickle_in_the_model(self, finished):
        """Accelerate's own checkpoints may have; what is shared and loaded may not."""
        unsafe = re.compile(r"\.(pkl|pickle|pt|pth|bin|ckpt)$")
        outside = [p for p in finished.rglob("*") if "checkpoints" not in p.parts]
        assert not [p for p in outside if unsafe.search(p.name)]

    def test_loads_with_plain_transformers(self, finished):
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        from tokenexit import ExitModelForTokenClassification

        plain = AutoModelForTokenClassification.from_pretrained(finished).eval()
        tokenizer = AutoTokenizer.from_pretrained(finished)
        encoded = tokenizer("Anna moved to Paris .", return_tensors="pt")
        ours = ExitModelForTokenClassification.from_pretrained(finished)
        with torch.inference_mode():
            logits = plain(**encoded).logits
            assert torch.equal(logits, ours.network(**encoded).logits)
        labels = read(finished / "metrics.json")["labels"]
        assert [plain.config.id2label[n] for n in range(len(labels))] == labels

    def test_tells_what_was_measured(self, finished):
        metrics = read(finished / "metrics.json")
        assert (metrics["task"], metrics["seed"], metrics["num_layers"]) == ("ner", 0, 3)
        assert metrics["num_processes"] == 1
        assert list(metrics["splits"]) == ["validation", "test"]
        for name, result in metrics["splits"].items():
            words = pq.read_table(finished / "traces" / f"{name}.parquet").to_pydict()
            assert len(words["word"]) == result["n_rows"] == sum(result["exit_histogram"])
            assert sum(words["exit_layer"]) / result["n_rows"] == result["mean_exit_layer"]
            assert result["policy"] == read(finished / "calibration.json")["policy"]
        assert [point["layer"] for point in metrics["static"]] == [1, 2]

    def test_saves_the_calibrated_policy_with_the_model(self, finished):
        calibration, exits = (
            read(finished / "calibration.json"),
            read(finished / "exit_config.json"),
        )
        assert exits["policy"] == calibration["policy"]
        assert exits["calibration"]["target"] == calibration["target"] == {"min_quality": 0.99}
        assert calibration["reached"]
        assert calibration["chosen"]["relative_quality"] >= 0.99
        assert exits["results"].keys() == {"validation", "test"}

    def test_has_a_curve_and_a_log(self, finished):
        with (finished / "pareto.csv").open(encoding="utf-8", newline="") as file:
            kinds = [row["kind"] for row in csv.DictReader(file)]
        assert kinds[:3] == ["full", "static", "static"]
        assert [e["step"] for e in without_clock(finished)] == [2, 4, 4]
        assert "<html" in (finished / "report.html").read_text(encoding="utf-8").lower()


class TestAFolderThatIsTaken:
    def test_is_refused(self, finished, corpus, model_key, recipe, capsys):
        before = read(finished / "metrics.json")
        args = [f"data={corpus}", model_key, f"output_dir={finished}", *QUICK]
        assert recipe("ner", *args) == 2
        error = capsys.readouterr().err
        assert "already holds a run" in error
        assert "overwrite=true" in error
        assert read(finished / "metrics.json") == before

    def test_resuming_a_finished_run_changes_nothing(
        self, finished, corpus, model_key, recipe, tmp_path
    ):
        again = tmp_path / "again"
        shutil.copytree(finished, again)
        (again / "metrics.json").unlink()
        (again / "report.html").unlink()
        args = [f"data={corpus}", model_key, f"output_dir={again}", *QUICK, "resume=true"]
        assert recipe("ner", *args) == 0
        assert read(again / "metrics.json") == read(finished / "metrics.json")
        assert same_weights(again, finished)
        assert without_clock(again) == without_clock(finished)
        assert (again / "report.html").is_file()

    def test_resuming_with_other_settings_lists_them(
        self, finished, corpus, model_key, recipe, capsys
    ):
        args = [f"data={corpus}", model_key, f"output_dir={finished}", *QUICK, "resume=true"]
        assert recipe("ner", *args, "seed=7", "train.lr=1e-5") == 2
        error = capsys.readouterr().err
        assert "seed was 0 and is 7" in error
        assert "train.lr was 0.0002 and is 1e-05" in error
        assert "max_steps was" not in error

    def test_a_finished_run_may_get_another_policy(
        self, finished, corpus, model_key, recipe, tmp_path
    ):
        again = tmp_path / "again"
        shutil.copytree(finished, again)
        args = [f"data={corpus}", model_key, f"output_dir={again}", *QUICK, "resume=true"]
        assert recipe("ner", *args, "calibrate.speedup=1.5") == 0
        assert read(again / "calibration.json")["target"] == {"speedup": 1.5}
        assert same_weights(again, finished)
        assert without_clock(again) == without_clock(finished)
        assert recipe("ner", *args, "policy.name=margin") == 0
        assert read(again / "metrics.json")["splits"]["test"]["policy"]["name"] == "margin"
        assert not (again / "calibration.json").exists()  # of another policy

    def test_a_finished_run_may_be_calibrated_by_the_clock(
        self, finished, corpus, model_key, recipe, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.setattr("tokenexit.calibration.clock.probes.SECONDS", 0.0)
        monkeypatch.setattr("tokenexit.calibration.clock.clock.RACE", 0.5)
        again = tmp_path / "again"
        shutil.copytree(finished, again)
        args = [f"data={corpus}", model_key, f"output_dir={again}", *QUICK, "resume=true"]
        assert recipe("ner", *args, "calibrate.minimise=tiem") == 2
        assert "Did you mean 'time'?" in capsys.readouterr().err
        few = ["calibrate.policies=[{name: margin}]", "calibrate.grid=6", "calibrate.verify=1"]
        assert recipe("ner", *args, "calibrate.minimise=time", *few) == 0
        found = read(again / "calibration.json")
        assert found["minimise"] == "time"
        assert found["timing"]["rows"]
        assert (again / "cost_model.json").is_file()
        assert same_weights(again, finished)
        assert "Timed in turns" in (again / "report.html").read_text(encoding="utf-8")
        assert recipe("ner", *args) == 0
        assert not (again / "cost_model.json").exists()  # of another calibration

    def test_overwriting_replaces_the_run(self, finished, corpus, model_key, recipe, tmp_path):
        again = tmp_path / "again"
        shutil.copytree(finished, again)
        args = [f"data={corpus}", model_key, f"output_dir={again}", *QUICK, "overwrite=true"]
        assert recipe("ner", *args, "seed=7", "policy.name=never") == 0
        assert read(again / "metrics.json")["seed"] == 7
        assert not same_weights(again, finished)
        assert not (again / "calibration.json").exists()  # of the run before

    def test_a_corrected_command_is_not_refused(self, corpus, model_key, recipe, tmp_path, capsys):
        args = [model_key, f"output_dir={tmp_path / 'run'}", *QUICK, "policy.name=never"]
        assert recipe("ner", f"data={tmp_path / 'nowhere'}", *args) == 2
        assert "does not exist" in capsys.readouterr().err
        assert recipe("ner", f"data={corpus}", *args) == 0


def test_parts_of_speech(corpus, model_key, recipe, tmp_path):
    run = tmp_path / "pos"
    args = [f"data={corpus}", model_key, f"output_dir={run}", *QUICK]
    assert recipe("pos", *args, "train.objective.name=joint", "train.trackers=[tensorboard]") == 0
    assert not [name for name in MODEL_FILES + RUN_FILES if not (run / name).exists()]
    metrics = read(run / "metrics.json")
    assert (metrics["task"], metrics["splits"]["test"]["metric"]) == ("pos", "accuracy")
    assert {"NOUN", "VERB", "PUNCT"} <= set(metrics["labels"])


class TestThePolicy:
    ARGS = ("train.max_steps=1",)

    def run(self, recipe, corpus, model_key, tmp_path, *more):
        run = tmp_path / "run"
        args = [f"data={corpus}", model_key, f"output_dir={run}", *QUICK, *self.ARGS]
        assert recipe("ner", *args, *more) == 0
        return run

    def test_given_by_name_is_used_as_it_is(self, corpus, model_key, recipe, tmp_path):
        policy = ["policy.name=margin", "policy.threshold=0.5"]
        run = self.run(recipe, corpus, model_key, tmp_path, *policy)
        assert read(run / "exit_config.json")["policy"] == {"name": "margin", "threshold": 0.5}
        assert not (run / "calibration.json").exists()
        assert read(run / "exit_config.json")["calibration"] is None
        assert (run / "report.html").is_file()

    def test_is_calibrated_when_a_promise_is_given(self, corpus, model_key, recipe, tmp_path):
        goal = ["policy.name=margin", "policy.threshold=0.5", "calibrate.min_quality=0.8"]
        run = self.run(recipe, corpus, model_key, tmp_path, *goal)
        calibration = read(run / "calibration.json")
        assert calibration["target"] == {"min_quality": 0.8}
        assert {c["policy"]["name"] for c in calibration["candidates"]} == {"margin", "never"}
        assert calibration["chosen"]["relative_quality"] >= 0.8

    def test_may_come_from_a_file_of_the_user(self, corpus, model_key, recipe, tmp_path, capsys):
        plugin = tmp_path / "mine.py"
        plugin.write_text(PLUGIN, encoding="utf-8")
        mine = [f"plugins=[{plugin}]", "policy.name=even_words"]
        run = self.run(recipe, corpus, model_key, tmp_path, *mine)
        assert read(run / "exit_config.json")["policy"] == {"name": "even_words"}
        words = pq.read_table(run / "traces" / "test.parquet").to_pydict()
        wanted = [1 if position % 2 == 0 else 3 for position in words["position"]]
        assert words["exit_layer"] == wanted


def test_labels_that_only_validation_and_test_have(corpus, model_key, recipe, tmp_path, capsys):
    """They are said and count as wrong; a run does not fail after training because of them."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "validation", "test"):
        rows = pq.read_table(corpus / f"{name}.parquet").to_pylist()
        if name != "train":
            rows[0]["ner_tags"][0] = "B-FOOD"
        pq.write_table(pa.Table.from_pylist(rows), data / f"{name}.parquet")
    run = tmp_path / "run"
    args = [f"data={data}", model_key, f"output_dir={run}", *QUICK, "train.max_steps=1"]
    assert recipe("ner", *args) == 0
    assert "B-FOOD" not in read(run / "metrics.json")["labels"]
    gold = pq.read_table(run / "traces" / "test.parquet").to_pydict()["gold"]
    assert sum(number < -100 for number in gold) == 1


def test_a_configuration_file_and_data_without_validation_or_test(
    corpus, recipe, tmp_path, model_key
):
    lines = [f"data: {corpus / 'test.parquet'}", f"output_dir: {tmp_path / 'run'}"]
    lines += [f"model: {model_key.removeprefix('model=')}", "policy: {name: never}"]
    (tmp_path / "mine.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert recipe("ner", tmp_path / "mine.yaml", "train.max_steps=1") == 0
    metrics = read(tmp_path / "run" / "metrics.json")
    assert list(metrics["splits"]) == ["validation"]
    assert metrics["splits"]["validation"]["n_sentences"] == 5  # a tenth of 47


def conll(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (data / "train.jsonl").write_text(lines, encoding="utf-8")
    return data


GOOD_ROW = {"tokens": ["Ada", "sang"], "ner_tags": ["B-PER", "O"]}


class TestMistakes:
    """Each ends with exit code 2 and one message."""

    @pytest.fixture
    def told(self, recipe, model_key, tmp_path, capsys):
        def message(*arguments, model=model_key):
            args = [f"output_dir={tmp_path / 'run'}", *QUICK, *arguments]
            code = recipe("ner", *([model] if model else []), *args)
            error = capsys.readouterr().err
            assert code == 2, error
            assert "Traceback" not in error
            lines = [line for line in error.splitlines() if line.startswith("Error: ")]
            assert len(lines) == 1
            assert error.rstrip().endswith(lines[0])  # in one line, the last
            return lines[0]

        return message

    @pytest.mark.parametrize(
        ("argument", "words"),
        [
            ("train.epoch=3", ["'train.epoch'", "'train.epochs'"]),
            ("policy.name=entrpy", ["'entrpy'", "'entropy'"]),
            ("policy={name: entropy, threshold: .nan}", ["Entropy.threshold", "NaN"]),
            ("policy={name: entropy, treshold: 0.1}", ["'treshold'", "'threshold'"]),
            ("exit_layers=[2,9]", ["9", "3"]),
            ("calibrate.min_quality=1.5", ["calibrate.min_quality", "1.5"]),
            ("heads.name=linaer", ["'linaer'", "'linear'"]),
            ("train.objective.name=jiont", ["'jiont'", "'joint'"]),
            ("halted=kopy", ["halted", "copy"]),
            ("plugins=[nowhere.py]", ["nowhere.py", "does not exist"]),
            ("column=chunk_tags", ["chunk_tags", "tokens, ner_tags, pos_tags"]),
        ],
    )
    def test_in_a_setting(self, argument, words, told, corpus):
        error = told(f"data={corpus}", argument)
        assert not [word for word in words if word not in error], error

    def test_not_key_and_value(self, told):
        assert "'fast'" in told("fast")

    def test_tags_of_no_scheme(self, told, tmp_path):
        data = conll(tmp_path, [GOOD_ROW, {"tokens": ["Bo"], "ner_tags": ["PERSON"]}])
        error = told(f"data={data}")
        assert "'PERSON'" in error
        assert "BIO" in error

    def test_as_many_tags_as_words(self, told, tmp_path):
        data = conll(tmp_path, [GOOD_ROW, {"tokens": ["Bo"], "ner_tags": ["O", "O"]}])
        error = told(f"data={data}")
        assert str(data) in error
        assert "row 1" in error
        assert "1 words but 2 tags" in error

    def test_a_missing_column(self, told, tmp_path):
        data = conll(tmp_path, [{"tokens": ["Bo"], "chunks": ["O"]}])
        error = told(f"data={data}")
        assert "ner_tags" in error
        assert "it has: tokens, chunks" in error

    def test_the_hub_without_a_network(self, told, corpus):
        data = told("data=nobody/nothing")
        assert "'nobody/nothing' is neither a file nor a folder here" in data
        model = told(f"data={corpus}", "model=nobody/nothing", model=None)
        assert "nobody/nothing" in model

    def test_a_folder_without_a_model(self, told, corpus, tmp_path):
        assert str(tmp_path) in told(f"data={corpus}", f"model={tmp_path}", model=None)

    def test_a_program_says_it_as_well(self, tmp_path):
        """The same in a process of its own: the code, and nothing but the message."""
        done = subprocess.run(
            [sys.executable, str(RECIPES / "ner.py"), "train.epoch=3", f"output_dir={tmp_path}/r"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=ENV,
            timeout=PATIENCE,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("Error: Unknown configuration key 'train.epoch'.")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "r").exists()


def test_help_lists_the_keys(recipe, capsys):
    assert recipe("pos", "--help") == 0
    shown = capsys.readouterr().out
    for key in ("train.max_steps", "calibrate.min_quality", "policy", "resume", "task = pos"):
        assert key in shown


def kill_when(ready: Callable[[], bool], *arguments: str) -> None:
    """Start the recipe as a process, and kill it when ``ready`` says so."""
    process = subprocess.Popen(
        [sys.executable, str(RECIPES / "ner.py"), *arguments],
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "the training does not get anywhere"
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_a_killed_run_resumes_as_if_nothing_had_happened(corpus, recipe, tmp_path, model_key):
    dropout = json.loads(model_key.removeprefix("model=")) | {"hidden_dropout_prob": 0.2}
    args = [f"data={corpus}", f"model={json.dumps(dropout)}", "train.batch_size=15"]
    args += ["train.max_steps=24", "train.checkpoint_every=2", "train.log_every=3"]
    args += ["calibrate.grid=4", "calibrate.verify=1", "calibrate.loose=true"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    def some_steps_are_saved():
        found = sorted((broken / "checkpoints").glob("step-*/trainer_state.json"))
        return bool(found) and int(found[-1].parent.name[-8:]) >= 4

    kill_when(some_steps_are_saved, *args, f"output_dir={broken}")
    assert not (broken / "metrics.json").exists(), "killed too late to mean much"
    assert recipe("ner", *args, f"output_dir={broken}", "resume=true") == 0
    assert recipe("ner", *args, f"output_dir={whole}") == 0
    assert same_weights(broken, whole)
    assert read(broken / "metrics.json") == read(whole / "metrics.json")
    assert without_clock(broken) == without_clock(whole)


def torchrun(*arguments: str) -> str:
    """Run something in two processes, and end them all when they take too long."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", *arguments),
        ],
        env=ENV | {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        cwd=ROOT,
    )
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"two processes did not end within {PATIENCE} s: {process.communicate()[0]}")
    assert process.returncode == 0, output
    return output


@pytest.mark.multiproc
@pytest.mark.skipif(torch.cuda.is_available(), reason="one process would compute on the GPU")
def test_two_processes_give_the_metrics_of_one(corpus, trained_run, recipe, tmp_path):
    # From a trained model, with a small step for it: Adam's first steps turn the rounding of
    # gradients near zero into whole steps, which is noise that no test could tell from a mistake.
    args = [f"data={corpus}", f"model={trained_run}", "train.max_steps=7", "train.batch_size=15"]
    args += ["train.lr=1e-6", "train.head_lr=1e-2", "train.objective.name=joint"]
    args += ["policy={name: entropy, threshold: 0.3}", "train.log_every=1", "heads.name=linear"]
    pair, alone = tmp_path / "pair", tmp_path / "alone"
    output = torchrun(str(RECIPES / "ner.py"), *args, f"output_dir={pair}")
    assert output.count("report: ") == 1  # one of them speaks
    assert recipe("ner", *args, f"output_dir={alone}") == 0

    two, one = read(pair / "metrics.json"), read(alone / "metrics.json")
    assert (two.pop("num_processes"), one.pop("num_processes")) == (2, 1)
    for name, wanted in one["splits"].items():
        found = two["splits"][name]
        assert found.keys() == wanted.keys()
        for key in ("n_sentences", "n_rows", "policy", "num_layers", "metric"):
            assert found[key] == wanted[key]
        for key in ("quality", "quality_full_depth", "mean_exit_layer", "mac_ratio"):
            assert found[key] == pytest.approx(wanted[key], abs=0.005), key
        moved = zip(found["exit_histogram"], wanted["exit_histogram"], strict=True)
        assert max(abs(a - b) for a, b in moved) <= 3
        assert 0 < wanted["exit_histogram"][0] < wanted["n_rows"]  # some left early
        trace = pq.read_table(pair / "traces" / f"{name}.parquet")
        words = pq.read_table(alone / "traces" / f"{name}.parquet")
        for column in ("text", "position", "word", "gold"):
            assert trace[column] == words[column]
    assert [e["step"] for e in without_clock(pair)] == [e["step"] for e in without_clock(alone)]


@pytest.mark.multiproc
@pytest.mark.skipif(torch.cuda.is_available(), reason="one process would compute on the GPU")
def test_two_processes_evaluate_and_calibrate_as_one(corpus, trained_run, tmp_path, monkeypatch):
    """The same model: nothing may differ."""
    script = tmp_path / "both.py"
    script.write_text(
        "import sys\n"
        "from tokenexit.cli import app\n"
        "model, data, out = sys.argv[1:]\n"
        "app(['evaluate', model, '--data', data, '--json', out + '/evaluate.json'],\n"
        "    standalone_mode=False)\n"
        "app(['calibrate', model, '--data', data, '--min-quality', '0.95', '--policy', 'margin',\n"
        "     '--loose', '--dry-run', '--json', out + '/calibrate.json'], standalone_mode=False)\n",
        encoding="utf-8",
    )
    args = [str(trained_run), str(corpus)]
    pair, alone = tmp_path / "pair", tmp_path / "alone"
    torchrun(str(script), *args, str(pair))
    monkeypatch.setattr(sys, "argv", ["both.py", *args, str(alone)])
    runpy.run_path(str(script))
    found, wanted = read(pair / "evaluate.json"), read(alone / "evaluate.json")
    assert found == wanted
    assert wanted["n_sentences"] == 47  # 24 and 23
    assert read(pair / "calibrate.json") == read(alone / "calibrate.json")


def test_the_own_decoder_says_what_it_needs_and_runs_on_the_demo(tmp_path, monkeypatch, capsys):
    decoder = runpy.run_path(str(RECIPES / "custom_decoder.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"run python recipes/translation\.py first"):
        decoder["main"]()
    from tokenexit import ExitModelForSeq2SeqLM
    from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer

    torch.manual_seed(0)  # what an untrained model writes may hold an end of line
    tokenizer = train_subword_tokenizer(["the old man sees a house"] * 3, 300)
    shape = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2}
    network = fresh_seq2seq({**shape, "num_layers": 2}, tokenizer)
    ExitModelForSeq2SeqLM.from_transformers(network, tokenizer).save_pretrained(decoder["DEMO"])
    decoder["main"]()
    decoder["main"](decoder["DEMO"], "a house", "an old house")
    lines = capsys.readouterr().out.splitlines()
    assert [lines[place] for place in (0, 4, 8)] == [*decoder["TEXTS"], "a house", "an old house"]
    with pytest.raises(ValueError, match="nowhere"):
        decoder["main"]("./nowhere")
