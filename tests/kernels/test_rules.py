"""What kernels decide by a rule, on given logits: as the rule's reference in torch."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tokenexit import policies, scores
from tokenexit.halting.compiled.rules import KNOWN, as_compiled
from tokenexit.policies import Policy
from tokenexit.policies.rule import Network, Rule, one_score
from tokenexit.policies.rule_decide import Seen, begin, decide

LAYERS = 5
NAMES = ("O", "B-PER", "B-LOC", *(f"I-{number}" for number in range(20)))
CLOSE = {"rtol": 2e-5, "atol": 2e-6, "equal_nan": True}
"""Of numbers of another order of adding and another exponential."""

STATED: list[Policy] = [
    *(
        kind(value)
        for kind in (policies.Entropy, policies.MaxProb, policies.Margin)
        for value in (0.0, 0.3, 0.8, 1.0)
    ),
    *map(policies.Energy, (-1e9, -3.0, 1e9)),
    policies.Patience(1),
    policies.Patience(2),
    policies.PCEE(policies.Entropy(0.7), 2),
    policies.AssignedDepth(3),
    policies.Hash(1, 4),
    policies.FromLayer(policies.RandomExit(0.4), 2),
    policies.PerLayer.thresholds(policies.MaxProb(), [0.9, 0.7, 0.5]),
    policies.EveryKth(policies.PCEE(policies.Margin(0.3), 2), 2),
]
IN_TEXTS: list[Policy] = [
    policies.ValuePatience(0.5, 2),
    policies.PerClass(policies.Entropy(0.3), {"O": policies.Entropy(0.8)}),
    policies.PerClass(policies.Margin(0.3), {"B-*": policies.Never()}),
    policies.Window(policies.Entropy(0.7), 3),
    policies.Window(policies.Patience(1), 5),
    policies.Window(policies.PCEE(policies.MaxProb(0.5), 2), 99),
    policies.PerSentence(policies.Entropy(0.8)),
    policies.PerSentence(policies.Patience(1)),
    policies.PerSentence(policies.Entropy(0.6), how="mean"),
    policies.PerSentence(policies.MaxProb(0.6), how="mean"),
]


@pytest.fixture(scope="session")
def encoder(compiled: Callable[..., Any], isa: str) -> Any:
    return compiled("encoder_rule", isa)


def draw(seed: int, rows: int, classes: int, share: float) -> Tensor:
    """Logits ``[L, N, C]``, sharper with depth, of which some are ties and some no numbers."""
    random = torch.Generator().manual_seed(seed)
    sharp = torch.linspace(1.0, 5.0, LAYERS)[:, None, None]
    liked = torch.randn(rows, classes, generator=random)
    logits = sharp * (liked + 0.5 * torch.randn(LAYERS, rows, classes, generator=random))
    for value in (math.nan, math.inf, -math.inf):
        logits[torch.rand(logits.shape, generator=random) < share] = value
    tied = torch.rand(logits.shape[:2], generator=random) < share
    logits[tied] = logits[tied].amax(dim=-1, keepdim=True)
    return logits


class Words:
    """Words of a few texts that leave one after the other."""

    def __init__(self, rule: Rule, seed: int, lengths: tuple[int, ...]) -> None:
        random = torch.Generator().manual_seed(seed)
        self.sequence = torch.repeat_interleave(torch.tensor(lengths))
        self.position = torch.cat([torch.arange(length) for length in lengths])
        item = torch.randint(30, (len(self.sequence),), generator=random)
        self.depths = None if rule.depths is None else rule.depths(item, self.position)
        self.alive = torch.arange(len(self.sequence))

    def seen(self, rule: Rule, logits: Tensor) -> dict[str, Any]:
        """What the reference is shown of those still there."""
        depths = None if self.depths is None else self.depths[self.alive].float()
        return {
            "logits": logits if depths is None else None,
            "number": depths,
            "sequence": self.sequence[self.alive],
            "position": self.position[self.alive],
        }


def ask_encoder(
    library: Any, rule: Rule, layer: int, words: Words, logits: Tensor, kept: Any
) -> Any:
    """Who halts, ``[N]``, and the numbers of all; ``kept`` is written to."""
    whole, rows = as_compiled(rule), len(logits)
    depths = None if words.depths is None else words.depths.to(torch.int32).numpy()
    struct = whole.struct(depths)
    struct.thresholds = whole.thresholds[layer - 1 :].ctypes.data
    counts = torch.unique(words.sequence[words.alive], return_counts=True)[1]
    first = np.concatenate([[0], counts.cumsum(0).numpy()]).astype(np.int32)
    place = words.position[words.alive].to(torch.int32).numpy()
    numbers = words.alive.to(torch.int32).numpy()
    found, gone = np.zeros(rows, np.float32), np.zeros(rows, np.uint8)
    given = (logits.numpy(), first, place, numbers, *kept, found, gone)
    at = [ctypes.c_void_p(array.ctypes.data) for array in given]
    library.encoder_rule(ctypes.byref(struct), rows, logits.shape[1], at[0], len(counts), *at[1:])
    return gone.astype(bool), found


@pytest.mark.parametrize("share", [0.0, 0.04])
@pytest.mark.parametrize("policy", [*STATED, *IN_TEXTS], ids=repr)
def test_encoders_decide_as_the_reference(policy: Policy, share: float, encoder: Any):
    left = 0
    for seed, classes in enumerate((4, 19)):
        rule = policy.as_rule(LAYERS, classes, NAMES[:classes])
        assert rule is not None
        assert rule.score in KNOWN
        words = Words(rule, seed, (7, 1, 0, 12, 3))
        table = draw(seed, len(words.sequence), classes, share)
        remembered = begin(rule, len(words.sequence))
        kept = [
            np.full(len(words.sequence), math.nan if rule.score == "change" else -1, np.float32),
            np.zeros(len(words.sequence), np.int32),
        ]
        for layer in filter(lambda layer: rule.asked[layer - 1], range(1, LAYERS + 1)):
            logits = table[layer - 1][words.alive].contiguous()
            seen = words.seen(rule, logits)
            halt, remembered = decide(rule, layer, remembered, Seen(**seen))
            gone, _ = ask_encoder(encoder, rule, layer, words, logits, kept)
            assert gone.tolist() == halt.tolist(), layer
            left += int(halt.sum())
            words.alive, remembered = words.alive[~halt], remembered.of(~halt)
            kept = [np.ascontiguousarray(array[~gone]) for array in kept]
    closed = policy in (policies.Entropy(0.0), policies.MaxProb(1.0), policies.Margin(1.0))
    assert closed == (left == 0) or policy == policies.Energy(-1e9)


@pytest.mark.parametrize("share", [0.0, 0.04])
@pytest.mark.parametrize("name", ["entropy", "max_prob", "margin", "energy"])
def test_numbers_of_encoders(name: str, share: float, encoder: Any):
    for classes in (2, 9, 16, 40):
        table = draw(classes, 200, classes, share)
        rule = one_score(Network(classes, (), (True,)), name, 0.5, True)
        words = Words(rule, 0, (200,))
        for logits in (*table, 30.0 * table[-1], -1e30 * table[-1].sign()):
            kept = [np.zeros(200, np.float32), np.zeros(200, np.int32)]
            _, found = ask_encoder(encoder, rule, 1, words, logits.contiguous(), kept)
            known = getattr(scores, name)(logits)
            if name == "energy":  # of nothing to choose from: no number is as little sure
                known = known.masked_fill(known == math.inf, math.nan)
            np.testing.assert_allclose(found, known.numpy(), **CLOSE)
