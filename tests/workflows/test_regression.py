"""A run of a regression on texts, and everything that is done with what it leaves."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tokenexit import ExitModelForSequenceClassification, policies
from tokenexit.data.texts import ScoredSplit, TextSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.methods import METHODS
from tokenexit.models.scale import Scale
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.policies.base import check_unit
from tokenexit.reporting import write_report
from tokenexit.signals import Signals
from tokenexit.tasks.answers import ScoredText
from tokenexit.tasks.scoring.correlation import correlation
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.run import run_task

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "model": {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 32,
    },
    "train": {"max_steps": 90, "batch_size": 16, "epochs": 30, "lr": 5e-3, "head_lr": 5e-3},
    "calibrate": {"grid": 8, "verify": 1, "loose": True},
}  # fmt: skip
WORTH = {"awful": -2, "poor": -1, "plain": 0, "good": 1, "great": 2}
SERVING = sorted(name for name, cls in METHODS.items() if cls.regression is not None)


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """The worth of two things, far from a mean of 0 and a deviation of 1."""
    draw = random.Random(seed)
    pairs = [(draw.choice(list(WORTH)), draw.choice(list(WORTH))) for _ in range(count)]
    return [
        {"sentence": f"the {a} food", "sentence2": f"in a {b} room", "label": -100.0 + 10 * value}
        for a, b in pairs
        for value in [WORTH[a] + 0.5 * WORTH[b]]
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    for seed, (name, count) in enumerate((("train", 96), ("validation", 25), ("test", 25))):
        lines = "\n".join(map(json.dumps, rows(count, seed)))
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def configured(data: Path | str, run: Path, *argv: str) -> ClassificationConfig:
    given = ["regression=true", f"data={data}", f"output_dir={run}", *argv]
    return load_with_method(ClassificationConfig, given, SMALL)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: Any) -> Path:
    run = tmp_path_factory.mktemp("runs") / "numbers"
    # From a fresh network's pooler, which means nothing, the top would need more steps.
    return run_task(configured(data, run, "method=berxit", "heads.start=identity"))


@pytest.fixture(scope="module")
def model(finished: Path) -> ExitModelForSequenceClassification:
    return ExitModelForSequenceClassification.from_pretrained(finished)


def test_it_learns_and_the_run_folder_is_whole(finished, data):
    metrics = json.loads((finished / "metrics.json").read_text())
    test = metrics["splits"]["test"]
    assert metrics["task"] == test["task"] == "regression"
    assert test["metric"] == "correlation"
    assert test["quality_full_depth"] > 0.9
    assert test["policy"]["name"] in ("learned_gate", "never")
    trace = pq.read_table(finished / "traces" / "test.parquet")
    told, gold = (trace[name].to_numpy() for name in ("prediction", "gold"))
    np.testing.assert_allclose(gold, [row["label"] for row in rows(25, 2)], atol=1e-3)
    for name, value in correlation(told, gold).items():
        assert test["figures"][name] == pytest.approx(value, rel=1e-4, abs=1e-6)
    # Better by far than the mean of all.
    assert test["figures"]["mse"] < 0.3 * gold.var()


def test_the_report_tells_numbers_and_no_labels(finished):
    page = write_report(finished).read_text()
    assert "Where texts leave" in page
    assert "predicted -" in page
    assert "predicts numbers and no confidence" in page
    assert "By label or type" not in page
    assert "nan" not in page.lower().replace("nanum", "")
    card = (finished / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "result.value" in card
    assert "+ 1" in card.split("`value = ")[1]


def test_its_report_says_how_to_use_it(finished, try_lines):
    assert set(try_lines(finished)) == {"value", "exit_layer", "text"}
    assert 'id="threshold"' in (finished / "report.html").read_text()


def test_the_console_script_serves_it(finished, data, capsys):
    opened = open_model(str(finished))
    split = opened.split(str(data), "test")
    result = opened.evaluate(split, "test", policies.Never(), batch_size=4, on_unknown="error")
    assert result.relative_quality == 1
    assert opened.bench(split, 4, None, batch_size=2, repeats=1).n_sentences == 4
    told = next(opened.predict(["the great food"], None, 8))
    assert set(told) == {"value", "exit_layer", "text"}


@pytest.mark.parametrize(("goal", "value"), [("min_quality", 0.9), ("speedup", 1.2)])
def test_calibration_keeps_its_promise(finished, data, goal, value):
    from tokenexit.calibration import CalibrateConfig

    opened = open_model(str(finished))
    split = opened.split(str(data), "validation")
    config = CalibrateConfig(**{goal: value, "grid": 8, "verify": 1, "loose": True})
    found = opened.calibrate(split, "validation", config, None, 8)
    assert found.policy["name"] in ("value_patience", "never")
    kept = {"min_quality": "relative_quality", "speedup": "depth_speedup"}[goal]
    assert found.chosen[kept] >= value
    assert any(candidate.quality_simulated for candidate in found.candidates)
    for refused in ({"risk": 0.1}, {"confidence": 0.9, "loose": True}):
        with pytest.raises(UserError, match="near or far"):
            opened.calibrate(split, "validation", CalibrateConfig(**refused), None, 8)


def test_full_depth_is_the_plain_model_in_units_of_the_data(finished, model):
    texts = [("the great food", "in a poor room"), ("the awful food", "in a good room")]
    found = model.predict(texts, policy="never")
    assert all(isinstance(one, ScoredText) and one.exit_layer == 3 for one in found)
    plain = AutoModelForSequenceClassification.from_pretrained(finished)
    assert plain.config.problem_type == "regression"
    inputs = AutoTokenizer.from_pretrained(finished)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        told = plain(**inputs).logits[:, 0]
    scale = json.loads((finished / "exit_config.json").read_text())["scale"]
    expected = scale["mean"] + scale["std"] * told
    assert [one.value for one in found] == pytest.approx(expected.tolist(), rel=1e-4)


def test_texts_of_unknown_value_count_for_nothing(model):
    one = ScoredSplit([["the great food", "in a poor room"]] * 2, [["-90.0"], [""]], "here")
    result, trace = evaluate(model, one, "test", policies.Never())
    assert math.isnan(trace.gold[1])
    assert trace.gold[0] == pytest.approx(-90.0, abs=1e-4)
    assert result.figures["mse"] == pytest.approx((trace.prediction[0] + 90) ** 2, rel=1e-3)


def test_the_gate_learns_how_far_off_an_exit_is():
    """BERxiT's target: the absolute error, through tanh; of unknown values nothing."""
    from tokenexit.gates import build_gate
    from tokenexit.objectives.joint import JointLoss
    from tokenexit.training.gate_loss import WithGate

    gate = build_gate(True, 4, 1, (1,))
    assert gate is not None
    lesson = JointLoss({1: 1.0, 2: 1.0})
    visitor = WithGate(lesson, gate, 3)
    rows, hidden = torch.arange(3), torch.randn(3, 4, requires_grad=True)
    target = torch.tensor([0.5, -100.0, -2.0])
    signals = Signals(
        1, 2, hidden, rows, rows, rows, 3, 1, head=lambda h: h[:, :1], target=target, gate_head=gate
    )
    visitor.arrive(signals, rows)
    told = hidden[:, 0].detach()
    off = torch.tensor([(told[0] - 0.5).abs(), (told[2] + 2.0).abs()]).tanh()
    guess = gate.forward(signals)[[0, 2]]
    loss: Any = visitor.loss()
    torch.testing.assert_close(loss, (guess - off).square().sum())
    loss.backward()
    assert hidden.grad is None  # the gate leaves the network alone
    squares = (told[0] - 0.5) ** 2 + (told[2] + 2.0) ** 2
    torch.testing.assert_close(lesson.loss(), squares, check_stride=False)
    assert int(lesson.by_layer[1][1]) == 2


