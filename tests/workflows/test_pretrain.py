"""Pre-training with exits: losses fall, a cut run goes on, recipes start from what is written."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tokenexit.errors import UserError
from tokenexit.models.encoders.masked_model import load_masked
from tokenexit.models.encoders.passages import masking_of, read_windows
from tokenexit.objectives import from_config
from tokenexit.training import loop
from tokenexit.training.batches import MicroBatch
from tokenexit.training.masked_loss import MaskedLossModule
from tokenexit.workflows.pretrain import pretrain

TEXTS = [f"the {a} {b} sees the {b} {a} man" for a in ("old", "red", "big") for b in "xyzuvw"]
SHAPE = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32, "vocab_size": 120,
    "initializer_range": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    (folder / "train.txt").write_text("\n\n".join(TEXTS * 3))
    train = {"max_steps": 24, "batch_size": 8, "lr": 1e-2, "head_lr": 1e-2, "log_every": 1}
    train |= {"checkpoint_every": 5}
    told = {"data": folder, "model": json.dumps(SHAPE), "train": json.dumps(train)}
    return [f"{key}={value}" for key, value in told.items()]


@pytest.fixture(scope="module")
def run(told, tmp_path_factory):
    return pretrain([*told, f"output_dir={tmp_path_factory.mktemp('whole') / 'run'}"])


def test_the_loss_of_each_exit_falls(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["exits"] == [1, 2, 3]
    for before, after in zip(
        *(metrics[k]["loss_by_exit"] for k in ("before", "after")), strict=True
    ):
        assert after < before - 0.5
    log = [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]
    learned = [[value > 0 for value in e["reached"]] for e in log if "reached" in e]
    assert learned[:2] == [[True, False, True], [False, True, True]]


def test_it_is_an_ordinary_encoder(run):
    plain, tokenizer = AutoModel.from_pretrained(run), AutoTokenizer.from_pretrained(run)
    assert type(plain).__name__ == "BertModel"
    classifier = AutoModelForSequenceClassification.from_pretrained(run)
    for name, weight in classifier.base_model.state_dict().items():
        assert "pooler" in name or torch.equal(weight, plain.state_dict()[name])
    heads = load_masked(plain, tokenizer, run).heads.state_dict()
    saved = load_file(run / "masked_lm_heads.safetensors")
    assert all(torch.equal(heads[name], weight) for name, weight in saved.items())
    assert not torch.equal(saved["exits.1.project.weight"], saved["exits.3.project.weight"])
    with pytest.raises(UserError, match="has no masked_lm_heads"):
        load_masked(plain, tokenizer, run / "checkpoints")


def test_a_cut_run_goes_on_as_if_nothing_had_happened(run, told, tmp_path, monkeypatch):
    step = loop.one_step

    def until(plan, *rest):
        if plan.number == 12:
            raise KeyboardInterrupt
        return step(plan, *rest)

    monkeypatch.setattr(loop, "one_step", until)
    with pytest.raises(KeyboardInterrupt):
        pretrain([*told, f"output_dir={tmp_path / 'run'}"])
    monkeypatch.setattr(loop, "one_step", step)
    again = pretrain([*told, f"output_dir={tmp_path / 'run'}", "resume=true"])
    for file in ("model.safetensors", "masked_lm_heads.safetensors"):
        one, other = load_file(run / file), load_file(again / file)
        assert all(torch.equal(one[name], weight) for name, weight in other.items())
    with pytest.raises(UserError, match="already holds a run"):
        pretrain([*told, f"output_dir={tmp_path / 'run'}"])
    with pytest.raises(UserError, match=r"mask was 0\.15 and is 0\.3"):
        pretrain([*told, f"output_dir={tmp_path / 'run'}", "resume=true", "mask=0.3"])


def test_however_a_step_is_cut_the_same_is_masked(run):
    network, tokenizer = AutoModel.from_pretrained(run), AutoTokenizer.from_pretrained(run)
    model = load_masked(network, tokenizer, run).double().eval()
    windows = list(read_windows(tokenizer, TEXTS[:6], 32, 0.3))
    module = MaskedLossModule(model, from_config("grouped"), masking=masking_of(tokenizer, True))

    def loss(*places):
        part = MicroBatch([windows[place] for place in places], list(places), 1)
        return float(module(part, 3, 0.1, 5).total.detach())

    assert loss(*range(6)) == pytest.approx(loss(0, 2, 4) + loss(1, 3, 5))
    idle = MicroBatch([windows[0].unlabelled()], [0], 0)
    assert float(module(idle, 3, 0.1, 5).total.detach()) == 0


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("mask=1.5", "mask must be"),
        ("max_length=4", "max_length must be"),
        ("exit_layers=[7]", "within 1..3"),
        ("train.objective.name=groupd", "'grouped'"),
        ("train.objective.name=palbert", "heads.gate.name=pair"),
        ("modell=x", "'model'"),
        ("train.teacher=previous", "one training"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(told, tmp_path, argument, words):
    with pytest.raises(UserError, match=words):
        pretrain([*told, f"output_dir={tmp_path / 'run'}", argument])
    assert not (tmp_path / "run").exists()
