"""Phases: what is frozen, who teaches, which texts are read, and killed runs that go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.training import TrainConfig, check_phases, check_training, loop
from tokenexit.training.batches import MicroBatch
from tokenexit.training.column import Column
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.freezing import frozen_parts, set_modes
from tokenexit.training.loss_module import Beside
from tokenexit.training.phases import deal
from tokenexit.training.tracking import read_log

PHASES: list[dict[str, Any]] = [
    {"objective": {"name": "single"}, "split": "most"},
    {
        "objective": {"name": "distillation", "states": 0.5},
        "teacher": "previous",
        "prepare": [{"name": "difficulty"}],
        "freeze": ["embeddings"],
        "lr": 1e-3,
    },
    {"freeze": ["network", "top", "heads"], "split": "rest", "max_steps": 3, "keep_best": False},
]
SPLITS = {"most": 0.7, "rest": 0.3}
SETTINGS: dict[str, Any] = {"phases": PHASES, "splits": SPLITS, "epochs": 2, "checkpoint_every": 1}


def named(weights: dict[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in weights.items() if part in name}


def test_what_is_frozen_stays_to_the_last_bit(toy, tmp_path, same_bits):
    model = toy.build(dropout=0.3, gate=True)
    sentences, seen = toy.sentences(model, 12), []

    def evaluate(model):
        seen.append(toy.weights(model))
        return {"quality": len(seen), "by_exit": [0.0, 1.0, 1.0]}

    state = toy.fit(model, sentences, tmp_path, evaluate=evaluate, **SETTINGS)
    ends = {entry["phase"]: entry["step"] for entry in read_log(tmp_path / "train_log.jsonl")}
    assert ends == {1: 4, 2: 10, 3: 13}  # 8 texts by 4, twice; all 12; 3 steps
    assert (state.phase, state.before, state.step) == (2, 10, 3)
    assert len(seen) == 4, "a phase whose exits stay has nothing to evaluate"
    last, now = seen[-1], toy.weights(model)
    for part in ("network", "heads.exits"):
        assert same_bits(named(last, part), named(now, part))
    assert not same_bits(named(last, "gate"), named(now, "gate"))
    embeddings = "word_embeddings"
    assert same_bits(named(seen[1], embeddings), named(seen[3], embeddings))
    assert not same_bits(named(seen[1], "layer.0"), named(seen[3], "layer.0"))
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_frozen_network_has_no_dropout_and_the_rest_keeps_its_own(toy):
    model = toy.build(dropout=0.3, gate=True)
    set_modes(model, ["network"])
    assert not any(part.training for part in model.network.bert.modules())
    assert model.network.classifier.training
    assert model.heads.exits.training
    with frozen_parts(model, ["network"]):
        takes = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name.split(".")[0] for name in takes} == {"heads", "network"}
    assert {name for name in takes if "network" in name} == {
        "network.classifier.weight", "network.classifier.bias"
    }  # fmt: skip


def test_a_killed_run_goes_on_in_the_right_phase(toy, tmp_path, same_bits, monkeypatch):
    def fit(folder, **more):
        model = toy.build(dropout=0.2, gate=True, seed=more.pop("start", 0))

        def evaluate(model):
            quality = float(model.heads.at(1).project.weight.detach().abs().sum())
            return {"quality": quality}

        given = {"evaluate": evaluate, **SETTINGS, **more}
        state = toy.fit(model, toy.sentences(model, 12), tmp_path / folder, **given)
        return toy.weights(model), state

    wanted, state = fit("whole")
    step, taken = loop.one_step, iter(range(100))

    def counted(*given):
        if next(taken) in (4, 8):  # before the second phase's first step, and within it
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(loop, "one_step", counted)
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            fit("broken", resume=resume, start=9 * resume)
    got, ended = fit("broken", resume=True, start=9)  # all is read from the disk
    assert ended == state
    assert same_bits(got, wanted)
    logs = [
        [{k: v for k, v in e.items() if k != "seconds"} for e in read_log(path)]
        for path in (tmp_path / name / "train_log.jsonl" for name in ("whole", "broken"))
    ]
    assert logs[0] == logs[1]


def test_one_phase_is_a_training_without_phases(toy, tmp_path, same_bits):
    found = []
    for name, more in (("plain", {}), ("phase", {"phases": [{"lr": 5e-3}]})):
        model = toy.build(dropout=0.2)
        toy.fit(model, toy.sentences(model, 8), tmp_path / name, epochs=2, **more)
        found.append(toy.weights(model))
    assert same_bits(*found)


def test_distillation_pulls_to_the_teacher_and_not_to_its_dropout(toy):
    model, other = toy.build(double=True), toy.build(double=True, dropout=0.5, seed=1)
    sentences = toy.sentences(model, 4)
    words = sum(len(s.targets) for s in sentences)
    part = MicroBatch(sentences, [0, 1, 2, 3], words, texts=[0, 1, 2, 3])
    teacher = EncoderLossModule(other.requires_grad_(False), from_config("single")).eval()
    settings = {"name": "distillation", "weights": 1.0, "share": 1.0, "states": 1.0}

    def loss(pupil, share=1.0, states=1.0):
        told = from_config({**settings, "share": share, "states": states})
        module = EncoderLossModule(pupil, told)
        module.beside = Beside(teacher)
        return float(module(part, 0, 0.0, 0).total.detach())

    same = toy.build(double=True, dropout=0.5, seed=1).eval()
    assert abs(loss(same)) < 1e-9
    plain = EncoderLossModule(model, from_config("single"))(part, 0, 0.0, 0).total
    assert loss(model, 0.0, 0.0) == pytest.approx(float(plain.detach()))
    assert loss(model) > loss(model, states=0.0) > 0.1


def test_columns_keep_to_their_texts_and_words(toy):
    model = toy.build()
    sentences = toy.sentences(model, 7)
    module = EncoderLossModule(model, from_config("joint"))
    columns = {
        unit: Column.gathered(
            unit, sentences, [(torch.tensor([number]), _values(unit, number, sentences[number]))
                              for number in (3, 1, 0, 2, 6, 5, 4)],
        )
        for unit in ("text", "word", "row")
    }  # fmt: skip
    beside = Beside(None, columns, sentences)
    laid = module.lay(MicroBatch([sentences[i] for i in (5, 2, 3)], [0, 1, 2], 1, texts=[5, 2, 3]))
    found = beside.of(laid, "cpu")
    assert found["text"][:, 0].tolist() == laid.numbers.tolist()
    by_word = torch.stack([laid.numbers[laid.word_text], laid.word_place], dim=1)
    assert found["word"].tolist() == by_word.tolist()
    rows = torch.from_numpy(laid.batch.row_sequence)
    assert found["row"][:, 0].tolist() == laid.numbers[rows].tolist()
    assert found["row"][:, 1].tolist() == laid.batch.positions.tolist()
    with pytest.raises(UserError, match="one value for each"):
        columns["text"].check("mine", sentences[:-1])


def _values(unit: str, number: int, sentence: Any) -> torch.Tensor:
    many = {"text": 1, "word": len(sentence.targets), "row": len(sentence.input_ids)}[unit]
    return torch.stack([torch.full((many,), number), torch.arange(many)], dim=1)


def test_shares_have_nothing_in_common(toy):
    sentences = toy.sentences(toy.build(), 10)
    found = deal(sentences, {"a": 0.6, "b": 0.4}, seed=3)
    assert {id(s) for part in found.values() for s in part} == set(map(id, sentences))
    assert [len(part) for part in found.values()] == [6, 4]
    with pytest.raises(UserError, match=r"splits\.b=0.01 of 10 texts holds no labelled word"):
        deal(sentences, {"a": 0.9, "b": 0.01}, seed=3)


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ({"phases": [{"epocs": 2}]}, r"train\.phases\[0\] 'epocs'.*Did you mean 'epochs'"),
        ({"phases": [{}, {"phases": []}]}, r"train\.phases\[1\] sets 'phases'"),
        ({"phases": [{"precision": "bf16"}]}, "all phases share: set train.precision"),
        ({"phases": [{"lr": -1}]}, r"train\.phases\[0\]\.lr must be above 0, not -1"),
        ({"phases": [{"objective": "joint"}]}, r"train\.phases\[0\]\.objective must be a mapping"),
        ({"phases": [{"objective": {"name": "joind"}}]}, "Did you mean 'joint'"),
        ({"phases": [{"split": "gate"}]}, r"train\.phases\[0\]\.split 'gate'"),
        ({"splits": {"a": 0.7, "b": 0.7}}, "at most 1 together"),
        ({"phases": [{"teacher": 1}]}, "must be previous, or the folder of a model, not 1"),
        ({"phases": [{}, {"teacher": 2}]}, "previous or one of the phases before, 1 to 1, or"),
        ({"objective": {"name": "distillation"}}, "set train.teacher=previous"),
        ({"teacher": "nowhere"}, "teacher='nowhere' is no folder of a model"),
        ({"objective": {"name": "exit_distribution", "halting": "multinomial"}}, "trains a depth"),
        ({"phases": [{"prepare": [{"name": "difficult"}]}]}, "Did you mean 'difficulty'"),
        ({"prepare": [{"name": "fit_heads", "split": "gate"}]}, "fit_heads.split 'gate'"),
        ({"phases": [{"freeze": ["netwrk"]}]}, r"phases\[0\]\.freeze 'netwrk'.*'network'"),
        ({"freeze": ["network", "top", "heads"]}, "nothing is left to learn"),
        ({"phases": [{"freeze": ["network"], "patience": 2}]}, None),
    ],
)  # fmt: skip
def test_mistakes_are_told_early(train, told, toy):
    def check():
        config = TrainConfig(**train)
        check_training(config, evaluated=True)
        check_phases(toy.build(), config)

    if told is None:
        check()
        return
    with pytest.raises(UserError, match=told):
        check()


def test_an_objective_that_reaches_nothing_is_told(toy, tmp_path):
    model = toy.build()
    with pytest.raises(UserError, match="teaches nothing that this phase trains"):
        toy.fit(
            model, toy.sentences(model, 4), tmp_path,
            objective={"name": "single"}, freeze=["network", "top"],
        )  # fmt: skip
    assert all(weight.requires_grad for weight in model.parameters())


def test_the_beginnings_are_cleared_with_the_run(toy, tmp_path):
    model = toy.build(gate=True)
    toy.fit(model, toy.sentences(model, 12), tmp_path, **SETTINGS)
    place = tmp_path / "checkpoints"
    assert {path.name for path in place.iterdir()} >= {"phase-02", "phase-03"}
    kept = json.loads((place / "phase-02" / "phase_state.json").read_text())
    assert kept["before"] == 4
    assert kept["units"] == {"loss": "word", "mistaken": "word"}
    toy.fit(model, toy.sentences(model, 4), tmp_path, epochs=1)
    assert not list(place.glob("phase-*"))