@pytest.mark.parametrize("name", SERVING)
def test_a_method_with_a_form_for_regression(name, data, tmp_path):
    short = ("train.max_steps=4", "train.epochs=1", f"method={name}")
    run = run_task(configured(data, tmp_path / "run", *short))
    found = json.loads((run / "metrics.json").read_text())["splits"]["test"]["policy"]["name"]
    families = METHODS.get(name).regression or ()
    assert found in {family["name"] for family in families} | {"never"}
    for family in families:
        check_unit(policies.from_config(family), "number")


def test_methods_without_one_are_refused(data, tmp_path):
    assert SERVING == ["berxit", "elasticbert", "first_layers", "pabee", "single"]
    with pytest.raises(UserError, match=r"fastbert has no form for regression.*berxit.*pabee"):
        configured(data, tmp_path, "method=fastbert")


def test_without_a_method_exits_are_trained_together(data, tmp_path):
    assert configured(data, tmp_path).train.objective == {"name": "joint"}
    own = configured(data, tmp_path, "train.objective.name=alternating")
    assert own.train.objective == {"name": "alternating"}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train.objective.name=halt_and_copy"], r"halt_and_copy compares.*one of alternating"),
        (["train.label_smoothing=0.1"], "label_smoothing spreads"),
        (["calibrate.risk=0.1"], "near or far"),
        (["policy.name=entropy"], r"for numbers.*assigned_depth.*learned_gate.*value_patience"),
        (["heads.name=prototype"], "fitted to classes"),
        (["heads.gate.name=meta"], "learns from classes"),
        (["stages=[{}, {}]"], "leave stages out"),
        (["data=null"], "needs data="),
    ],
)
def test_what_a_regression_cannot_do(data, tmp_path, argv, message):
    with pytest.raises(UserError, match=message):
        run_task(configured(data, tmp_path / "run", *argv))


