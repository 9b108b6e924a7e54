"""Own decoders: step, reorder, fork, and rows that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.decoding import PENDING
from tokenexit.decoding.reference import decode_plain
from tokenexit.errors import UserError

CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}


class Walk:
    """A decoding, and what every row has gone through, kept beside it in plain lists.

    Args:
        model: The generator.
        sources: One row each to begin with.
        policy: Who halts.
        pending: What pending tokens give.
    """

    def __init__(self, model: Any, sources: Any, policy: Any, pending: str) -> None:
        self.model, self.sources, self.policy, self.pending = model, sources, policy, pending
        self.decoding = model.start(**sources.inputs, policy=policy, pending=pending)
        # Of each row: its source, its tokens with what they gave, and whether it goes on.
        self.rows: list[tuple[int, list[tuple[int, Tensor, int]], bool]] = [
            (row, [], True) for row in range(len(sources.input_ids))
        ]
        self._draw = torch.Generator().manual_seed(2)

    def step(self, ended: Sequence[int] = ()) -> None:
        """Feed random tokens; some rows end before."""
        self.rows = [
            (source, past, going and row not in ended)
            for row, (source, past, going) in enumerate(self.rows)
        ]
        live = torch.tensor([going for _, _, going in self.rows])
        tokens = torch.randint(5, 90, (len(self.rows),), generator=self._draw)
        step = self.decoding.step(tokens, live=None if live.all() else live)
        for row, (_, past, going) in enumerate(self.rows):
            if going:
                past.append((int(tokens[row]), step.logits[row], int(step.exit_layers[row])))
            else:
                assert step.exit_layers[row] == 0
                assert not step.logits[row].any()

    def reorder(self, index: Sequence[int]) -> None:
        self.decoding.reorder(torch.tensor(index))
        self._copy(index)

    def fork(self, count: int) -> None:
        self.decoding.fork(count)
        self._copy([row for row in range(len(self.rows)) for _ in range(count)])

    def _copy(self, index: Sequence[int]) -> None:
        self.rows = [(s, [*past], going) for s, past, going in (self.rows[i] for i in index)]

    def check(self) -> Tensor:
        """Every row that goes on equals the reference of its own tokens; returns exit layers."""
        assert self.decoding.num_rows == len(self.rows)
        going = [(source, past) for source, past, alive in self.rows if alive]
        assert going
        origin = torch.tensor([source for source, _ in going])
        tokens = torch.tensor([[token for token, _, _ in past] for _, past in going])
        assert tokens.shape[1] == self.decoding.length
        with torch.no_grad():
            memory = self.model.decoder.encode(self.sources.input_ids, self.sources.mask)
        rule: Any = "parallel" if self.pending == "parallel" else "eager"
        exits = self.model.exits(self.model.decoder)
        logits, layers = decode_plain(
            self.model.decoder, exits, memory[origin], self.sources.mask[origin], tokens,
            self.policy, pending=rule,
        )  # fmt: skip
        assert layers.tolist() == [[layer for _, _, layer in past] for _, past in going]
        assert_close(
            torch.stack([torch.stack([found for _, found, _ in past]) for _, past in going]),
            logits,
            **CLOSE,
        )
        return layers


@pytest.mark.parametrize("pending", ["lazy", "parallel"])
def test_a_walk_through_everything(model, sources, pending, choose):
    walk = Walk(model, sources, choose(model, "margin"), pending)
    walk.step()
    walk.step()
    walk.fork(2)
    walk.step()
    walk.reorder([1, 1, 3, 2, 4, 4, 7, 6])  # within sources
    walk.step()
    walk.reorder([5, 0, 7, 2, 2, 1, 0, 6])  # across them: two are without rows from now on
    walk.step()
    assert len(walk.check().unique()) >= 3
    walk.step(ended=[0, 5])
    walk.reorder([0, 6, 2, 3, 3, 4, 1, 7])  # one that has ended is replaced, one stays
    walk.step()
    walk.step(ended=[2, 3, 4, 5])  # half of them: the storage is made smaller
    walk.reorder([7, 3, 1, 6, 7, 0, 2, 1])  # three that are stored no more among them
    walk.step()
    walk.fork(3)
    walk.step()
    walk.check()


@pytest.mark.parametrize("name", ["never", "hash", "saturation", "patience"])
def test_a_shorter_walk_with_further_policies(some_model, sources, name, choose):
    for pending in PENDING:
        walk = Walk(some_model, sources, choose(some_model, name), pending)
        walk.step()
        walk.fork(2)
        walk.step(ended=[3])
        walk.reorder([6, 1, 1, 3, 7, 5, 0, 4])
        walk.step(ended=[1, 2, 6])
        walk.reorder([4, 0, 4, 1, 5])  # fewer rows than before
        walk.step()
        walk.check()


@pytest.mark.parametrize("pending", PENDING)
def test_forked_rows_equal_rows_started_apart(some_model, sources, pending, choose):
    policy = choose(some_model, "margin")
    index = torch.arange(4).repeat_interleave(3)
    forked = some_model.start(**sources.inputs, policy=policy, pending=pending)
    forked.fork(3)
    apart = some_model.start(**sources.take(index).inputs, policy=policy, pending=pending)
    for seed in range(4):
        tokens = torch.randint(5, 90, (12,), generator=torch.Generator().manual_seed(seed))
        mine, theirs = forked.step(tokens), apart.step(tokens)
        assert torch.equal(mine.exit_layers, theirs.exit_layers)
        assert_close(mine.logits, theirs.logits, **CLOSE)
    assert forked.work.of("cross_projected").sum() * 3 == apart.work.of("cross_projected").sum()


def test_rows_end_one_after_the_other(model, sources, choose):
    walk = Walk(model, sources, choose(model, "two_stage"), "lazy")
    walk.step()
    stored = []
    for ended in ([], [2], [], [0], [3], []):
        walk.step(ended=ended)
        walk.check()
        stored.append(len(walk.decoding.cache))
    assert stored == [4, 4, 4, 2, 1, 1]


def test_reorder_to_itself_moves_nothing(build, sources):
    walk = Walk(build("t5"), sources, policies.Hash(1, 4), "lazy")
    walk.step()
    before = walk.decoding.cache._stores[0]
    walk.reorder(range(4))
    assert walk.decoding.cache._stores[0] is before
    walk.fork(1)
    walk.step()
    walk.check()


def test_a_policy_for_one_step(build, sources, choose):
    model = build("bart")
    margin = choose(model, "margin")
    decoding = model.start(**sources.inputs, policy=margin, max_steps=4)
    tokens = sources.tokens[:, 0].contiguous()
    expected = model.start(**sources.inputs, policy="never").step(tokens)
    for policy in ("never", {"name": "assigned_depth", "depth": 4}, policies.AssignedDepth(1)):
        depth = 1 if isinstance(policy, policies.AssignedDepth) else 4
        step = decoding.step(tokens, policy=policy)
        assert step.exit_layers.tolist() == [depth] * 4
        if decoding.length == 1:
            assert_close(step.logits, expected.logits)
    assert (decoding.num_rows, decoding.length, decoding.policy) == (4, 3, margin)


def test_the_saved_policy_and_rule_are_used(build, sources):
    model = build("mbart")
    saved = model.settings
    try:
        model.configure(policy=policies.AssignedDepth(2), pending="parallel")
        decoding = model.start(**sources.inputs, token_type_ids=1)
        assert decoding.pending == "parallel"
        assert decoding.step(sources.tokens[:, 0]).exit_layers.tolist() == [2] * 4
    finally:
        model.settings = saved


# --- mistakes -------------------------------------------------------------------------------


@pytest.fixture
def decoding(build: Any, sources: Any) -> Any:
    """One step in, of four rows."""
    decoding = build("bart").start(**sources.inputs, policy=policies.Hash(1, 4))
    decoding.step(sources.tokens[:, 0])
    return decoding


@pytest.mark.parametrize("shape", [(3,), (4, 1), ()])
def test_wrong_number_of_tokens(decoding, shape):
    with pytest.raises(UserError, match=r"There are 4 sequences.*token_ids of shape \[4\]"):
        decoding.step(torch.full(shape, 7))
    with pytest.raises(UserError, match=r"There are 4 sequences.*live of shape \[4\]"):
        decoding.step(torch.full((4,), 7), live=torch.ones(shape, dtype=torch.bool))


def test_steps_after_the_end(decoding):
    tokens = torch.full((4,), 7)
    decoding.step(tokens, live=torch.tensor([True, False, True, True]))
    with pytest.raises(UserError, match="say with live which ones go on"):
        decoding.step(tokens)
    with pytest.raises(UserError, match="that has ended cannot take another step"):
        decoding.step(tokens, live=torch.ones(4, dtype=torch.bool))
    with pytest.raises(UserError, match="that has ended cannot take another step"):
        decoding.step(tokens, live=torch.zeros(4, dtype=torch.bool))
    decoding.step(tokens, live=torch.tensor([True, False, False, True]))


def test_a_decoding_whose_rows_have_all_ended(decoding):
    tokens = torch.full((4,), 7)
    decoding.step(tokens, live=torch.tensor([True, False, False, False]))
    decoding.reorder(torch.tensor([1, 2, 3, 3]))
    for live in (None, torch.ones(4, dtype=torch.bool)):
        with pytest.raises(UserError, match="ended"):
            decoding.step(tokens, live=live)


@pytest.mark.parametrize(
    "index",
    [[0, 1, 2, 4], [-1, 0, 1, 2], [[0, 1, 2, 3]], [0.5, 1, 2, 3], [True, False, True, True], []],
    ids=str,
)
def test_reorder_out_of_range(decoding, index):
    with pytest.raises(UserError, match="reorder takes a list of sequences from 0 to 3"):
        decoding.reorder(torch.tensor(index))


@pytest.mark.parametrize("count", [0, -1, True, 2.0, None])
def test_fork_into_nothing(decoding, count):
    with pytest.raises(UserError, match="fork makes 1 or more"):
        decoding.fork(count)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (policies.Decay(), "no largest number of steps"),
        (policies.Window(), "no meaning for generated tokens"),
        (policies.Oracle(), "gold labels"),
        ("entropi", "Did you mean 'entropy'"),
    ],
)
def test_a_step_that_fails_leaves_no_trace(build, sources, policy, message, plain):
    model, never = build("bart"), policies.Never()
    decoding = model.start(**sources.inputs, policy=never)
    steps = []
    for tokens in sources.tokens.T:
        with pytest.raises(UserError, match=message):
            decoding.step(tokens.flip(0), policy=policy)
        steps.append(decoding.step(tokens))
    expected, _ = plain(model, sources, never)
    assert_close(torch.stack([step.logits for step in steps], dim=1), expected, **CLOSE)


def test_more_tokens_than_places(build, make_sources):
    decoding = build("bart").start(**make_sources((3,)).inputs, policy=policies.AssignedDepth(1))
    tokens = torch.tensor([7])
    for _ in range(64):
        decoding.step(tokens)
    for _ in range(2):
        with pytest.raises(UserError, match="places for 64 tokens"):
            decoding.step(tokens)
    assert decoding.length == 64
