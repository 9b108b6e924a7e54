"""What each published method is made of, typed from its paper: nothing special goes missing."""

from __future__ import annotations

from typing import Any

import pytest

from tokenexit.guarantees import parse
from tokenexit.methods import METHODS, settings_of
from tokenexit.objectives import OBJECTIVES, from_config
from tokenexit.objectives.selected import Selected
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.method import load_with_method

JOINT, UNIFORM = {"name": "joint", "weights": "depth"}, {"name": "joint", "weights": "uniform"}
ENTROPY = {"name": "entropy"}
OF_FIVE = {"name": "window", "policy": ENTROPY, "size": 5}

# Heads, objective, policies; gates beside heads stand in GATES.
PUBLISHED: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "adapler": ("linear", {"name": "adapler", "fate": "drop"}, []),
    "berxit": ("pooled", {"name": "alternating"}, [{"name": "learned_gate"}]),
    "cascadebert": ("linear", {"name": "single"}, [{"name": "max_prob"}]),
    "cat": ("bottleneck", UNIFORM, [{"name": "learned_gate"}]),
    "class_means": ("prototype", {"name": "single"}, [{"name": "max_prob"}]),
    "dact_bert": ("linear", {"name": "dact"}, [{"name": "dact"}]),
    "deebert": ("pooled", {"name": "single"}, [ENTROPY]),
    "depth_adaptive": (
        "linear",
        {"name": "exit_distribution", "oracle": "correctness"},
        [{"name": "learned_gate"}],
    ),
    "depth_adaptive_multinomial": (
        "linear",
        {"name": "exit_distribution", "oracle": "correctness", "halting": "multinomial"},
        [{"name": "likeliest_depth"}],
    ),
    "e_lang": ("linear", {"name": "single"}, [{"name": "energy"}]),
    "elasticbert": ("pooled", UNIFORM, [ENTROPY, {"name": "patience"}]),
    "elbert": ("pooled", {"name": "learned_weights"}, [{"name": "confidence_window", "size": 3}]),
    "ensemble": ("linear", {"name": "diversity"}, [{"name": "vote"}]),
    "f_pabee": ("pooled", JOINT, [{"name": "divergence", "patience": 2}]),
    "fastbert": ("mlp", {"name": "frozen_distillation", "split": 0.0}, [ENTROPY]),
    "gaml_bert": (
        "pooled", {"name": "mutual_distillation", "mode": "aligned"}, [{"name": "patience"}],
    ),
    "hash_ee": (
        "linear", {"name": "halt_and_copy", "policy": "hash", "loose": 2, "strict": 12},
        [{"name": "hash"}],
    ),
    "faster_dat": ("linear", {"name": "single"}, []),
    "hash_ee_texts": ("linear", {"name": "single"}, []),
    "leco": ("searched", {"name": "searched"}, [{"name": "divergence"}]),
    "leebert": (
        "linear", {"name": "mutual_distillation", "mode": "learned"}, [{"name": "patience"}],
    ),
    "model_cascading": ("linear", {"name": "single"}, [{"name": "max_prob"}]),
    "monobert": ("pooled", UNIFORM, [{"name": "asymmetric"}]),
    "multi_perspective": (
        "recycled", {"name": "self_distillation", "weights": "depth"}, [ENTROPY],
    ),
    "pabee": ("pooled", JOINT, [{"name": "patience"}]),
    "palbert": ("pooled", {"name": "palbert"}, [{"name": "q_exit"}]),
    "past_future": ("past_future", {"name": "imitation"}, [ENTROPY]),
    "pcee_bert": ("pooled", JOINT, [{"name": "pcee", "policy": ENTROPY, "times": 2}]),
    "pyramid_bert": ("linear", {"name": "single"}, []),
    "right_tool": ("mixed", UNIFORM, [{"name": "max_prob"}]),
    "romebert": ("pooled", {"name": "gradient_projection", "together": True}, [ENTROPY]),
    "sentee": ("linear", JOINT, [{"name": "per_sentence", "policy": ENTROPY}]),
    "tangobert": ("linear", {"name": "single"}, [{"name": "max_prob"}]),
    "tokee": (
        "linear", {"name": "halt_and_copy", "policy": OF_FIVE, "weights": "depth"}, [OF_FIVE],
    ),
    "power_bert": ("linear", {"name": "single"}, []),
    "transkimmer": ("linear", {"name": "skim", "price": 0.5}, []),
    "tr_bert": ("linear", {"name": "reinforce", "copies": 8, "guide_rate": 0.5}, []),
    "uee": ("pooled", UNIFORM, [{"name": "max_prob"}]),
}  # fmt: skip
GATES: dict[str, Any] = {
    "berxit": True,
    "cat": {"name": "meta_history"},
    "dact_bert": {"name": "units"},
    "depth_adaptive": True,
    "palbert": {"name": "pair", "wide": True},
}
AS_PUBLISHED = {"sentee"}
BALANCED = {"elasticbert", "uee"}
STAGES = {
    "cascadebert": [
        {
            "keep_layers": 2,
            "train": {
                "phases": [
                    {"objective": {"name": "distillation"}, "teacher": "next"},
                    {
                        "objective": {
                            "name": "difficulty_aware",
                            "margin": 0.5,
                            "hard": "before",
                            "pairs": "drawn",
                        },
                        "prepare": [{"name": "difficulty"}],
                    },
                ]
            },
        },
        {},
    ],
    "e_lang": [{"keep_layers": 2}, {}],
    "model_cascading": [{"keep_layers": 2}, {"keep_layers": 4}, {}],
    "tangobert": [{"keep_layers": 2}, {}],
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_method_is_as_published(name):
    head, objective, families = PUBLISHED[name]
    settings = settings_of(name, METHODS.get(name).units[0])
    heads = METHODS.get(name).heads
    assert (heads["name"], heads.get("gate", False)) == (head, GATES.get(name, False))
    assert settings["train"]["objective"] == objective
    assert settings["train"].get("gradient_equilibrium", False) == (name in BALANCED)
    assert settings["calibrate"]["policies"] == families
    assert settings.get("stages", []) == STAGES.get(name, [])


def test_deebert_trains_its_exits_after_its_network():
    first, second = settings_of("deebert", "text")["train"]["phases"]
    assert first == {}
    assert second == {
        "objective": {"name": "joint", "weights": "uniform"}, "freeze": ["network", "top"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shared", "names"),
    [("dense", ("pabee", "pcee_bert", "f_pabee")), ("all", ("elbert", "palbert"))],
)
def test_exits_have_a_pooler_in_common(shared, names):
    for name in names:
        heads = METHODS.get(name).heads
        assert (heads["shared"], heads["start"]) == (shared, "backbone")


def test_only_what_was_checked_is_said_to_be_as_published():
    told = {name: cls.fidelity for name, cls in METHODS.items()}
    plain = {n: line for n, line in told.items() if line in ("as published", "baseline", "own")}
    assert plain == {
        **dict.fromkeys(AS_PUBLISHED, "as published"),
        **dict.fromkeys(("first_layers", "layer_dropped", "random_exit", "single"), "baseline"),
        "foresight": "own",
    }
    unread = {name for name, line in told.items() if line.startswith("after the abstract")}
    assert unread == {
        "be3r", "ensemble", "f_pabee", "faster_dat", "gaml_bert", "leco", "leebert",
        "multi_perspective", "pyramid_bert",
    }  # fmt: skip


def test_calm_decays_its_margin():
    settings = settings_of("calm", "token")
    assert settings["gate"]
    assert settings["train"]["objective"] == JOINT
    decayed, *others = settings["calibrate"]["policies"]
    assert decayed == {"name": "decay", "policy": {"name": "margin"}}
    assert [family["name"] for family in others] == ["saturation", "learned_gate"]
    textual, risk = parse(settings["calibrate"]["guarantee"])
    assert (textual.loss, risk.loss) == ("chrf differs", "chrf loss")
    assert (textual.delta, risk.delta) == (0.05, 0.05)


def test_networks_are_narrowed_between_phases():
    dynabert = settings_of("dynabert", "text")["train"]["phases"]
    names = [phase["objective"]["name"] for phase in dynabert]
    assert names == ["single", "sub_networks", "sub_networks", "sub_networks"]
    assert dynabert[1]["prepare"] == [{"name": "rewire"}]
    assert [phase["objective"].get("states", 0.1) for phase in dynabert[1:]] == [0.1, 1.0, 0]
    assert [phase.get("teacher") for phase in dynabert] == [None, "previous", "previous", None]
    ebert = settings_of("ebert", "text")
    assert ebert["heads"]["selectors"]["inner"] == 64
    phase = ebert["train"]["phases"][1]
    assert from_config(phase["objective"]) == Selected(0.5, price=4.0, parts=5.0, mode="sampled")
    assert phase["scorer_lr"] == 0.02
    cost_eff = settings_of("cost_eff", "text")["train"]["phases"]
    pruned = [phase for phase in cost_eff if phase.get("prepare") == [{"name": "prune"}]]
    assert len(pruned) == 6
    assert {phase["objective"]["share"] for phase in pruned} == {0.9}
    assert all(phase["gradient_equilibrium"] for phase in cost_eff[1:])
    assert cost_eff[-2]["objective"]["answers"] == 0
    assert cost_eff[-1]["objective"]["of"] == "exits"
    assert {phase["teacher"] for phase in cost_eff[2:]} == {2}


def test_no_stage_takes_its_steps_from_another():
    """A budget is that of each stage: stages are phases, not shares of one schedule."""
    shared = [
        name
        for name, method in METHODS.items()
        for told in [{"objective": {"name": "single"}, **method.train}]
        for one in [told["objective"], *(p.get("objective", {}) for p in told.get("phases", ()))]
        if "name" in one and OBJECTIVES.get(one["name"]).staged and one.get("split", "usual") != 0
    ]
    assert shared == ["leco"]  # all of it goes on being trained while the form is searched
    config = TaggingConfig(output_dir="x", train=load_with_method(
        TaggingConfig, ["method=fastbert", "output_dir=x", "train.max_steps=70"], {}
    ).train)  # fmt: skip
    first, second = config.train.each()
    assert (first.objective["name"], second.objective["name"]) == ("single", "frozen_distillation")
    assert (first.max_steps, second.max_steps) == (70, 70)
    assert second.freeze == ["network", "top"]
