"""A tagger with a context gate: what runs do, what is saved, what is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tokenexit import policies
from tokenexit.context import ContextGate
from tokenexit.errors import UserError
from tokenexit.models.context_gate import mark_of, named_weights
from tokenexit.models.words.token_classification import ExitModelForTokenClassification


@pytest.fixture
def gated(make_tagger, make_gate):
    """A tagger with a gate of its own, and the gate."""
    tagger = make_tagger()
    gate = make_gate(4, tagger.labels, fingerprint=mark_of(tagger))
    return tagger.use_context(gate), gate


POLICY = policies.ContextGate(0.3)


def test_the_same_exits_at_every_batch_size(gated, texts):
    tagger, _ = gated
    runs = [tagger.tag(texts, policy=POLICY, batch_size=size) for size in (1, 2, 5)]
    assert len(set(runs[0].exit_layer)) > 1
    for run in runs[1:]:
        np.testing.assert_array_equal(run.exit_layer, runs[0].exit_layer)


def test_words_without_neighbours(gated):
    tagger, _ = gated
    alone = tagger.tag([["paris"], [], ["ada"]], policy=POLICY)
    assert len(alone) == 2


def test_the_table_foretells_the_first_exit_and_a_run_without_leaving(gated, texts):
    tagger, _ = gated
    table = tagger.exit_table(texts)
    layers, _ = table.simulate(POLICY)
    run = tagger.tag(texts, policy=POLICY)
    # Nobody has left before the first exit, so states are those of the table.
    np.testing.assert_array_equal(layers[table.mine] == 1, run.exit_layer == 1)
    layers, _ = table.simulate(policies.ContextGate(0.0))
    assert (layers == 4).all()


def test_the_table_is_exact_where_halting_changes_no_states(gated, texts, make_gate, monkeypatch):
    """Exits that score the embedded words: what halts changes nobody's numbers."""
    tagger, _ = gated
    with torch.no_grad():
        for layer in tagger.network.bert.encoder.layer:
            layer.attention.output.dense.weight.zero_()
            layer.attention.output.dense.bias.zero_()
    for halted in ("copy", "drop"):
        table = tagger.exit_table(texts)
        layers, prediction = table.simulate(POLICY)
        run = tagger.tag(texts, policy=POLICY, halted=halted)
        assert len(set(run.exit_layer)) > 1
        np.testing.assert_array_equal(layers[table.mine], run.exit_layer)
        np.testing.assert_array_equal(prediction[table.mine], run.prediction)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_other_precisions_ask_it(gated, texts, precision):
    tagger, _gate = gated
    plain = tagger.tag(texts, policy=POLICY)
    run = copy.deepcopy(tagger).use(precision).tag(texts, policy=POLICY)
    assert (run.exit_layer == plain.exit_layer).mean() > 0.8
    assert sum(work.context for work in run.work) > 0


def test_its_work_is_counted(gated, texts):
    tagger, _gate = gated
    run = tagger.tag(texts, policy=POLICY)
    asked = [int((run.exit_layer >= layer).sum()) for layer in (1, 2, 3)]
    counted = [work.context for work in run.work]
    assert counted[3] == 0
    assert all(
        many >= few for many, few in zip(counted, asked, strict=False)
    )  # overlaps of windows
    free = replace(run, work=tuple(work._replace(context=0) for work in run.work))
    more = tagger.mac_ratio(run) - tagger.mac_ratio(free)
    none = tuple(work._replace(**dict.fromkeys(work._fields, 0)) for work in run.work)
    only = replace(run, work=(none[0]._replace(context=sum(counted)), *none[1:]))
    assert more == pytest.approx(tagger.mac_ratio(only))
    assert more > 0


def test_saved_with_the_heads(gated, texts, tmp_path):
    tagger, gate = gated
    tagger.configure(policy=POLICY)
    tagger.save_pretrained(tmp_path)
    loaded = ExitModelForTokenClassification.from_pretrained(tmp_path)
    assert isinstance(loaded.context, ContextGate)
    assert loaded.context.config == gate.config
    assert torch.equal(loaded.context.weight, gate.weight)
    assert loaded.policy == POLICY
    np.testing.assert_array_equal(loaded.tag(texts).exit_layer, tagger.tag(texts).exit_layer)
    half = ExitModelForTokenClassification.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert len(half.tag(texts)) == len(tagger.tag(texts))  # the same heads, rounded


def test_without_one(tagger, texts):
    assert tagger.context is None
    with pytest.raises(UserError, match="tokenexit fit-gate"):
        tagger.tag(texts, policy=POLICY)


def test_taken_away_again(gated, texts):
    tagger, _ = gated
    tagger.use_context(None)
    assert "context" not in tagger.settings.heads
    with pytest.raises(UserError, match="the model has none"):
        tagger.tag(texts, policy=POLICY)


def test_the_gate_given_stays_as_it_is(gated, texts):
    tagger, gate = gated
    before = gate.weight.clone()
    assert tagger.context is not gate
    tagger.to(torch.float64)
    assert gate.weight.dtype == torch.float32
    assert torch.equal(gate.weight, before)


def test_of_another_model(gated, make_tagger):
    _, gate = gated
    with pytest.raises(UserError, match="fitted to other heads than the model has now"):
        make_tagger(seed=1).use_context(gate)


def test_of_other_exits(gated, make_tagger):
    _, gate = gated
    with pytest.raises(UserError, match=r"\[1, 2, 3\] of 4, and the model has them after \[2\]"):
        make_tagger(exit_layers=[2]).use_context(gate)


def test_of_other_classes(gated, make_tagger):
    _, gate = gated
    with pytest.raises(UserError, match="fitted to 5 classes"):
        make_tagger(labels=("O", "B-PER", "I-PER")).use_context(gate)
    with pytest.raises(UserError, match="or in another order"):
        make_tagger(labels=gate.config.classes[::-1]).use_context(gate)


def test_of_another_level(gated, make_gate):
    tagger, gate = gated
    other = make_gate(4, tagger.labels, unit="text", fingerprint=gate.config.fingerprint)
    with pytest.raises(UserError, match=r"judges texts, and the model's rows are words"):
        tagger.use_context(other)


def test_heads_trained_since_then(gated, texts):
    tagger, _ = gated
    tagger.tag(texts, policy=POLICY)
    with torch.no_grad():
        tagger.heads.at(2).project.weight.add_(0.1)
    tagger.tag(texts, policy="entropy")  # does not ask it
    with pytest.raises(UserError, match=r"2.project.weight differs"):
        tagger.tag(texts, policy=policies.Window(POLICY, 3))


def test_a_broken_exit_lets_nobody_out(gated, texts):
    tagger, _ = gated
    tagger.heads.context.bias.fill_(float("nan"))
    assert (tagger.tag(texts, policy=POLICY).exit_layer == 4).all()


def test_weights_are_named_as_in_a_state_dict():
    part = torch.nn.BatchNorm1d(3)
    part.register_buffer("passing", torch.ones(2), persistent=False)
    module = torch.nn.ModuleDict({"1": torch.nn.Sequential(torch.nn.Linear(2, 3), part)})
    named, wanted = named_weights(module, "top."), module.state_dict(prefix="top.")
    assert list(named) == list(wanted)
    assert all(named[name].data_ptr() == wanted[name].data_ptr() for name in wanted)
