"""The head of the multi-perspective method, by hand."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tokenexit.heads.recycled import RecycledHead


def test_what_earlier_classifiers_read_is_recycled():
    torch.manual_seed(0)
    head, state, past = RecycledHead(4, 2, place=3).eval(), torch.randn(5, 4), torch.randn(5, 3, 4)
    begun = head.project(state.tanh())
    assert torch.equal(head(state, past), begun)  # it starts with its own state
    assert head.memory is not None
    torch.nn.init.normal_(head.memory.weight)
    mean = (past[:, 0] + past[:, 1] + past[:, 2]) / 3
    expected = head.project((state + F.linear(mean, head.memory.weight)).tanh())
    torch.testing.assert_close(head(state, past), expected)
    assert head.macs == 2 * 16 + 8
    assert RecycledHead(4, 2).macs == 16 + 8  # the first has nothing to remember