def test_numbers_and_classes_do_not_mix(model, data, tmp_path):
    classes = TextSplit([["a", "b"]], [["good"]], "here")
    with pytest.raises(UserError, match=r"here holds classes.*the model predicts numbers"):
        evaluate(model, classes, "test")
    row = {"sentence": "a", "sentence2": "b", "label": "good"}
    (tmp_path / "test.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(UserError, match="'good' is no number"):
        open_model(str(model.network.name_or_path)).split(str(tmp_path), "test")
    classifier = ExitModelForSequenceClassification.from_transformers(
        AutoModelForSequenceClassification.from_config(model.network.config),
        model.tokenizer,
        ["good", "bad"],
    )
    numbers = ScoredSplit([["a", "b"]], [["1.5"]], "here")
    with pytest.raises(UserError, match=r"here holds numbers.*the model names classes"):
        evaluate(classifier, numbers, "test")
    for other, texts in ((classifier, [["a"]]), (tagger_like(model), [["a"]])):
        with pytest.raises(UserError, match=r"ValuePatience.*works for numbers"):
            other.trace(texts, policy="value_patience")


def tagger_like(model: Any) -> ExitModelForTokenClassification:
    return ExitModelForTokenClassification.from_transformers(
        model.network, model.tokenizer, ["O", "B-X", "I-X"]
    )


def test_value_patience_counts_what_moved_little():
    def told(layer: int, *values: float) -> Signals:
        rows = torch.arange(len(values))
        logits = torch.tensor(values)[:, None]
        return Signals(layer, 5, logits, rows, rows, rows, len(values), 1, head=lambda h: h)

    exits = [(0.0, 0.0, math.nan), (0.05, 0.5, 0.0), (0.1, 0.55, 0.0), (0.15, 0.6, 0.0)]
    for times, expected in ((1, [[0], [0, 1, 2], [0, 1, 2]]), (2, [[], [0], [0, 1, 2]])):
        policy = policies.ValuePatience(0.1, times)
        state = policy.init(3)
        _, state = policy.step(told(1, *exits[0]), state)
        for layer, (values, leaving) in enumerate(zip(exits[1:], expected, strict=True), start=2):
            halt, state = policy.step(told(layer, *values), state)
            assert halt.nonzero()[:, 0].tolist() == leaving


def test_scales():
    split = ScoredSplit([["a"], ["b"], ["c"]], [["1.0"], ["5.0"], [""]], "here")
    scale = Scale.of(split)
    assert scale == Scale(3.0, 2.0)
    assert scale.deviation(math.nan) == -100.0
    assert scale.value(scale.deviation(4.0)) == 4.0
    with pytest.raises(UserError, match="standard deviations from the mean"):
        scale.deviation(-197.0)
    with pytest.raises(UserError, match="two or more different values"):
        Scale.of(split.take([0]))
    with pytest.raises(UserError, match="std above 0"):
        Scale(0.0, 0.0)


def test_correlation_agrees_with_scipy():
    from scipy.stats import pearsonr, spearmanr

    draw = np.random.default_rng(0)
    gold = draw.integers(0, 5, 40).astype(float)
    told = gold + draw.normal(size=40)
    found = correlation(told, gold)
    assert found["pearson"] == pytest.approx(pearsonr(told, gold)[0])
    assert found["spearman"] == pytest.approx(spearmanr(told, gold)[0])
    assert found["correlation"] == pytest.approx((found["pearson"] + found["spearman"]) / 2)
    assert found["mse"] == pytest.approx(np.square(told - gold).mean())
    assert correlation(-told, gold)["correlation"] == 0
    assert correlation(-told, gold)["pearson"] == pytest.approx(-found["pearson"])
    assert correlation(np.ones(3), np.arange(3.0))["correlation"] == 0
    assert correlation(np.zeros(0), np.zeros(0))["mse"] == 0
