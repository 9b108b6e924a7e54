"""SkipBERT's phases: the plain network teaches itself with embeddings of n-grams, layers frozen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tokenexit import ExitModelForTokenClassification
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, encode
from tokenexit.methods import settings_of
from tokenexit.objectives import from_config
from tokenexit.policies import Never
from tokenexit.training import loop
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.loss_module import Beside

PHASES = settings_of("skipbert", "word")["train"]["phases"]


def build(toy: Any, lower: int = 1, **options: Any) -> Any:
    plain = toy.build(**options)
    model = ExitModelForTokenClassification.from_transformers(
        plain.network, plain.tokenizer, plain.labels, exit_layers=[lower + 1]
    )
    torch.manual_seed(0)
    return model.use_embeddings({"name": "ngram", "layers": lower, "on": False})


def test_what_is_below_stays_and_kills_do_not_show(toy, tmp_path, same_bits, monkeypatch):
    def fit(folder: str, model: Any, **more: Any) -> dict[str, torch.Tensor]:
        given = {"phases": PHASES, "max_steps": 3, "checkpoint_every": 1, **more}
        toy.fit(model, toy.sentences(model, 8), tmp_path / folder, **given)
        return toy.weights(model)

    model: Any = build(toy, dropout=0.2)
    step, number = loop.one_step, iter(range(100))
    seen: list[tuple[bool, dict[str, torch.Tensor]]] = []

    def watched(*given: Any) -> Any:
        seen.append((model.heads.embeddings.on, toy.weights(model)))
        return step(*given)

    monkeypatch.setattr(loop, "one_step", watched)
    whole = fit("whole", model)
    assert [on for on, _ in seen] == [False] * 6 + [True] * 6
    plain, third, last = seen[3][1], seen[6][1], seen[9][1]
    assert same_bits(plain, third) == 0
    lower = [n for n in whole if "layer.0." in n or "embeddings.gate" in n or "word_emb" in n]
    upper = [n for n in whole if "layer.1." in n]
    assert any(not torch.equal(third[n], last[n]) for n in lower)  # by states alone
    assert all(torch.equal(last[n], whole[n]) for n in lower)
    assert all(torch.equal(plain[n], third[n]) for n in upper)
    assert any(not torch.equal(last[n], whole[n]) for n in upper)

    def cut(*given: Any) -> Any:
        if next(number) == 10:
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(loop, "one_step", cut)
    with pytest.raises(KeyboardInterrupt):
        fit("broken", build(toy, dropout=0.2))
    monkeypatch.setattr(loop, "one_step", step)
    again = build(toy, dropout=0.2, seed=5)
    assert same_bits(fit("broken", again, resume=True), whole)
    assert again.heads.embeddings.on


def test_states_are_those_from_the_embeddings_on(toy):
    """Written out: the mean squared distance after layer 2, which is the embedding, and 3."""
    teacher, pupil = build(toy, 2, double=True), build(toy, 2, double=True)
    pupil.heads.embeddings.on = True
    sentences = toy.sentences(pupil, 3)
    words = sum(len(s.targets) for s in sentences)
    part = MicroBatch(sentences, [0, 1, 2], words, texts=[0, 1, 2])
    told = {"name": "distillation", "answers": 0.0, "states": 0.7}
    module = EncoderLossModule(pupil.eval(), from_config(told))
    module.beside = Beside(EncoderLossModule(teacher, from_config("single")).eval())
    found = module(part, 0, 0.0, 0).total

    def states(model: Any, batch: Any) -> list[torch.Tensor]:
        kept: list[torch.Tensor] = []
        visitor = PolicyVisitor(Never(), batch.num_words, "cpu")
        encode(model.backbone, model.heads, batch, visitor, states=kept)
        return kept

    laid = module.lay(part)
    known = torch.bincount(
        laid.word_text[(laid.batch.word_target != -100).nonzero().squeeze(-1)], minlength=3
    )
    share = (known / torch.bincount(laid.row_text))[laid.row_text]
    pairs = zip(states(pupil, laid.batch), states(teacher.eval(), laid.batch), strict=True)
    gaps = [F.mse_loss(a, b, reduction="none").mean(-1) for a, b in pairs]
    assert len(gaps) == 3
    wanted = 0.7 * (torch.stack(gaps[1:]).mean(0) * share).sum()
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    pupil.heads.embeddings.on = False
    assert (
        float(module(part, 0, 0.0, 0).total.detach()) < 1e-12
    )  # the plain network is its own teacher


def test_there_has_to_be_something_to_switch_on(toy, tmp_path):
    model = toy.build()
    told = {"phases": [{}, {"prepare": [{"name": "embeddings"}]}], "max_steps": 1}
    with pytest.raises(UserError, match="has none: set embeddings"):
        toy.fit(model, toy.sentences(model, 4), tmp_path, **told)
    for bad in ({"states": 0, "answers": 0}, {"answers": -1}):
        with pytest.raises(UserError, match=r"distillation\.answers"):
            from_config({"name": "distillation", **bad})
