"""Methods against each other: one protocol, shared trainings, failures told, resumable."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from safetensors.torch import load_file

from tokenexit import ExitModelForSequenceClassification
from tokenexit.calibration import CalibrateConfig
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError
from tokenexit.evaluation import evaluate
from tokenexit.halting.cost import plain_macs
from tokenexit.policies import from_config
from tokenexit.training import TrainConfig
from tokenexit.training import loop as training_loop
from tokenexit.workflows import compare_methods as comparing
from tokenexit.workflows.compare_methods import compare_methods
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.method_runs import plan
from tokenexit.workflows.recipes import labels

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENCODER = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32,
}  # fmt: skip
ROWS = [
    {"sentence": f"the {word} {thing}", "label": label,
     "tokens": ["the", word, thing], "ner_tags": ["O", f"B-{label}", "O"]}
    for word, label in (("red", "warm"), ("blue", "cold"), ("orange", "warm"), ("green", "cold"))
    for thing in ("door", "wall")
]  # fmt: skip
BROKEN = """
from tokenexit.methods.base import METHODS, Method

@METHODS.register("broken")
class Broken(Method):
    '''Asks for weights that do not exist.'''
    paper = "nobody"
    train = {"objective": {"name": "joint", "weights": "no_such_rule"}}
    policies = ({"name": "entropy"},)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split, times in (("train", 3), ("validation", 1), ("test", 2)):
        rows = "\n".join(map(json.dumps, ROWS * times))
        (folder / f"{split}.jsonl").write_text(rows)
    return folder


