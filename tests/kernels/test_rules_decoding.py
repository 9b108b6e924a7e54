"""What kernels decide by a rule about sequences: as the rule's reference in torch."""

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
from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.rule import SCORES
from tokenexit.policies import Policy
from tokenexit.policies.rule import Rule
from tokenexit.policies.rule_decide import Seen, begin, decide

LAYERS, ROWS, PART = 5, 12, 32
CLOSE = {"rtol": 2e-5, "atol": 2e-6, "equal_nan": True}

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
    policies.PerLayer.thresholds(policies.MaxProb(), [0.9, 0.7, 0.5]),
    policies.EveryKth(policies.PCEE(policies.Margin(0.3), 2), 2),
    policies.Decay(policies.Margin(0.6)),
]


@pytest.fixture(scope="session")
def decoder(compiled: Callable[..., Any], isa: str) -> Any:
    return compiled("decoder_rule", isa)


def draw(seed: int, words: int, share: float) -> Tensor:
    """Logits ``[L, N, V]``, sharper with depth, of which some are ties and some no numbers."""
    random = torch.Generator().manual_seed(seed)
    sharp = torch.linspace(1.0, 5.0, LAYERS)[:, None, None]
    liked = torch.randn(ROWS, words, generator=random)
    logits = sharp * (liked + 0.3 * torch.randn(LAYERS, ROWS, words, generator=random))
    logits[torch.rand(logits.shape, generator=random) < share] = -math.inf
    logits[torch.rand(logits.shape, generator=random) < share / words] = math.nan
    tied = torch.rand(logits.shape[:2], generator=random) < share
    logits[tied] = logits[tied].clamp_max(logits[tied].nan_to_num().mean())
    return logits


def ask(library: Any, rule: Rule, layer: int, logits: Tensor, kept: list[Any]) -> tuple[Any, Any]:
    """Who halts, ``[N]``, and the numbers of all; ``kept`` is written to."""
    lines = rule.lines()
    struct = structs.Rule(
        score=SCORES.index(rule.score),
        low=rule.low,
        patience=rule.patience,
        classes=lines.shape[1],
        steps=1,
        thresholds=lines.ctypes.data,
    )
    rows, words = logits.shape
    found, gone = np.zeros(rows, np.float32), np.zeros(rows, np.uint8)
    given = (logits.numpy().copy(), *kept, found, gone)
    at = [ctypes.c_void_p(array.ctypes.data) for array in given]
    library.decoder_rule(ctypes.byref(struct), layer, LAYERS, rows, words, PART, *at)
    return gone.astype(bool), found


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize("policy", STATED, ids=repr)
def test_decoders_decide_as_the_reference(policy: Policy, share: float, decoder: Any):
    for seed, words in enumerate((20, 100)):
        general = policy.as_rule(LAYERS, words)
        assert general is not None
        rule = general.at_step(seed, 4)
        item = torch.randint(30, (ROWS,), generator=torch.Generator().manual_seed(seed))
        depths = None if rule.depths is None else rule.depths(item, torch.zeros_like(item))
        assigned = torch.zeros(ROWS, dtype=torch.int32) if depths is None else depths.int()
        kept = [np.full(ROWS, -1, np.int32), np.zeros(ROWS, np.int32), assigned.numpy()]
        table, remembered, alive = draw(seed, words, share), begin(rule, ROWS), torch.arange(ROWS)
        for layer in filter(lambda layer: rule.asked[layer - 1], range(1, LAYERS + 1)):
            logits = table[layer - 1][alive]
            seen: dict[str, Any] = {"logits": logits}
            if depths is not None:
                seen = {"number": depths[alive].float()}
            halt, remembered = decide(rule, layer, remembered, Seen(**seen))
            gone, _ = ask(decoder, rule, layer, logits, kept)
            assert gone.tolist() == halt.tolist(), layer
            alive, remembered = alive[~halt], remembered.of(~halt)
            kept = [np.ascontiguousarray(array[~gone]) for array in kept]


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize(
    "policy",
    [policies.Entropy(), policies.MaxProb(), policies.Margin(), policies.Energy()],
    ids=repr,
)
def test_numbers_of_decoders(policy: Policy, share: float, decoder: Any):
    for words in (2, 16, 33, 100):
        rule = policy.as_rule(LAYERS, words)
        assert rule is not None
        table = draw(words, words, share)
        for logits in (*table, 30.0 * table[-1]):
            kept = [np.full(ROWS, -1, np.int32), *(np.zeros(ROWS, np.int32) for _ in range(2))]
            _, found = ask(decoder, rule, 1, logits, kept)
            known = getattr(scores, rule.score)(logits)
            if rule.score == "energy":  # of nothing to choose from: no number is as little sure
                known = known.masked_fill(known == math.inf, math.nan)
            np.testing.assert_allclose(found, known.numpy(), **CLOSE)
