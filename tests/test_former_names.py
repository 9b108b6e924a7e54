"""What plug-ins of before call things still works, and says what they are called now."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from tokenexit import policies
from tokenexit.context.config import GateConfig
from tokenexit.errors import UserError
from tokenexit.methods import Method
from tokenexit.policies import Policy, ThresholdSpec, base
from tokenexit.policies.base import check_unit
from tokenexit.policies.wrapper import WrapperPolicy
from tokenexit.reporting.run import load_run
from tokenexit.tasks.texts import TextTask
from tokenexit.testing.gate import arrived


def now(name: str, called: str) -> Any:
    return pytest.warns(DeprecationWarning, match=f"{name} is called {called} now")


def test_a_policy_with_a_knob_can_be_turned():
    with now(r"\.Knob", "ThresholdSpec"):
        knob = policies.Knob("limit", 1.0, 0.0)
    with now(r"base\.Knob", "ThresholdSpec"):
        assert base.Knob is ThresholdSpec
    with now("Mine.knob", "own_threshold"):

        @dataclass(frozen=True)
        class Mine(Policy):
            limit: float = 0.5
            knob = base.ThresholdSpec("limit", 1.0, 0.0)

            def step(self, signals, state):
                return signals.none(), state

    assert Mine().threshold_spec() == knob
    assert policies.Window(Mine()).with_threshold(0.2).threshold_value() == 0.2
    with now("Policy.at", "with_threshold"):
        assert Mine().at(0.3) == Mine(0.3)
    assert Mine.own_threshold is Mine.knob


def test_methods_of_before_are_asked_and_reach_those_above_them():
    with pytest.warns(DeprecationWarning, match=r"Halved\.") as told:

        @dataclass(frozen=True)
        class Halved(WrapperPolicy):
            policy: Policy = dataclasses.field(default=policies.Margin(0.4))

            def dial(self):
                return super().dial()

            def setting(self):
                return 2 * super().setting()

            def at(self, value):
                return super().at(value / 2)

            def step(self, signals, state):
                return self.policy.step(signals, state)

    assert [str(one.message).split()[0].rpartition(".")[2] for one in told] == [
        "dial", "setting", "at"
    ]  # fmt: skip
    with now("WrapperPolicy.dial", "threshold_spec"):
        assert Halved().threshold_spec() == policies.Margin.own_threshold
    with now("WrapperPolicy.at", "with_threshold"):
        assert Halved().with_threshold(0.6).policy == policies.Margin(0.3)
    with now("WrapperPolicy.setting", "threshold_value"):
        assert policies.Window(Halved()).threshold_value() == 0.8


def test_both_names_in_one_class_are_left_alone(recwarn):
    class Both(policies.Never):
        own_threshold = knob = None

    assert (Both().threshold_spec(), len(recwarn)) == (None, 0)


def test_signals_and_runs_have_their_names_of_before(tmp_path):
    with now("Signals.apart", "detached"):
        assert not arrived().apart().hidden.requires_grad
    (tmp_path / "metrics.json").write_text("{}", encoding="utf-8")
    with now("RunData.written", "generated_trace"):
        assert load_run(tmp_path).written is None


@pytest.mark.parametrize(
    ("place", "name", "called"),
    [
        ("calibration.texts", "calibrate_texts", "calibrate"),
        ("calibration.risk", "Promise", "RiskControl"),
        ("evaluation.bench", "bench_texts", "bench"),
        ("evaluation.bench_texts", "bench_texts", "bench"),
        ("decoding", "check_policy", "check_generator_policy"),
        ("policies.base", "check_policy", "check_inner_policy"),
        ("objectives.base", "Lesson", "BatchLoss"),
        ("objectives.base", "Occasion", "BatchInfo"),
        ("objectives.base", "layer_weights", "layer_weights"),  # of another module now
        ("objectives.joint", "JointLesson", "JointLoss"),
        ("objectives.self_distillation", "DistillationLesson", "DistillationLoss"),
    ],
)
def test_what_was_imported_from_modules(place, name, called):
    with pytest.warns(DeprecationWarning, match=f"{name} is"):
        assert getattr(import_module(f"tokenexit.{place}"), name).__name__ == called


def test_levels_of_before_mean_the_units_they_meant():
    with now("Old.levels", "units"):

        class Old(policies.Never):
            levels = ("token", "step")

    assert Old.units == ("word", "token")
    check_unit(Old(), "word")
    with pytest.raises(UserError, match="no meaning for texts: it works for words, tokens"):
        check_unit(Old(), "text")
    with now("Decay.levels", "units"):
        assert policies.Decay.levels == ("step",)
    with now("Preset.levels", "units"):

        class Preset(Method):
            levels = "sentence"

    assert Preset.units == ("text",)
    with now("Rating.level", "policy_unit"):

        class Rating(TextTask):
            level = "value"

    assert Rating.policy_unit == "number"


def test_a_context_gate_keeps_its_level_in_files():
    gate = GateConfig((1,), 2, 3, unit="token")
    assert gate.to_json()["level"] == "step"
    assert GateConfig.from_json(gate.to_json()) == gate
