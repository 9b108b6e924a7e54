"""What a run takes from its configuration, before training and after."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.errors import UserError
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.max_prob import MaxProb
from tokenexit.policies.never import Never
from tokenexit.reporting import write_report
from tokenexit.training import TrainConfig
from tokenexit.training.gate_config import ContextGateConfig
from tokenexit.training.phases import phases_of
from tokenexit.workflows import run as runner
from tokenexit.workflows.choosing import curve_values
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.recipes import labels, recipe_of
from tokenexit.workflows.recipes.labels import training_sentences
from tokenexit.workflows.run import run_task

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path, corpus, small_bert) -> TaggingConfig:
    return TaggingConfig(output_dir=str(tmp_path / "run"), data=str(corpus), model=small_bert)


@pytest.fixture
def untrained(monkeypatch):
    """Fail as soon as training would start."""

    def train(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr(runner, "train", train)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"policy": {"name": "learned_gate"}}, "learned gate"),
        ({"policy": {"name": "oracle"}}, "looks at gold labels"),
        ({"policy": {"name": "per_class", "classes": {"B-PRE": {"name": "entropy"}}}}, "B-PRE"),
        ({"calibrate": CalibrateConfig(policies=[{"name": "entrpy"}])}, "'entropy'"),
        ({"calibrate": CalibrateConfig(policies=[{"name": "never"}])}, "no threshold to calibrate"),
        ({"calibrate": CalibrateConfig(policies=[{"name": "learned_gate"}])}, "learned gate"),
        ({"task": "pos", "decode": "legal"}, "Legal decoding needs labels in the BIO scheme"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_mistakes_show_before_training(change, told, config, untrained):
    with pytest.raises(UserError, match=told):
        run_task(replace(config, **change))


@pytest.mark.usefixtures("untrained")
def test_a_sound_configuration_comes_to_training(config):
    gated = {"name": "linear", "gate": True}
    with pytest.raises(AssertionError, match="training began"):
        run_task(replace(config, policy={"name": "learned_gate"}, heads=gated))


def test_a_missing_crf_package_shows_before_training(config, untrained, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torchcrf", None)
    with pytest.raises(UserError, match="pytorch-crf"):
        run_task(replace(config, decode="crf"))


@pytest.mark.parametrize(("name", "wanted"), [("joint", 0.75), ("two_stage", 0.5)])
def test_the_best_weights_have_trained_exits(name, wanted, config, splits, monkeypatch):
    """With two stages the top is best before the exits have learned anything."""
    found = {"quality": 0.75, "by_exit": [0.25, 0.5, 0.75]}
    monkeypatch.setattr(labels, "exit_quality", lambda *args: dict(found))
    chosen = replace(config, train=TrainConfig(objective={"name": name}))
    recipe = recipe_of(chosen)
    [phase] = phases_of(chosen.train, evaluated=True)
    model = recipe.build(splits["train"])
    judged = phase.judge(lambda model: recipe.graded(None, model), model)  # type: ignore[arg-type]
    assert judged is not None
    assert judged(model) == {**found, "quality": wanted}


def test_a_word_is_learned_once(config, splits):
    """Where windows overlap, only the one that answers for a word has its label."""
    model = recipe_of(config).build(splits["train"])
    words = [word for text in splits["train"].tokens[:20] for word in text]
    gold = [number % len(model.labels) for number in range(len(words))]
    windows = model.encoder.encode([words], [gold])
    learned = [
        (window.first + place, target)
        for window, sentence in zip(windows, training_sentences(windows), strict=True)
        for place, target in enumerate(sentence.targets or ())
        if target != -100
    ]
    assert len(windows) > 2
    assert sum(len(window.sentence.word_rows) for window in windows) > len(words)  # they do overlap
    assert learned == list(enumerate(gold))


def test_a_share_of_the_training_texts_is_the_same_for_every_seed(config, splits, tmp_path):
    few, other = (
        recipe_of(replace(config, train_on=5, seed=seed)).read(tmp_path)["train"].tokens
        for seed in (0, 1)
    )
    whole = splits["train"].tokens
    assert len(few) == 5 < len(whole)
    assert few == other
    assert all(tokens in whole for tokens in few)
    assert few != whole[:5]  # drawn, not cut off


def test_the_model_follows_the_configuration(config, splits):
    chosen = replace(config, exit_layers=[2], heads={"name": "linear"}, task="pos")
    split = SimpleNamespace(tokens=[["a", "b"]], tags=[["X", "Y"]], origin="here")
    model = recipe_of(chosen).build(split)  # type: ignore[arg-type]
    assert model.labels == ("X", "Y")
    assert model.settings.exit_layers == (2, 3)
    assert model.settings.heads["name"] == "linear"
    assert model.settings.task == "pos"
    assert recipe_of(config).build(splits["train"]).labels[:3] == ("O", "B-DATE", "I-DATE")


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        (Entropy(0.2), [0.02, 0.05, 0.1, 0.2, 0.4, 0.8]),
        (Entropy(0.9), [0.09, 0.225, 0.45, 0.9]),  # none beyond the loose end
        (AssignedDepth(2), [1, 2, 3, 4]),
        (Never(), []),
    ],
    ids=str,
)
def test_the_curve_is_drawn_around_the_choice(policy, values):
    assert curve_values(policy, policy.threshold_value()) == pytest.approx(values)


def test_a_linear_threshold_is_drawn_around_the_choice():
    policy = MaxProb(0.9)
    spec, values = policy.threshold_spec(), curve_values(policy, 0.9)
    assert spec is not None
    assert not spec.log
    low, high = sorted((spec.strict, spec.loose))
    assert values == sorted(values)
    assert 0.9 in values
    assert all(low <= value <= high for value in values)
    assert len(values) > 2


def test_a_context_gate_is_fitted_and_calibrated(small_bert, corpus, tmp_path):
    run = run_task(
        TaggingConfig(
            output_dir=str(tmp_path / "run"),
            data=str(corpus),
            model=small_bert,
            train=TrainConfig(max_steps=4, batch_size=16),
            context_gate=ContextGateConfig(fit=True, inner=0, epochs=1, rounds=2),
            calibrate=CalibrateConfig(policies=[{"name": "context_gate"}], grid=4, loose=True),
        )
    )
    model = ExitModelForTokenClassification.from_pretrained(run)
    assert model.context is not None
    assert model.policy.to_config()["name"] in ("context_gate", "never")


def test_the_report_says_how_to_use_the_model(own_run, try_lines):
    page = write_report(own_run).read_text()  # of the name that the folder has now
    assert {"words", "labels", "exit_layers"} <= set(try_lines(own_run))
    assert 'id="threshold"' in page
    assert 'class="missing"' in page.split('id="clock"')[1].split("</section>")[0]
