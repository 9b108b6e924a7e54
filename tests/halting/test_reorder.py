"""Heads and neurons in another order change nothing, and their importance is that of masks."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.testing import assert_close

from tokenexit.backbones import adapt
from tokenexit.backbones.reorder import own_weights, reorder
from tokenexit.training.importance import Importance


def scores(backbone: Any) -> torch.Tensor:
    ids = torch.randint(5, 30, (3, 9), generator=torch.Generator().manual_seed(1))
    hidden = backbone.embed(ids, torch.arange(9).expand(3, -1))
    context = backbone.context(hidden, torch.ones_like(ids))
    for index in range(backbone.num_layers):
        hidden = backbone.layer(index, hidden, context)
    return backbone.classify(backbone.finish(hidden).flatten(0, 1))


def test_order_changes_nothing_in_any_family(network):
    backbone = adapt(copy.deepcopy(network.backbone.model))
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        wanted, first = scores(backbone), backbone.channels(0).neurons.out.weight.clone()
        for own in own_weights(backbone):
            for channels in (own.heads, own.neurons):
                reorder(channels, torch.randperm(channels.count, generator=draw))
        assert not torch.equal(backbone.channels(0).neurons.out.weight, first)
        assert_close(scores(backbone), wanted, atol=1e-5, rtol=1e-5)


def test_importance_is_the_gradient_of_masks_and_taylors_sum(build):
    backbone = adapt(copy.deepcopy(build("bert").backbone.model).requires_grad_(True))
    channels = backbone.channels(2)
    masks = torch.ones(4, dtype=torch.double, requires_grad=True)
    wide = torch.ones(48, dtype=torch.double, requires_grad=True)
    for out, mask, size in ((channels.heads.out, masks, 8), (channels.neurons.out, wide, 1)):
        full = mask.repeat_interleave(size)
        out.register_forward_pre_hook(lambda _, given, full=full: (given[0] * full,))
    scores(backbone).logsumexp(-1).sum().backward()
    found = {rule: Importance(backbone, rule) for rule in ("mask", "taylor")}
    for one in found.values():
        one.add()
    assert masks.grad is not None
    assert wide.grad is not None
    assert_close(found["mask"].heads[2], masks.grad.abs())
    into = channels.neurons.into[0]
    before = (into.weight * into.weight.grad).sum(1) + into.bias * into.bias.grad
    assert_close(found["mask"].neurons[2], wide.grad.abs() + before.abs())
    out = channels.heads.out.weight
    by_head = (out.abs() * out.grad.abs()).sum(0).view(4, 8).sum(1)
    assert_close(found["taylor"].heads[2], by_head)
    found["mask"].add()
    assert_close(found["mask"].heads[2], 2 * masks.grad.abs())
