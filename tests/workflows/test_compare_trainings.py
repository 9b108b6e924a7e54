"""Trainings against each other, of taggers and of generators: one protocol, one table."""

from __future__ import annotations

import csv
import itertools
import json
import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tokenexit import ExitModelForSeq2SeqLM
from tokenexit.calibration import CalibrateConfig
from tokenexit.data.pairs import read_pairs
from tokenexit.errors import UserError
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.policies import from_config
from tokenexit.training import TrainConfig
from tokenexit.workflows import compare_methods as comparing
from tokenexit.workflows.compare_methods import compare_methods
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.method_runs import plan
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig
from tokenexit.workflows.trainings import read_trainings

RECIPES = Path(__file__).parents[2] / "recipes"
ENCODER = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32,
}  # fmt: skip
GENERATOR = {
    "model_type": "t5", "d_model": 16, "d_kv": 4, "d_ff": 32, "num_heads": 4, "num_layers": 3,
    "num_decoder_layers": 3, "vocab_size": 300,
}  # fmt: skip
WORDS = {"red": "rot", "blue": "blau", "old": "alt", "new": "neu"}
CLASSES = {"red": "ADJ", "blue": "ADJ", "door": "NOUN", "wall": "NOUN"}


def write(folder, rows):
    folder.mkdir()
    for split, times in (("train", 3), ("validation", 1), ("test", 1)):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows * times)))
    return str(folder)


@pytest.fixture(scope="module")
def tags(tmp_path_factory):
    rows = [
        {"tokens": ["the", word, thing], "pos_tags": ["DET", CLASSES[word], CLASSES[thing]],
         "ner_tags": ["O", "B-A", "I-A" if thing == "wall" else "O"]}
        for word in ("red", "blue") for thing in ("door", "wall")
    ] * 3  # fmt: skip
    return write(tmp_path_factory.mktemp("tags") / "data", rows)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    rows = [
        {"source": " ".join(words), "target": " ".join(WORDS[word] for word in words)}
        for words in itertools.product(WORDS, repeat=2)
    ]
    return write(tmp_path_factory.mktemp("pairs") / "data", rows)


def config(folder, data, task, *trainings, **changes):
    steps = TrainConfig(max_steps=12, batch_size=8, lr=1e-2, head_lr=1e-2, epochs=99)
    given = {
        "calibrate": CalibrateConfig(loose=True, grid=3, verify=1, policies=[{"name": "entropy"}]),
        "settings": 2, "clock": False, "train": steps, "model": ENCODER,
    }  # fmt: skip
    return CompareMethodsConfig(
        output_dir=str(folder), data=data, task=task, trainings=list(trainings),
        **{**given, **changes},
    )  # fmt: skip


def runs_of(folder):
    return json.loads((folder / "comparison.json").read_text())["runs"]


@pytest.mark.slow
def test_trainings_of_entities_are_compared_and_share_what_they_can(tags, tmp_path):
    own = {"name": "wide", "heads": {"name": "mlp", "inner": 8}, "train": {"head_lr": 2e-2}}
    trainings = ["linear+joint(weights=uniform)", "mlp+joint", "past_future+imitation", own]
    compare_methods(config(tmp_path / "out", tags, "ner", *trainings))
    found = runs_of(tmp_path / "out")
    shared = "linear+joint-weights=uniform"
    names = ["single", "first_layers", shared, *trainings[1:3], "wide"]
    assert list(found) == [f"{name}-seed0" for name in names]
    assert not [one["error"] for one in found.values() if "error" in one]
    assert found[f"{shared}-seed0"]["trained_by"] == "first_layers-seed0"
    assert found["wide-seed0"]["trained_by"] == "wide-seed0"
    assert {one["paper"] for one in found.values()} > {"own", "static baseline"}
    assert {
        point["family"]
        for name in names[2:]
        for point in found[f"{name}-seed0"]["points"]
        if point["kind"] == "engine"
    } == {"entropy"}
    rows = list(csv.DictReader((tmp_path / "out" / "comparison.csv").open(encoding="utf-8")))
    assert {row["method"] for row in rows} == {*names[:2], *trainings[:3], "wide"}
    chosen = [json.loads(row["calibrated_policy"])["name"] for row in rows]
    assert set(chosen) <= {"entropy", "never", "assigned_depth"}
    assert "entropy" in chosen
    whole = float(next(row["full_depth"] for row in rows if row["method"] == "single"))
    for row in rows if whole else ():
        kept = float(row["calibrated_quality"]) / whole
        assert float(row["calibrated_of_single"]) == pytest.approx(kept)
    assert "| `past_future+imitation` | own |" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_word_classes_over_two_seeds_with_one_added_later(tags, tmp_path):
    options = {"seeds": [0, 1]}
    compare_methods(config(tmp_path / "out", tags, "pos", "joint", **options))
    before = runs_of(tmp_path / "out")
    assert set(before) == {
        f"{m}-seed{s}" for m in ("single", "first_layers", "joint") for s in (0, 1)
    }
    compare_methods(config(tmp_path / "out", tags, "pos", "joint+gradient_equilibrium", **options))
    found = runs_of(tmp_path / "out")
    assert {name: found[name] for name in before} == before
    assert {name for name in found if name not in before} == {
        "joint+gradient_equilibrium-seed0", "joint+gradient_equilibrium-seed1",
    }  # fmt: skip
    assert 0 < found["joint-seed0"]["guess"] < 1


