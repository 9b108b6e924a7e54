"""How often a step waits for the device: once after each exit that is asked, and never else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from tokenexit import policies
from tokenexit.decoders import DECODERS, adapt_decoder
from tokenexit.decoding import DecodingSettings
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.search import Stopping
from tokenexit.decoding.static import StaticDecoder, StaticDecoding
from tokenexit.decoding.static.reads import Reads
from tokenexit.gates import LinearGate


class Told(Reads):
    """What the host would be told: that nobody has left, and no text has ended.

    Args:
        after: Layer after which all have left, if any.
    """

    def __init__(self, after: int = 0) -> None:
        super().__init__(torch.device("cpu"))
        self._after, self.sent = after, 0

    def fetch(self, numbers: torch.Tensor) -> Any:
        self.waited += 1
        # Where rows left; or, at the end of a search, how many texts went on.
        return np.full(numbers.shape, self._after if numbers.shape == (4,) else 1)

    def send(self, key: int, number: torch.Tensor) -> None:
        self.sent += 1

    def arrived(self, key: int) -> int:
        return 1


def begun(policy: Any, after: int = 0, fetched: bool = True, pending: Any = "lazy") -> Any:
    """A decoding without numbers: whoever looks at one fails, and no copy goes unseen."""
    config = DECODERS.get("t5").example_config("t5")
    decoder = adapt_decoder(AutoModelForSeq2SeqLM.from_config(config).eval().to("meta"))
    exits = Exits(decoder, (1, 2, 3), LinearGate(32).to("meta"))
    static = StaticDecoder(decoder, exits, fetched=fetched)
    memory = torch.zeros(3, 7, 32, device="meta")
    decoding = StaticDecoding(static, memory, None, DecodingSettings(policy, pending, 40))
    decoding.reads = Told(after)
    return decoding


def stopping(most: int) -> Stopping:
    return Stopping([MaxLengthCriteria(most), EosTokenCriteria([2, 5])])


ASKED = [
    (policies.Never(), 0),
    (policies.Margin(0.5), 3),
    (policies.FromLayer(policies.Margin(0.5), 3), 1),
    (policies.EveryKth(policies.Saturation(0.5), 2), 1),
    (policies.Hash(1, 4), 3),
    (policies.Decay(policies.Entropy(0.5)), 3),
    (policies.Shortlist(policies.Margin(0.5), 8), 3),
]


@pytest.mark.parametrize(
    ("policy", "exits", "pending"), [*((*one, "lazy") for one in ASKED), (*ASKED[1], "eager")]
)
def test_greedy_search_waits_after_asked_exits_alone(seen, policy, exits, pending):
    """Steps over a border of lengths, in which nothing but that crosses to the host."""
    decoding = begun(policy, pending=pending)
    prompt = torch.zeros(3, 1, dtype=torch.long, device="meta")
    copies = []
    for most in (3, 4, 30):  # the first makes tables and memory
        before = decoding.reads.waited, decoding.reads.sent, decoding.length
        with seen("meta") as noted:
            tokens, layers = decoding.greedy(prompt, [], stopping(most), None)
        steps = decoding.length - before[2]
        assert (tokens.shape[1], len(layers)) == (most, most - 1) == (steps + 1, steps)
        # Twice at the end: when all had ended, and where they left.
        assert decoding.reads.waited - before[0] == exits * steps + 2
        assert decoding.reads.sent - before[1] == steps
        assert not noted.reads
        copies.append(len(noted.copies))
    # As many at the ends of a long search as of a short one, and none in between.
    assert copies[1] == copies[2] or isinstance(policy, policies.Decay)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_step_ends_where_nobody_is_left(after):
    decoding = begun(policies.Margin(0.5), after)
    tokens = torch.zeros(3, dtype=torch.long, device="meta")
    for number in range(1, 4):
        step = decoding.step(tokens)
        assert decoding.reads.waited == number
        assert step.exit_layers.tolist() == [after] * 3


@pytest.mark.parametrize(("policy", "exits"), ASKED, ids=repr)
def test_nothing_fetched_within_a_step(policy, exits):
    decoding = begun(policy, fetched=False)
    tokens = torch.zeros(3, dtype=torch.long, device="meta")
    for number in range(1, 4):
        decoding.step(tokens)
        assert decoding.reads.waited == number * (exits > 0)
    decoding = begun(policy, fetched=False)
    prompt = torch.zeros(3, 1, dtype=torch.long, device="meta")
    decoding.greedy(prompt, [], stopping(9), None)
    assert decoding.reads.waited == 2


def test_real_runs_wait_as_often(build, static, sources, choose):
    """The same where there are numbers: once for each exit that somebody was left before."""
    model = static("t5")
    for name in ("margin", "hash", "never"):
        policy = choose(build("t5"), name)
        decoding = model.start(**sources.inputs, policy=policy, max_steps=8)
        for tokens in sources.tokens.T:
            before = decoding.reads.waited
            deepest = int(decoding.step(tokens).exit_layers.max())
            assert decoding.reads.waited - before == (0 if name == "never" else min(deepest, 3))


def test_what_was_sent_arrives_once():
    reads = Reads(torch.device("cpu"))
    number = torch.tensor([7])
    reads.send(3, number)
    number.fill_(8)
    assert reads.arrived(3) == 7
    assert reads.arrived(3) is None
    assert reads.waited == 0
    assert reads.fetch(number).tolist() == [8]
    assert reads.waited == 1
