"""A sliced network answers as the whole one does with the others' weights at zero."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from tokenexit import policies, reducers
from tokenexit.backbones import Inference, adapt, sliced
from tokenexit.backbones.sliced import zeroed
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, encode, encode_dense, pack
from tokenexit.widths import Widths

DEPTH = 6
ODD = Widths((2, (1, 3), 4, (3,), 1, (0, 2)), ((*range(5, 29, 3),), 40, 16, 48, (47,), 8))
ALIKE = Widths(((1, 3),) * DEPTH, ((*range(5, 29, 3),),) * DEPTH)
OF_STATES = {"deberta-v2": 1e-5}


def odd(network: Any) -> Widths:
    """Other widths in each layer, or the same where layers share their weights."""
    return ALIKE if network.backbone.config.model_type == "albert" else ODD


def with_zeros(backbone: Any, widths: Widths) -> Any:
    model = copy.deepcopy(backbone.model)
    model.load_state_dict(zeroed(backbone, widths))
    return adapt(model)


def outcome(backbone: Any, heads: Any, sentences: Any, dense: bool = False, **options: Any) -> Any:
    batch = pack(sentences)
    visitor = PolicyVisitor(policies.Entropy(0.5), batch.num_words, "cpu")
    run: Any = encode_dense if dense else encode
    with torch.no_grad():
        work = run(backbone, heads, batch, visitor, **options)
    decided = visitor.decisions()
    return decided.logits, decided.exit_layers, work


def close(one: Any, other: Any, tolerance: float) -> None:
    assert torch.equal(one[1], other[1])
    assert_close(one[0], other[0], atol=tolerance, rtol=tolerance)


def test_sliced_equals_zeroed_in_every_family(network, sentences):
    """The engine and transformers' own layers, with exits, absorbing where that is done."""
    widths, tolerance = odd(network), OF_STATES.get(network.backbone.config.model_type, 1e-9)
    wanted = outcome(with_zeros(network.backbone, widths), network.heads, sentences, dense=True)
    small = sliced(network.backbone, widths)
    assert len(wanted[1].unique()) > 1
    close(outcome(small, network.heads, sentences), wanted, tolerance)
    close(outcome(small, network.heads, sentences, dense=True), wanted, tolerance)
    twin = Inference(adapt, widths=widths).get(network.backbone.model)
    close(outcome(twin, network.heads, sentences), wanted, tolerance)
    sizes = [twin.channels(i).neurons.out.in_features for i in range(DEPTH)]
    assert sizes == [twin.neurons(i) for i in range(DEPTH)]


def test_reducers_work_on_sliced_layers(network, sentences):
    """They see the attention of heads that are there; those at zero would look everywhere."""
    tolerance = OF_STATES.get(network.backbone.config.model_type, 1e-9)
    given = sliced(network.backbone, odd(network)), network.heads, sentences
    reducer = reducers.Significance(0.6)
    wanted = outcome(*given, dense=True, reducer=reducer)
    close(outcome(*given, reducer=reducer), wanted, tolerance)


def test_layers_cost_what_torch_counts(eager_network, make_sentence):
    backbone = eager_network.backbone
    small = sliced(backbone, odd(eager_network))
    tokens = 17
    ids = torch.full((1, tokens), 7)
    with FlopCounterMode(display=False) as counter:
        hidden = small.embed(ids, torch.arange(tokens)[None])
        before = counter.get_total_flops()
        context = small.context(hidden, torch.ones_like(ids))
        for index in range(DEPTH):
            hidden = small.layer(index, hidden, context)
        counted = (counter.get_total_flops() - before) // 2
    costs = [small.cost(index) for index in range(DEPTH)]
    told = sum(
        tokens * (c.query + c.key_value + c.combine) + tokens * tokens * c.pair + c.fixed
        for c in costs
    )
    assert told == counted


def gradients(backbone: Any, heads: Any, sentences: Any) -> None:
    """Of a function of all states, into the weights."""
    states: list[torch.Tensor] = []
    batch = pack(sentences)
    encode(
        backbone, heads, batch, PolicyVisitor(policies.Never(), batch.num_words, "cpu"),
        states=states,
    )  # fmt: skip
    sum(state.square().sum() for state in states).backward()  # type: ignore[union-attr]


def test_gradients_go_to_what_is_kept_of_the_whole(build, sentences):
    """The same as with zeros, and none where nothing is computed."""
    network = build("bert")
    models = [network.backbone.model, with_zeros(network.backbone, ODD).model]
    plain, zero = (adapt(copy.deepcopy(model).requires_grad_(True)) for model in models)
    kept = {name: weight != 0 for name, weight in zero.model.named_parameters()}
    for backbone in (sliced(plain, ODD, learn=True), zero):
        gradients(backbone, network.heads, sentences)
    for (name, weight), other in zip(
        plain.model.named_parameters(), zero.model.parameters(), strict=True
    ):
        if weight.grad is None:
            assert other.grad is None
            continue
        assert_close(weight.grad[kept[name]], other.grad[kept[name]])
        if ".layer." in name and "LayerNorm" not in name:
            assert not weight.grad[~kept[name]].any()


def test_shared_layers_share_their_widths(build):
    with pytest.raises(UserError, match="Layers 1 and 2 share their weights"):
        sliced(build("albert").backbone, ODD)


def test_what_is_not_a_linear_layer_is_not_sliced(build):
    network = build("bert")
    backbone = adapt(copy.deepcopy(network.backbone.model))
    backbone.channels(0).neurons.out.register_forward_hook(lambda *_: None)
    with pytest.raises(UserError, match=r"layer\.0\.output\.dense.*widths cannot slice it"):
        sliced(backbone, ODD)