@pytest.fixture(scope="module")
def config(data):
    def make(folder, *methods, **changes):
        given = {
            "train": TrainConfig(max_steps=24, batch_size=6, lr=1e-2, head_lr=5e-2, epochs=99,
                                 checkpoint_every=7),
            "calibrate": CalibrateConfig(grid=4, verify=1, loose=True),
            "settings": 4, "clock": False,
        }  # fmt: skip
        return CompareMethodsConfig(
            output_dir=str(folder), data=str(data), model=ENCODER, methods=list(methods),
            **{**given, **changes},
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def pair(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair") / "out"
    compare_methods(config(folder, "pabee", "pcee_bert"), "python compare.py data=D")
    return folder


def read(folder):
    """What was measured, whatever command did it."""
    runs = json.loads((folder / "comparison.json").read_text())["runs"]
    return {name: {k: v for k, v in run.items() if k != "command"} for name, run in runs.items()}


def rows_of(path):
    return list(csv.DictReader(path.open(encoding="utf-8", newline="")))


def test_every_method_is_trained_run_and_compared(pair):
    found = read(pair)
    assert list(found) == ["single-seed0", "first_layers-seed0", "pabee-seed0", "pcee_bert-seed0"]
    for name, one in found.items():
        settings = [p for p in one["points"] if p["kind"] == "engine"]
        assert (pair / name / "exit_config.json").is_file()
        assert not (pair / name / "checkpoints").exists()
        assert (name == "single-seed0") == (not settings)
    rows = rows_of(pair / "comparison.csv")
    assert {row["name"] for row in rows} == {*found}
    ranks = [(row["chosen_2x"] or "-1", row["area"]) for row in rows]
    assert ranks == sorted(ranks, key=lambda rank: (-float(rank[0]), -float(rank[1])))
    assert all(row["elue"] for row in rows)
    curves = rows_of(pair / "curves.csv")
    assert len(curves) == sum(len(one["points"]) for one in found.values())
    table = (pair / "README.md").read_text(encoding="utf-8")
    assert "python compare.py data=D" in table
    assert "| `pcee_bert` | Zhang et al. 2022 |" in table
    assert "`pcee_bert-seed0`: the training of `pabee-seed0`" in table
    ElementTree.parse(pair / "comparison.svg")


def test_every_point_can_be_measured_again(pair, data):
    model = ExitModelForSequenceClassification.from_pretrained(pair / "pcee_bert-seed0")
    split = read_texts(str(data))["test"]
    points = [p for p in read(pair)["pcee_bert-seed0"]["points"] if p["kind"] == "engine"]
    for point in points:
        result, _ = evaluate(model, split, "test", from_config(point["policy"]))
        assert result.quality == point["quality"]
        assert result.mac_ratio == pytest.approx(point["mac_ratio"])


def test_settings_are_run_on_the_validation_split_as_well(pair, data):
    model = ExitModelForSequenceClassification.from_pretrained(pair / "pabee-seed0")
    split = read_texts(str(data))["validation"]
    for point in read(pair)["pabee-seed0"]["points"]:
        assert ("validation_quality" in point) == (point["kind"] != "static")
        if point["kind"] != "static":
            result, _ = evaluate(model, split, "validation", from_config(point["policy"]))
            assert result.quality == point["validation_quality"]
            assert result.mac_ratio == pytest.approx(point["validation_mac_ratio"], rel=0.01)


def test_asking_costs_every_head_once(pair, data):
    model = ExitModelForSequenceClassification.from_pretrained(pair / "pabee-seed0")
    texts = read_texts(str(data))["test"].tokens
    lengths = [len(window.sentence.input_ids) for window in model.encoder.encode(texts)]
    asked = sum(model.heads.at(layer).macs + len(model.labels) for layer in (1, 2, 3))
    expected = len(texts) * asked / plain_macs(model.backbone, lengths, batches=len(texts))
    found = read(pair)
    assert found["pabee-seed0"]["overhead"] == pytest.approx(expected)
    assert found["first_layers-seed0"]["overhead"] == 0
    assert found["pabee-seed0"]["guess"] == 0.5  # half of the test texts are warm


def test_methods_that_learn_the_same_share_a_training(pair, config, tmp_path):
    found = read(pair)
    assert [one["trained_by"] for one in found.values()] == [
        "single-seed0", "first_layers-seed0", "pabee-seed0", "pabee-seed0",
    ]  # fmt: skip
    mine, its = (
        load_file(pair / f"{n}-seed0" / "model.safetensors") for n in ("pcee_bert", "pabee")
    )
    assert all((mine[key] == its[key]).all() for key in its)
    compare_methods(config(tmp_path / "alone", "pcee_bert"))
    alone = read(tmp_path / "alone")["pcee_bert-seed0"]
    assert alone.pop("trained_by") == "pcee_bert-seed0"
    assert alone == {k: v for k, v in found["pcee_bert-seed0"].items() if k != "trained_by"}


def test_runs_side_by_side_give_the_same(pair, config, tmp_path):
    compare_methods(config(tmp_path / "both", "pabee", "pcee_bert", jobs=2))
    assert {**read(tmp_path / "both")} == read(pair)


def test_killed_at_any_time_and_started_again_gives_the_same(pair, config, tmp_path, monkeypatch):
    mine = config(tmp_path / "out", "pabee", "pcee_bert")

    def killed_after(module, name, calls):
        original, left = getattr(module, name), [calls]

        def call(*args, **options):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return original(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, call)
            with pytest.raises(KeyboardInterrupt):
                compare_methods(mine)

    killed_after(training_loop, "one_step", 17)  # in the first training
    killed_after(labels, "evaluate", 1)  # in a sweep
    killed_after(comparing, "run_task", 1)  # between trainings
    killed_after(labels, "evaluate", 2)
    compare_methods(mine)
    assert read(tmp_path / "out") == read(pair)
    # Paths differ, and the command was not given.
    for name in ("comparison.csv", "curves.csv", "comparison.svg"):
        assert (tmp_path / "out" / name).read_bytes() == (pair / name).read_bytes()


def test_what_fails_is_told_and_tried_again_only_when_asked(config, tmp_path, monkeypatch):
    plugin = tmp_path / "broken.py"
    plugin.write_text(BROKEN)
    mine = config(tmp_path / "out", "broken", "sentee", "pabee", plugins=[str(plugin)])
    train = comparing.run_task

    def crashing(given):
        if given.method == "pabee":
            raise RuntimeError("out of\nmemory")
        return train(given)

    monkeypatch.setattr(comparing, "run_task", crashing)
    table = compare_methods(mine).read_text(encoding="utf-8")
    found = read(tmp_path / "out")
    assert "no_such_rule" in found["broken-seed0"]["error"]
    assert "it has one for words" in found["sentee-seed0"]["error"]
    assert found["pabee-seed0"]["error"].startswith("RuntimeError: out of memory (")
    assert "points" in found["first_layers-seed0"]
    for name in ("broken", "sentee", "pabee"):
        assert f"- `{name}-seed0`: " in table
    rows = rows_of(tmp_path / "out" / "comparison.csv")
    assert [row["method"] for row in rows if row["error"]] == ["broken", "sentee", "pabee"]

    monkeypatch.setattr(comparing, "run_task", train)
    compare_methods(mine)
    assert "error" in read(tmp_path / "out")["pabee-seed0"]
    again = config(tmp_path / "out", "broken", "sentee", "pabee", plugins=[str(plugin)], retry=True)
    compare_methods(again)
    found = read(tmp_path / "out")
    assert "points" in found["pabee-seed0"]
    assert "no_such_rule" in found["broken-seed0"]["error"]


def test_cascades_and_parts_of_the_encoder_are_measured_against_the_whole(config, tmp_path):
    compare_methods(config(tmp_path / "out", "tangobert", "layer_dropped", clock=True,
                           clock_texts=2, repeats=1))  # fmt: skip
    found = read(tmp_path / "out")
    whole, two, half = (found[f"{n}-seed0"] for n in ("single", "tangobert", "layer_dropped"))
    assert not any((tmp_path / "out" / "tangobert-seed0").rglob("checkpoints"))
    assert (whole["num_layers"], two["num_layers"], half["num_layers"]) == (4, 4, 2)
    assert two["plain_macs"] == whole["plain_macs"] > 1.9 * half["plain_macs"]
    assert (whole["uniform_depth"], two["uniform_depth"]) == (True, False)
    assert two["clock"][0]["policy"] == two["calibrated"]["policy"]
    assert 0.3 < two["overhead"] < 0.6  # the first model has two layers of four
    rows = {row["method"]: row for row in rows_of(tmp_path / "out" / "comparison.csv")}
    assert rows["single"]["clock_median"]
    assert not rows["layer_dropped"]["clock_median"]
    assert float(rows["layer_dropped"]["calibrated_mac_ratio"]) < 0.55
    assert float(rows["layer_dropped"]["calibrated_depth_speedup"]) == 2.0
    assert rows["layer_dropped"]["quality_1.5x_macs"] == rows["layer_dropped"]["full_depth"]


def test_words_of_sentences_with_the_clock_added_later(config, tmp_path):
    options = {"level": "token", "task": "ner", "clock_texts": 2, "repeats": 1, "seeds": [3]}
    compare_methods(config(tmp_path / "out", "sentee", **options))
    before = read(tmp_path / "out")["sentee-seed3"]
    assert before["clock"] is None
    compare_methods(config(tmp_path / "out", "sentee", **options, clock=True))
    found = read(tmp_path / "out")["sentee-seed3"]
    timed = found.pop("clock")
    assert {key: value for key, value in before.items() if key != "clock"} == found
    assert timed[0]["setting"] == "calibrated"
    assert timed[0]["policy"] == found["calibrated"]["policy"]
    assert all(one["speedup_p10"] <= one["speedup_median"] <= one["speedup_p90"] for one in timed)
    assert found["guess"] == 0  # entities cannot be guessed
    assert "measured on 48 test words" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_the_plan_is_one_protocol(config, tmp_path):
    mine = config(tmp_path, "berxit", "pabee", seeds=[0, 1])
    runs = plan(mine)
    assert [run.name for run in runs] == [
        f"{method}-seed{seed}"
        for seed in (0, 1)
        for method in ("single", "first_layers", "berxit", "pabee")
    ]
    assert {run.config.train.max_steps for run in runs} == {24}
    assert {run.config.train.lr for run in runs} == {1e-2}
    assert {json.dumps(run.config.model) for run in runs} == {json.dumps(ENCODER)}
    assert runs[2].config.heads == {"name": "pooled", "start": "backbone", "gate": True}
    assert len({run.training for run in runs}) == 8  # another seed is another training


def test_a_method_cannot_change_the_budget(config, tmp_path):
    plugin = tmp_path / "greedy.py"
    plugin.write_text(
        BROKEN.replace("broken", "greedy")
        .replace("Broken", "Greedy")
        .replace("train = {", 'train = {"max_steps": 500, "batch_size": 2, "lr": 0.5, ')
    )
    run = plan(config(tmp_path, "greedy", plugins=[str(plugin)]))[-1]
    assert (run.config.train.max_steps, run.config.train.batch_size) == (24, 6)
    assert run.config.train.lr == 0.5  # a rate may be part of a method


def test_what_heads_read_may_be_the_protocols(config, tmp_path):
    runs = plan(config(tmp_path, "foresight", "leco", "berxit", pool="first"))
    assert {run.config.heads["pool"] for run in runs if run.config} == {"first"}
    own = {"name": "pooled", "start": "backbone", "gate": True}
    assert runs[-1].config.heads == {**own, "pool": "first"}
    own = plan(config(tmp_path, "foresight", "berxit"))
    assert [run.config.heads.get("pool") for run in own[2:]] == ["mean", None]


def test_an_unknown_method_is_refused_at_once(config, tmp_path):
    with pytest.raises(UserError, match="Did you mean 'pabee'"):
        compare_methods(config(tmp_path / "out", "pabe"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["data", "model"])
def test_a_mistake_in_data_or_model_shows_once(key, config, tmp_path):
    wrong = replace(config(tmp_path / "out", "pabee"), **{key: str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match="nowhere"):
        compare_methods(wrong)
    assert not (tmp_path / "out").exists()


def test_a_comparison_keeps_its_settings(pair, config):
    with pytest.raises(UserError, match="other settings: batch_size was 32 and is 7"):
        compare_methods(config(pair, "pabee", batch_size=7))
    path = pair / "comparison.json"
    content = json.loads(path.read_text())
    del content["settings"]["repeats"], content["settings"]["calibrate"]["speedup"]
    del content["settings"]["recipe"]
    content["settings"]["task"] = "ner"
    path.write_text(json.dumps(content))  # as of a version without these keys
    before = read(pair)
    compare_methods(config(pair, "pabee"))
    assert read(pair) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": TrainConfig(objective={"name": "joint"})}, "train.objective is what methods"),
        ({"train": TrainConfig(gradient_equilibrium=True)}, "train.gradient_equilibrium is what"),
        ({"calibrate": CalibrateConfig(policies=[{"name": "entropy"}])}, "calibrate.policies is"),
        ({"jobs": 2}, "disturb the clock"),
        ({"settings": 0}, "settings must be 1 or more"),
        ({"seeds": [1, 1]}, "seeds must be one or more different"),
        ({"seeds": []}, "seeds must be one or more different"),
    ],
)
def test_mistakes_in_the_settings(changes, message):
    with pytest.raises(UserError, match=message):
        CompareMethodsConfig(output_dir="x", **changes)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("all", None), (["all"], None), ("pabee, deebert", ["pabee", "deebert"]), (["cat"], ["cat"])],
)
def test_names_of_methods(given, wanted):
    assert CompareMethodsConfig(output_dir="x", methods=given).wanted == wanted


def test_the_recipe_explains_its_keys(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare_methods.py", "--help"])
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "recipes" / "compare_methods.py"), run_name="__main__")
    assert not stop.value.code
    shown = capsys.readouterr().out
    for key in ("methods", "seeds", "level", "train.max_steps", "clock", "retry"):
        assert f"\n  {key} " in shown