@pytest.mark.slow
def test_a_context_gate_goes_on_with_the_training_it_is_fitted_to(tags, tmp_path):
    gate = "context_gate(inner=0,features=[entropy],reach=0,history=1,epochs=1)"
    few = CalibrateConfig(loose=True, grid=3, verify=1)
    trainings = ["joint", f"joint+{gate}"]
    compare_methods(config(tmp_path / "out", tags, "pos", *trainings, calibrate=few))
    plain, gated = list(runs_of(tmp_path / "out").values())[2:]
    assert "error" not in gated, gated
    assert gated["trained_by"] == "joint-seed0"
    calibrations = [
        json.loads(path.read_text())["candidates"]
        for path in sorted((tmp_path / "out").glob("joint*/calibration.json"))
    ]
    asked = [{one["policy"]["name"] for one in candidates} for candidates in calibrations]
    assert ["context_gate" in names for names in sorted(asked, key=len)] == [False, True]
    assert plain["calibrated"]["quality_full_depth"] == gated["calibrated"]["quality_full_depth"]


@pytest.mark.slow
def test_generators_are_compared_and_what_fails_is_told(pairs, tmp_path):
    given = {
        "model": GENERATOR, "clock": True, "clock_texts": 2, "repeats": 1,
        "recipe": {"generation": {"max_new_tokens": 6}, "max_target": 8, "metric": "chrf"},
        "calibrate": CalibrateConfig(loose=True, grid=3, verify=1, policies=[{"name": "margin"}]),
    }  # fmt: skip
    trainings = ["joint", "halt_and_copy(policy=margin)", "frozen_distillation"]
    compare_methods(config(tmp_path / "out", pairs, "translation", *trainings, **given))
    found = runs_of(tmp_path / "out")
    names = ["single", "first_layers", "joint", "halt_and_copy-policy=margin"]
    assert list(found) == [f"{name}-seed0" for name in [*names, "frozen_distillation"]]
    assert "error" in found["frozen_distillation-seed0"]
    for name in names:
        one = found[f"{name}-seed0"]
        assert "error" not in one, one
        assert one["clock"][0]["setting"] == "calibrated"
        assert (one["num_layers"], one["calibrated"]["metric"], one["guess"]) == (3, "chrf", 0)
    assert len({found[f"{name}-seed0"]["plain_macs"] for name in names}) == 1
    assert found["joint-seed0"]["overhead"] > 0
    table = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "test generated tokens" in table
    assert "- `frozen_distillation-seed0`: " in table
    model = ExitModelForSeq2SeqLM.from_pretrained(tmp_path / "out" / "joint-seed0")
    point = [p for p in found["joint-seed0"]["points"] if p["kind"] == "engine"][-1]
    again, _ = evaluate_texts(
        model, read_pairs(pairs)["test"], "test", from_config(point["policy"])
    )
    assert (again.quality, again.mean_exit_layer) == (point["quality"], point["mean_exit_layer"])


@pytest.mark.parametrize(
    ("sum_", "settings"),
    [
        ("joint", {"train": {"objective": {"name": "joint"}}}),
        ("mlp (inner = 8)", {"heads": {"name": "mlp", "inner": 8}}),
        (
            "searched + searched",
            {"heads": {"name": "searched"}, "train": {"objective": {"name": "searched"}}},
        ),
        (
            "joint(weights=0.5)+gradient_equilibrium",
            {"train": {"objective": {"name": "joint", "weights": 0.5},
                       "gradient_equilibrium": True}},
        ),
        (
            "halt_and_copy(policy={name: margin, threshold: 0.5},draws=2)",
            {"train": {"objective": {"name": "halt_and_copy", "draws": 2,
                                     "policy": {"name": "margin", "threshold": 0.5}}}},
        ),
    ],
)  # fmt: skip
def test_a_training_is_a_sum(sum_, settings):
    (one,) = read_trainings([sum_], TaggingConfig)
    assert one.name == "".join(sum_.split())
    assert one.settings == settings


def test_a_generators_gate_is_a_part_of_the_sum():
    (one,) = read_trainings(["joint+gate"], Seq2SeqConfig)
    assert one.settings == {"train": {"objective": {"name": "joint"}}, "gate": True}
    (one,) = read_trainings(["encoder_policy(name=entropy)"], Seq2SeqConfig)
    assert one.settings == {"encoder_policy": {"name": "entropy"}}


