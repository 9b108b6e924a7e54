"""Rounds on fixed shapes give what rounds on exact shapes give."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from tokenexit import policies
from tokenexit.decoding.by_depth import EagerLanes, Schedule
from tokenexit.decoding.by_depth.room import RoundRows, SlotRoom
from tokenexit.decoding.by_depth.source import SlotSource
from tokenexit.decoding.by_depth.static import StaticLanes
from tokenexit.decoding.work import FIELDS
from tokenexit.errors import UserError
from tokenexit.models.generation.by_depth import corpus_by_depth
from tokenexit.static.graphs import Graphs

STEPS = 16
NAMES = "hash assigned margin saturation gate context depth patience decay shortlist nested never"


@pytest.fixture(scope="module")
def static(build: Any) -> Any:
    """Models with ``runtime="static"``."""
    made: dict[str, Any] = {}

    def get(family: str) -> Any:
        if family not in made:
            made[family] = copy.deepcopy(build(family)).use(runtime="static")
        return made[family]

    return get


@pytest.fixture
def same(build: Any, static: Any, corpus: Any, ends: Any, one_by_one: Any, by_depth: Any) -> Any:
    """Compares with ``generate`` in one batch, eagerly."""

    def check(family: str, policy: Any, search: Any = None, **told: Any) -> Any:
        eager = build(family)
        settings = {"max_new_tokens": STEPS, "eos_token_id": ends(eager, corpus), **(search or {})}
        texts, _, lanes = by_depth(static(family), corpus, policy, **settings, **told)
        assert texts == one_by_one(eager, corpus, policy, **settings)
        assert isinstance(lanes, StaticLanes)
        _, _, exact = by_depth(eager, corpus, policy, pending="eager", **settings, **told)
        for name in set(FIELDS) - {"head", "head_read"}:
            assert (lanes.work.of(name) == exact.work.of(name)).all(), name
        # All rows of a round are scored, so that one transfer says who left and with what.
        assert (lanes.work.of("head") >= exact.work.of("head")).all()
        return {layer for _, layers in texts for layer in layers}

    return check


@pytest.mark.parametrize("family", ["t5", "mt5", "bart", "mbart", "marian", "pegasus"])
@pytest.mark.parametrize("name", ["assigned", "margin"])
def test_texts_and_depths_of_every_family(same, build, choose, family, name):
    assert len(same(family, choose(build(family), name))) >= 3


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize("name", NAMES.split())
def test_texts_and_depths_under_further_policies(same, build, choose, family, name):
    same(family, choose(build(family), name))


@pytest.mark.parametrize(
    "told",
    [{"max_wait": 0}, {"batch_size": 1, "slots": 1}, {"slots": 40}, {"batch_size": 40}],
    ids=str,
)
def test_whatever_the_schedule(same, told):
    same("t5", policies.Hash(1, 4), **told)


@pytest.mark.parametrize(
    "search",
    [{"repetition_penalty": 1.8}, {"eos_token_id": None, "max_new_tokens": 70}],
    ids=lambda search: next(iter(search)),
)
def test_with_further_arguments(same, search):
    same("bart" if "max_new_tokens" not in search else "t5", policies.Hash(1, 4), search)


class _Replayed:
    """Stands for a capture: the same work again, on the memory it was captured with."""

    def __init__(self, work: Any) -> None:
        self.replay = work


def test_captures_are_few_and_of_the_memory_that_is_used(build, corpus, one_by_one, ends):
    """What is replayed is the work that was captured: its rows, stores and sources are in use."""
    model = build("t5")
    policy = policies.Hash(1, 4)
    settings = {"max_new_tokens": STEPS, "eos_token_id": ends(model, corpus)}
    captured: list[Any] = []

    def capture(work: Any) -> _Replayed:
        captured.append(work)
        return _Replayed(work)

    with torch.inference_mode():
        memory = model.decoder.encode(corpus.input_ids, corpus.mask)
    lanes = StaticLanes(
        model.decoder, model.exits(model.decoder), policy, len(memory), memory.device,
        max_steps=STEPS, take=lambda *sizes: SlotRoom(*sizes, Graphs(capture, 128)),
    )  # fmt: skip
    texts = write(lanes, memory, corpus.mask, model.start_token, set(settings["eos_token_id"]))
    assert texts == one_by_one(model, corpus, policy, **settings)
    # Four segments and three layers to copy from, in at most five sizes of rows and one width.
    assert 4 <= len(captured) <= (4 + 3) * 5


def write(lanes: Any, memory: Any, mask: Any, start: int, ends: set[int]) -> Any:
    """The loop of somebody who writes his own: all texts at once, four a round."""
    count = len(memory)
    schedule, texts = Schedule(lanes.segments, 4, 3), [([], []) for _ in range(count)]
    slots = torch.arange(count).numpy()
    with torch.inference_mode():
        lanes.admit(slots, memory, mask)
        lanes.read(slots, torch.full((count,), start))
        schedule.wait(0, range(count))
        while len(schedule):
            planned = schedule.next()
            rows = torch.tensor(planned.rows).numpy()
            left = lanes.run(planned.segment, rows, lambda which, logits: logits.argmax(dim=-1))
            schedule.wait(planned.segment + 1, rows[~left.gone]) if not left.gone.all() else None
            going = []
            for slot, token in zip(rows[left.gone].tolist(), left.told, strict=True):
                texts[slot][0].append(token)
                texts[slot][1].append(left.layer)
                if token not in ends and len(texts[slot][0]) < STEPS:
                    going.append(slot)
            if going:
                tokens = torch.tensor([texts[slot][0][-1] for slot in going])
                lanes.read(torch.tensor(going).numpy(), tokens)
                schedule.wait(0, going)
    return texts


def test_no_host_read_within_a_round(build, monkeypatch):
    """On the ``meta`` device there are no numbers to read."""
    model = copy.deepcopy(build("t5")).to("meta")
    lanes = StaticLanes(
        model.decoder, model.exits(model.decoder), policies.Never(), 3, torch.device("meta"),
        max_steps=8,
    )  # fmt: skip
    like = torch.zeros(3, 4, 32, dtype=torch.float64, device="meta")
    source = SlotSource(model.decoder, 4, like)
    source._read = [
        tuple(torch.zeros(4, 4, 4, 8, dtype=torch.float64, device="meta") for _ in range(2))
    ] * 4
    lanes._source = source
    rows = RoundRows(3, 3, 32, like)
    with torch.inference_mode():
        lanes._run(rows, range(4), 8)
        lanes._copy(rows, 2)
    with pytest.raises(RuntimeError):
        rows.at.tolist()


def test_memory_is_used_again_and_never_by_two(static, build, corpus, one_by_one, ends):
    model, policy = static("bart"), policies.Hash(1, 4)
    settings = {"max_new_tokens": STEPS, "eos_token_id": ends(build("bart"), corpus)}
    rows = zip(corpus.input_ids, corpus.mask, strict=True)
    ids = [row[mask.bool()].tolist() for row, mask in rows]
    expected = one_by_one(build("bart"), corpus, policy, **settings)

    def begin() -> Any:
        found = corpus_by_depth(
            model, iter(ids), policy, pending="lazy", batch_size=5, num_beams=1, **settings
        )
        assert found is not None
        return found

    first, second = begin(), begin()
    rooms = [lanes._room for _, lanes in (first, second)]
    assert rooms[0] is not rooms[1]
    texts = list(zip(first[0], second[0], strict=True))  # turn and turn about
    for place in (0, 1):
        assert [(pair[place].tokens, pair[place].exit_layers) for pair in texts] == expected
    third, _ = begin(), None
    assert third[1]._room in rooms
    assert [(text.tokens, text.exit_layers) for text in third[0]] == expected


@pytest.mark.parametrize("runtime", ["eager", "static"])
def test_what_is_no_number_does_not_outlive_its_text(static, build, corpus, runtime, choose):
    """A half that ran over in one text, left in a slot, would spread through a mask."""
    model = build("t5") if runtime == "eager" else static("t5")
    parts = model.decoder, model.exits(model.decoder), policies.Hash(1, 4), 13, torch.device("cpu")
    with torch.inference_mode():
        memory = model.decoder.encode(corpus.input_ids, corpus.mask)
    kind = EagerLanes if runtime == "eager" else StaticLanes
    lanes = kind(*parts, max_steps=STEPS)
    ends = {-1}
    write(lanes, memory, corpus.mask, model.start_token, ends)
    stores = lanes.cache._stores if runtime == "eager" else lanes._room.stores
    read = [part for pair in lanes._source._read if pair is not None for part in pair]
    with torch.inference_mode():
        for store in (*stores, *read, lanes._source.memory):
            if store is not None:
                store.fill_(float("nan"))
    short = memory[:, :9], corpus.mask[:, :9]
    fresh = kind(*parts, max_steps=STEPS)
    assert write(lanes, *short, model.start_token, ends) == write(
        fresh, *short, model.start_token, ends
    )


def test_texts_too_long_for_memory(static, corpus, by_depth):
    with pytest.raises(UserError, match='runtime="static" holds at most texts of 4096 tokens'):
        by_depth(static("t5"), corpus, policies.Hash(1, 4), max_new_tokens=5000)
