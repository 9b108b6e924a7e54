"""The running product of exits, by hand and against a plain loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenexit import policies


def test_by_hand(trace_of):
    chances = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
    trace = trace_of(chances.log()[:, None])
    # Memory one half. After two exits the logarithm of the odds is (ln 9 + 0.5 ln 1) / 1.5 = 1.465,
    # so 0.812 to 0.188: a lead of 0.625. After three, (ln(2/3) + 0.5 * 2.197) / 1.75 = 0.396: the
    # average is still for the first class, against this exit.
    assert trace.halts(policies.Evidence(0.62)) == [[False], [True], [False]]
    assert trace.halts(policies.Evidence(0.63)) == [[False]] * 3


numbers = st.floats(-4, 4, width=32)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), layers=st.integers(1, 5), memory=st.floats(0, 1), threshold=st.floats(0, 1))
def test_against_a_plain_loop(data, layers, memory, threshold, trace_of):
    drawn = [[data.draw(numbers) for _ in range(3)] for _ in range(layers)]
    logits = torch.tensor(drawn, dtype=torch.float64)
    found = trace_of(logits[:, None].float()).halts(policies.Evidence(threshold, memory))
    for layer in range(layers):
        weights = torch.tensor([memory**age for age in range(layer, -1, -1)], dtype=torch.float64)
        said = logits[: layer + 1].log_softmax(-1)
        together = (weights[:, None] * said).sum(0) / weights.sum()
        first, second = together.softmax(-1).topk(2).values.tolist()
        top, now = together.topk(2).values.tolist(), logits[layer].topk(2).values.tolist()
        if min(abs(first - second - threshold), top[0] - top[1], now[0] - now[1]) < 1e-4:
            continue  # rounding may decide
        wanted = first - second > threshold and together.argmax() == logits[layer].argmax()
        assert found[layer] == [bool(wanted)]


@pytest.mark.parametrize("broken", [[torch.nan, 1.0], [5.0, -torch.inf]])
@pytest.mark.parametrize("memory", [0.0, 0.5, 1.0])
def test_a_broken_exit_is_forgotten(broken, memory, trace_of):
    trace = trace_of(torch.tensor([[broken], [[9.0, 0.0]]]))
    assert trace.halts(policies.Evidence(0.9, memory))[1] == [True]