@dataclass(frozen=True)
class Extra:
    fit: bool = False
    size: int = 3


@dataclass(frozen=True)
class WithExtra(TaggingConfig):
    extra: Extra = field(default_factory=Extra)


def test_a_group_with_a_switch_is_switched_on_by_its_name():
    plain, sized = read_trainings(["joint+extra", "extra(size=5)"], WithExtra)
    assert plain.settings == {"train": {"objective": {"name": "joint"}}, "extra": {"fit": True}}
    assert sized.settings == {"extra": {"fit": True, "size": 5}}


@pytest.mark.parametrize(
    ("trainings", "message"),
    [
        (["jiont"], "Did you mean 'joint'"),
        (["joint+mlp("], "cannot be read at 'mlp\\('"),
        (["joint+single"], "two kinds of heads or two objectives"),
        (["joint+resume"], "part of a training"),
        (["joint+gradient_equilibrium(share=1)"], "cannot be used: .*true or false"),
        (["joint", "joint"], "lists 'joint' twice"),
        ([{"heads": {"name": "mlp"}}], "has a name and settings"),
        ([{"name": "mine"}], "has a name and settings"),
        ([{"name": "mine", "headz": 1}], "'mine' cannot be used: .*heads"),
        (["joint(weights=1)", "joint[weights=1]"], "cannot be read"),
        ([{"name": "a b", "train": {"lr": 0.1}}, {"name": "a-b", "train": {"lr": 1.0}}], "folder"),
    ],
)
def test_mistakes_in_trainings_show_at_once(trainings, message, tmp_path, tags):
    with pytest.raises(UserError, match=message):
        compare_methods(config(tmp_path / "out", tags, "ner", *trainings))
    assert not (tmp_path / "out").exists()


def test_heads_have_no_meaning_for_a_generator(tmp_path):
    with pytest.raises(UserError, match=r"'mlp\+joint' cannot be used: .*heads"):
        plan(config(tmp_path, "x", "translation", "mlp+joint"))


def test_the_task_says_what_leaves_and_its_recipe_gets_its_keys(tmp_path):
    made = config(tmp_path, "x", "translation", "joint", recipe={"lang": "en-de"}, model=None)
    assert (made.level, made.model, made.wanted) == ("step", "google-t5/t5-small", [])
    assert {run.config.lang for run in plan(made)} == {"en-de"}
    assert CompareMethodsConfig(output_dir="x", level="token").task == "ner"
    assert CompareMethodsConfig(output_dir="x").task == "classification"
    assert CompareMethodsConfig(output_dir="x").wanted is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": "token"}, "There is no translation at the level 'token'"),
        ({"recipe": {"seeds": [1]}}, "recipe.seeds is a key of the comparison"),
        ({"pair_column": "b"}, "pair_column has no meaning for translation"),
        ({"recipe": {"metric": "ter"}}, "ter counts errors"),
        ({"recipe": {"langs": "en-de"}}, "langs"),
    ],
)
def test_keys_that_do_not_fit(changes, message, tmp_path, pairs):
    with pytest.raises(UserError, match=message):
        compare_methods(config(tmp_path / "out", pairs, "translation", "joint", **changes))


def test_a_budget_is_the_comparisons(tmp_path):
    greedy = {"name": "greedy", "train": {"max_steps": 500, "batch_size": 2, "lr": 0.5}}
    run = plan(config(tmp_path, "x", "ner", greedy, train_on=40))[-1]
    assert run.config.train_on == 40
    assert (run.config.train.max_steps, run.config.train.batch_size) == (12, 8)
    assert run.config.train.lr == 0.5  # a rate may be part of a training


@pytest.mark.parametrize(
    ("task", "level", "network", "column"),
    [
        ("classification", "sentence", "bert", "sentence"),
        ("pos", "token", "bert", "pos_tags"),
        ("data_to_text", "step", "t5", "target"),
    ],
)
def test_without_data_the_recipe_makes_some_that_fits(
    task, level, network, column, tmp_path, monkeypatch
):
    given = []
    monkeypatch.setattr(comparing, "compare_methods", lambda *arguments: given.extend(arguments))
    monkeypatch.syspath_prepend(str(RECIPES))
    monkeypatch.setattr(sys, "argv", ["compare_methods.py", f"task={task}", "trainings=[joint]"])
    runpy.run_path(str(RECIPES / "compare_methods.py"), run_name="__main__")
    made, command, write_demo = given
    assert (made.level, made.model["model_type"]) == (level, network)
    assert command == f"python recipes/compare_methods.py task={task} 'trainings=[joint]'"
    assert plan(made)[-1].config.task == task
    write_demo(tmp_path / "data", task)
    assert column in pq.read_schema(tmp_path / "data" / "train.parquet").names
