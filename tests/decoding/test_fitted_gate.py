"""Context gates fitted to generators: what they learn from, whose they are, and where they stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from typer.testing import CliRunner

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.calibration.text_families import default_text_families, timed_text_families
from tokenexit.cli import app
from tokenexit.errors import UserError
from tokenexit.models.generation.generate_texts import encode_texts
from tokenexit.policies.base import walk
from tokenexit.training.drawn_steps import drawn_steps
from tokenexit.training.fit_gate_texts import draw_texts, fit_gate_texts
from tokenexit.training.strange_sources import strange

QUICK: dict[str, Any] = {"features": ["state", "place"], "inner": 4, "epochs": 2}
ASKS = policies.ContextGate


@pytest.fixture(scope="module")
def make(build: Any, words: Any) -> Any:
    """Factory of models with a tokenizer, in float32, which write twelve words."""

    def call(family: str = "t5", **options: Any) -> ExitModelForSeq2SeqLM:
        network = build(family, dtype=torch.float32).network
        tokenizer = words(network.config.pad_token_id)
        made = ExitModelForSeq2SeqLM.from_transformers(network, tokenizer, **options)
        made.configure(generation={"max_new_tokens": 12})
        return made.eval()

    return call


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Sources of one to eight words."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 9, (60,), generator=draw).tolist()
    return [" ".join(f"w{n}" for n in torch.randint(5, 90, (k,), generator=draw)) for k in lengths]


@pytest.fixture(scope="module")
def gate(make: Any, texts: Any) -> Any:
    return fit_gate_texts(make(), texts, **QUICK)


def middle(model: Any, texts: list[str]) -> float:
    """What half of the tokens at the first exit are told."""
    table = draw_texts(model, encode_texts(model, texts), 8)
    told, _ = model.context.step(table.signals(0, torch.arange(len(table))))
    return float(told.median())


@pytest.mark.parametrize("precision", [None, "int8"])
def test_what_is_drawn_is_what_the_model_writes(make, texts, precision):
    model = make("bart").use(precision)
    table = draw_texts(model, encode_texts(model, texts), 7)
    written = model.predict(texts, policy="never")
    assert len(table) == sum(len(text.token_ids) for text in written)
    assert table.sequence.unique().numel() == len(texts)
    assert table.hidden.shape == (3, len(table), 32)
    order = sorted(range(len(texts)), key=lambda n: len(texts[n].split()))
    expected = [token for n in order for token in written[n].token_ids]
    same = (table.said[-1] == torch.tensor(expected)).float().mean()
    assert same == 1 if precision is None else same > 0.98


def test_a_gate_learns_and_leaves_the_model_alone(make, texts, gate):
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert model.context is None
    assert not gate.of_logits
    assert gate.macs == (33 + 1) * 4
    assert gate.config.exits == (1, 2, 3)
    model.use_context(gate)
    own = {name: value for name, value in model.state_dict().items() if "context" not in name}
    assert all(torch.equal(value, before[name]) for name, value in own.items())
    found = model.predict(texts, policy=ASKS(middle(model, texts)))
    assert len({layer for text in found for layer in text.exit_layers}) > 1
    scored = model.generate(
        torch.tensor([[7, 8, 9, 2]]), policy=ASKS(1.0), return_dict_in_generate=True,
        max_new_tokens=5,
    ).work  # fmt: skip
    assert (scored.of("head")[1:] == 0).all()
    assert scored.of("context")[0] == 5 * gate.macs


def test_a_sure_gate_leaves_where_exits_agree(make, texts):
    model = make()
    table = draw_texts(model, encode_texts(model, texts), 32)
    gate = fit_gate_texts(model, texts, features=["state"], inner=16, epochs=60)
    wrong, _ = gate.step(table.signals(0, torch.arange(len(table))))
    off = table.said[0] != table.said[-1]
    assert 0 < off.float().mean() < 1
    assert wrong[off].mean() > wrong[~off].mean() + 0.1


@pytest.mark.parametrize(
    ("pending", "search"),
    [("lazy", {}), ("verify", {}), ("lazy", {"num_beams": 3}), ("lazy", {"do_sample": True})],
)
def test_it_stays_with_the_model(make, texts, gate, tmp_path, pending, search):
    made = make().use_context(gate)
    made.save_pretrained(tmp_path)
    loaded = ExitModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert loaded.context.config == made.context.config
    policy, found = ASKS(middle(made, texts)), []
    for model in (made, loaded):
        torch.manual_seed(3)
        found.append(model.predict(texts[:6], policy=policy, pending=pending, **search))
    assert found[0] == found[1]
    if pending == "verify":
        assert [t.token_ids for t in found[0]] == [
            t.token_ids for t in made.predict(texts[:6], policy="never")
        ]
    made.use_context(None).save_pretrained(tmp_path / "bare")
    bare = ExitModelForSeq2SeqLM.from_pretrained(tmp_path / "bare")
    with pytest.raises(UserError, match="reads a context gate, and the model has none"):
        bare.predict(texts[:1], policy="context_gate")


def test_the_rounds_that_follow_see_what_the_engine_shows(make, texts):
    """Nobody halts: what is drawn is what full depth shows. Everybody does: nothing goes deeper."""
    model = make("bart")
    gate = fit_gate_texts(model, texts, **QUICK)
    ids = encode_texts(model, texts)
    table = draw_texts(model, ids, 7)
    arrived, said = drawn_steps(model, gate, ids, 0.0, 7)
    assert torch.equal(said.said, table.said)
    for part in arrived:
        rows = torch.arange(len(table))
        expected, _ = gate.numbers(table.signals(part.exit, rows))
        assert torch.equal(part.rows.sort().values, rows)
        assert torch.equal(part.named, table.said[part.exit][part.rows])
        assert_close(part.numbers, expected[part.rows], atol=2e-2, rtol=2e-3)  # kept in half
    arrived, _ = drawn_steps(model, gate, ids, 1.0, 7)
    assert [part.exit for part in arrived] == [0]


def test_states_are_drawn_with_exits_on(make, texts):
    model, looks = make("t5"), ["state", "place", "last_depths", "last_doubts"]
    settings = {**QUICK, "features": looks, "reach": 3, "rounds": 2}
    gate = fit_gate_texts(model, texts, **settings)
    assert gate.config.steps == 3
    assert bool((gate.weight[..., -6:] != 0).any())
    ids = encode_texts(model, texts)
    halting = float(gate.step(draw_texts(model, ids, 8).signals(0, torch.arange(99)))[0].median())
    arrived, table = drawn_steps(model, gate, ids, halting, 8)
    assert len(arrived[0].rows) == len(table) > len(arrived[1].rows) > 0
    numbers, place = arrived[0].numbers, table.position[arrived[0].rows]
    depths, doubts = numbers[:, -6:-3], numbers[:, -3:]
    for back in range(3):
        there = place > back
        assert (depths[~there, back] == 0).all()
        assert set(depths[there, back].mul(4).tolist()) <= {1.0, 2.0, 3.0, 4.0}
        assert len(depths[there, back].unique()) > 1
        # Who left early was not doubted, and who reached the top was, at the last exit.
        deep = depths[there, back] == 1
        assert (doubts[there, back][deep] >= halting).all()
        assert (doubts[there, back][~deep] < halting).all()
    model.use_context(gate)
    told = model.predict(texts, policy=ASKS(halting))
    written = sum(len(text.token_ids) for text in told)
    assert written == len(table)
    left = sum(layer == 1 for text in told for layer in text.exit_layers)
    assert left == len(table) - len(arrived[1].rows)


def test_strange_sources_are_as_long_and_end_as_before():
    ids = [[5, 6, 7, 8, 2], [2], [9, 2]] * 20
    found = strange(ids, 0.5, 0)
    assert [len(row) for row in found] == [len(row) for row in ids]
    assert all(row[-1] == 2 for row in found)
    assert found != ids
    assert {token for row in found for token in row} == {2, 5, 6, 7, 8, 9}
    assert found == strange(ids, 0.5, 0) != strange(ids, 0.5, 1)


def test_of_another_model(make, texts, gate, build):
    with pytest.raises(UserError, match="fitted to exits after layers"):
        make(exit_layers=[1, 3]).use_context(gate)
    with pytest.raises(UserError, match="fitted to other heads"):
        make("bart").use_context(gate)
    model = make().use_context(gate)
    weight = model.network.get_decoder().block[2].layer[-1].DenseReluDense.wo.weight
    before = weight.detach().clone()
    model.predict(texts[:1], policy="context_gate")
    try:
        with torch.no_grad():
            weight.mul_(-1)
        with pytest.raises(UserError, match=r"layer 3.*differs"):
            model.predict(texts[:1], policy="context_gate")
    finally:
        with torch.no_grad():
            weight.copy_(before)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"features": ["margin"]}, "margin would score it. Choose from .*state"),
        ({"features": ["stat"]}, "Did you mean 'state'"),
        ({"reach": 1}, "none of its features does"),
        ({"reach": 17}, "context_gate.reach"),
        ({"neighbours": ["place"]}, "no neighbours"),
        ({"target": "right"}, "no gold word"),
        ({"rounds": 0}, "context_gate.rounds"),
        ({"features": ["state", "last_depths"], "rounds": 2}, "needs reach=4"),
        ({"features": ["state", "last_doubts"], "reach": 2}, "rounds=2 or more"),
        ({"inner": 4, "limit": 2}, "Give about"),
        ({"noise": 1.0}, "context_gate.noise"),
    ],
)
def test_mistakes(make, texts, settings, told):
    with pytest.raises(UserError, match=told):
        fit_gate_texts(make(), texts, **settings)


def test_without_exits_below_the_top(make, texts):
    with pytest.raises(UserError, match="no exit below the top"):
        fit_gate_texts(make(exit_layers=[4]), texts)


def test_calibration_tries_it(make, gate):
    def asking(families: Any) -> int:
        return sum(any(isinstance(q, ASKS) for q in walk(p)) for p in families)

    model = make()
    assert asking(default_text_families(model)) == asking(timed_text_families(model)) == 0
    model.use_context(gate)
    assert asking(default_text_families(model)) == 1
    assert asking(timed_text_families(model)) == 2


def test_on_the_command_line(make, texts, tmp_path):
    make().save_pretrained(tmp_path / "run")
    rows = [json.dumps({"source": text, "target": text}) for text in texts]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    done = CliRunner().invoke(
        app,
        ["fit-gate", str(tmp_path / "run"), "--data", str(tmp_path / "train.jsonl"),
         "--features", "state,last_depths", "--inner", "0", "--epochs", "1", "--reach", "2",
         "--rounds", "2", "--noise", "0.3"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "A gate of 34 numbers" in done.output
    model = ExitModelForSeq2SeqLM.from_pretrained(tmp_path / "run")
    assert model.context.config.features == ("state", "last_depths")
