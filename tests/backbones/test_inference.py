"""What inference computes with is the network of the moment, whatever has been done to it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.testing import assert_close
from transformers import AutoModelForTokenClassification

from tokenexit.backbones import BACKBONES, Backbone, Inference, adapt
from tokenexit.backbones.inference_modules import InferenceLinear
from tokenexit.backbones.making import packing_pays
from tokenexit.errors import UserError
from tokenexit.testing.networks import attentions

FAMILIES = [name for name, _ in BACKBONES.items()]
packed_or_not = pytest.mark.parametrize("pack", [False, True], ids=["as-is", "packed"])


@pytest.fixture(autouse=True)
def _only_with_onednn(request: pytest.FixtureRequest) -> None:
    pack = getattr(request.node, "callspec", None)
    if pack is not None and pack.params.get("pack") and not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")


def build(model_type: str = "bert", attention: str = "sdpa") -> Backbone:
    torch.manual_seed(0)
    config = BACKBONES.get(model_type).example_config(model_type)
    if attention not in attentions(model_type):
        attention = "eager"
    model = AutoModelForTokenClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for weight in model.parameters():  # as initialised, layers do next to nothing
            weight.add_(torch.randn_like(weight), alpha=0.2)
    return adapt(model.eval())


def top(backbone: Backbone, rows: int = 7) -> torch.Tensor:
    """Logits of some rows that passed through every layer in pieces."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(rows, backbone.hidden_size, generator=generator)
    places = torch.arange(rows)
    with torch.inference_mode():
        for index in range(backbone.num_layers):
            queries = backbone.queries(index, hidden, places)
            _, values = backbone.keys_values(index, hidden, places)
            hidden = backbone.combine(index, hidden, queries + values)
        return backbone.classify(backbone.finish(hidden))


@packed_or_not
@pytest.mark.parametrize("rows", [1, 3, 40, 80])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_computes_the_same_in_whatever_mode(model_type: str, rows: int, pack: bool) -> None:
    backbone = build(model_type)
    expected = top(backbone, rows)
    backbone.model.train()
    found = top(Inference(adapt, pack).get(backbone.model), rows)
    assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert all(module.training for module in backbone.model.modules())


def test_leaves_the_model_alone() -> None:
    backbone = build()
    before = [type(module) for module in backbone.model.modules()]
    weights = dict(backbone.model.named_parameters())
    twin = Inference(adapt).get(backbone.model).model
    assert [type(module) for module in backbone.model.modules()] == before
    assert all(weights[name] is weight for name, weight in backbone.model.named_parameters())
    assert {id(w) for w in twin.parameters()} <= {id(w) for w in weights.values()}


@packed_or_not
def test_made_once_while_nothing_changes(pack: bool) -> None:
    backbone, inference = build(), Inference(adapt, pack)
    first = inference.get(backbone.model)
    top(first)
    assert inference.get(backbone.model) is first
    with torch.inference_mode():
        assert inference.get(backbone.model) is first


# --- everything that may be done to a network ------------------------------------------------


class Adapter(nn.Module):
    """What injecting low-rank adapters leaves in the place of a linear layer."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.base, self.scale = linear, 1.0
        self.delta = nn.Linear(linear.in_features, linear.out_features)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.base(rows) + self.scale * self.delta(rows)


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def noise(weight: torch.Tensor) -> torch.Tensor:
    return torch.randn(weight.shape, generator=torch.Generator().manual_seed(2))


def value(model: Any) -> nn.Linear:
    return model.bert.encoder.layer[1].attention.self.value


def norm(model: Any) -> nn.LayerNorm:
    return model.bert.encoder.layer[2].output.LayerNorm


def step(fused: bool) -> Callable[[Any], None]:
    def take(model: Any) -> None:
        weight = value(model).weight
        weight.grad = noise(weight)
        torch.optim.AdamW([weight], lr=0.5, fused=fused).step()

    return take


def average(model: Any) -> None:
    for weight in model.parameters():
        weight.data.copy_(weight.data + 0.3 * noise(weight))


def swap_rows(model: Any) -> None:
    weight = value(model).weight
    weight.data.copy_(weight.data.flip(0))


def one_number(model: Any) -> None:
    value(model).weight.data[3, 5] += 40


def through_numpy(model: Any) -> None:
    value(model).weight.detach().numpy()[2] += 3


def new_head(model: Any) -> None:
    model.classifier = nn.Linear(model.config.hidden_size, model.config.num_labels)


def adapters(model: Any) -> None:
    for layer in model.bert.encoder.layer:
        layer.output.dense = Adapter(layer.output.dense)


def adapted_key(model: Any) -> None:
    attention = model.bert.encoder.layer[3].attention.self
    attention.value = Adapter(attention.value)


def activation(model: Any) -> None:
    model.bert.encoder.layer[0].intermediate.intermediate_act_fn = nn.Tanh()


def swap_layers(model: Any) -> None:
    layers = model.bert.encoder.layer
    layers[0], layers[3] = layers[3], layers[0]


def new_weight(model: Any) -> None:
    value(model).weight = nn.Parameter(value(model).weight + noise(value(model).weight))


def other_storage(model: Any) -> None:
    value(model).weight.data = value(model).weight.data + noise(value(model).weight)


def in_place(model: Any) -> None:
    with torch.no_grad():
        value(model).weight.add_(noise(value(model).weight))


def bias_storage(model: Any) -> None:
    value(model).bias.data = noise(value(model).bias)


def hooked(model: Any) -> None:
    value(model).register_forward_hook(lambda module, given, made: made * 3)


def hooked_before(model: Any) -> None:
    norm(model).register_forward_pre_hook(lambda module, given: (given[0] * given[0],))


def patched(model: Any) -> None:
    linear = value(model)
    linear.forward = lambda rows: nn.Linear.forward(linear, rows) * 3  # type: ignore[method-assign]


CHANGES = [
    in_place, new_weight, other_storage, bias_storage, step(False), step(True), average, swap_rows,
    one_number, through_numpy, new_head, adapters, adapted_key, activation, swap_layers, hooked,
    hooked_before, patched,
    lambda model: setattr(norm(model), "eps", 5.0),
    lambda model: norm(model).weight.data.mul_(2),
    lambda model: parametrize.register_parametrization(value(model), "weight", Doubled()),
    lambda model: parametrizations.spectral_norm(value(model)),
    lambda model: parametrizations.weight_norm(value(model)).parametrizations.weight.original0
    .data.mul_(2),
    lambda model: prune.l1_unstructured(value(model), "weight", amount=0.6),
    lambda model: torch.nn.utils.vector_to_parameters(
        torch.cat([w.detach().flatten() * 1.5 for w in model.parameters()]), model.parameters()
    ),
    lambda model: model.load_state_dict({k: v + 0.1 for k, v in model.state_dict().items()}),
    lambda model: model.load_state_dict(
        {k: v + 0.1 for k, v in model.state_dict().items()}, assign=True
    ),
]  # fmt: skip


@packed_or_not
@pytest.mark.parametrize("change", CHANGES, ids=lambda c: getattr(c, "__name__", "change"))
def test_whatever_is_done_is_seen(change: Callable[[Any], Any], pack: bool) -> None:
    backbone, inference = build(), Inference(adapt, pack)
    before = top(inference.get(backbone.model))
    change(backbone.model)
    backbone.model.eval()
    expected = top(adapt(backbone.model))
    assert not torch.allclose(expected, before, atol=1e-3)
    assert_close(top(inference.get(backbone.model)), expected, atol=1e-5, rtol=1e-5)


@packed_or_not
@pytest.mark.parametrize("again", ["scale", "delta", "merged", "unhooked", "unpruned"])
def test_what_is_done_later_is_seen_as_well(again: str, pack: bool) -> None:
    backbone, inference = build(), Inference(adapt, pack)
    model: Any = backbone.model
    adapters(model)
    handle = value(model).register_forward_hook(lambda module, given, made: made * 3)
    prune.random_unstructured(model.classifier, "weight", amount=0.5)
    before = top(inference.get(model.eval()))
    dense: Any = model.bert.encoder.layer[1].output
    if again == "scale":
        dense.dense.scale = 5.0
    elif again == "delta":
        dense.dense.delta.weight.data.add_(noise(dense.dense.delta.weight))
    elif again == "merged":
        dense.dense = dense.dense.base
    elif again == "unhooked":
        handle.remove()
    else:
        model.classifier.weight_mask.fill_(1)
        prune.remove(model.classifier, "weight")
        model.classifier.weight.data.add_(1)
    expected = top(adapt(model))
    assert not torch.allclose(expected, before, atol=1e-3)
    assert_close(top(inference.get(model)), expected, atol=1e-5, rtol=1e-5)


def test_modes_of_modules_that_somebody_put_in_are_those_of_evaluation() -> None:
    backbone, inference = build(), Inference(adapt)
    model: Any = backbone.model
    model.dropout = nn.Sequential(nn.Dropout(0.9), nn.Dropout1d(0.9))
    model.train()
    found = [top(inference.get(model)) for _ in range(2)]
    assert found[0].equal(found[1])
    assert_close(found[0], top(build()))


@pytest.mark.filterwarnings("ignore")
def test_quantised_layers_are_served() -> None:
    backbone, inference = build(), Inference(adapt)
    before = top(inference.get(backbone.model))
    torch.ao.quantization.quantize_dynamic(
        backbone.model, {nn.Linear}, dtype=torch.qint8, inplace=True
    )
    found = inference.get(backbone.model)
    assert not top(found).equal(before)
    assert_close(top(found), top(backbone))
    assert found.absorbable(0) is None
    assert not found.row_by_row


# --- what could have no effect is refused ------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["", "bert", "bert.encoder", "bert.encoder.layer.1", "bert.encoder.layer.1.attention.self"],
)
def test_hooks_on_what_runs_in_pieces_are_refused(path: str) -> None:
    backbone, inference = build(), Inference(adapt)
    inference.get(backbone.model)
    handle = backbone.model.get_submodule(path).register_forward_hook(lambda *_: None)
    with pytest.raises(UserError, match="forward hook") as caught:
        inference.get(backbone.model)
    assert (path or "The model") in str(caught.value)
    handle.remove()
    inference.get(backbone.model)


def test_an_attention_of_ones_own_is_refused() -> None:
    backbone = build()
    model: Any = backbone.model
    kind = type(model.bert.encoder.layer[2].attention.self)
    own = type("Mine", (kind,), {"__module__": "mine"})
    model.bert.encoder.layer[2].attention.self.__class__ = own
    with pytest.raises(UserError, match="a class from mine"):
        Inference(adapt).get(model)


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "modernbert", "deberta-v2"])
def test_layers_that_the_configuration_does_not_know_are_refused(model_type: str) -> None:
    backbone, inference = build(model_type), Inference(adapt)
    inference.get(backbone.model)
    path, _, name = backbone.stack.rpartition(".")
    holder: Any = backbone.base.get_submodule(path)
    setattr(holder, name, getattr(holder, name)[:3])
    for again in (inference.get, adapt):
        with pytest.raises(UserError, match="3 layers and its configuration says 4"):
            again(backbone.model)
    backbone.model.config.num_hidden_layers = 3
    assert inference.get(backbone.model).num_layers == 3


def test_dropout_that_deberta_calls_in_its_attention_is_not_passed_over() -> None:
    backbone = build("deberta-v2")
    layer: Any = backbone.base.encoder.layer[1]
    layer.attention.self.dropout.register_forward_hook(lambda *_: None)
    with pytest.raises(UserError, match="forward hook"):
        Inference(adapt).get(backbone.model)


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta", "camembert"])
def test_padding_is_that_of_the_embeddings(model_type: str) -> None:
    backbone = build(model_type)
    ids, places = torch.tensor([[5, 6, 7]]), torch.arange(3)[None]
    with torch.inference_mode():
        before = backbone.embed(ids, places)
        backbone.model.config.pad_token_id = 6
        assert_close(adapt(backbone.model).embed(ids, places), before)


def test_an_adapter_of_a_family_that_contradicts_itself_is_refused() -> None:
    class Both(type(build())):  # type: ignore[misc]
        def bias(self, *given: Any) -> None:
            return None

    BACKBONES.register("both")(Both)
    model = build().model
    model.config.model_type = "both"
    try:
        with pytest.raises(UserError, match="both bias and absorbable"):
            adapt(model)
    finally:
        BACKBONES._members.pop("both")


# --- the rest ----------------------------------------------------------------------------------


def test_a_listened_layer_is_called_itself() -> None:
    backbone = build()
    heard: list[nn.Module] = []
    value(backbone.model).register_forward_hook(lambda module, *_: heard.append(module))
    top(Inference(adapt).get(backbone.model))
    assert heard == [value(backbone.model)]


def test_somebody_who_listens_to_everything_hears_everything() -> None:
    backbone = build()
    heard = set()
    handle = nn.modules.module.register_module_forward_hook(lambda m, *_: heard.add(type(m)))
    try:
        top(Inference(adapt).get(backbone.model))
    finally:
        handle.remove()
    assert {nn.Linear, nn.Dropout, nn.LayerNorm} <= heard


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_serve_what_they_are_given(clone: Callable[[Any], Any]) -> None:
    first, second = build(), build("electra")
    inference = Inference(adapt, pack=True)
    inference.get(first.model)
    assert_close(top(clone(inference).get(second.model)), top(second))


def test_weights_are_packed_where_that_pays_and_nowhere_else() -> None:
    def packed(backbone: Backbone, pack: bool | None = True) -> bool:
        found = Inference(adapt, pack).get(backbone.model)
        return any(isinstance(m, InferenceLinear) and m._pack for m in found.model.modules())

    assert packed(build())
    assert packed(build(), None) == packing_pays()
    assert not packed(build(attention="eager"))
    assert not packed(adapt(build().model.to(torch.bfloat16)))


def test_random_numbers_of_others_are_not_used_up() -> None:
    backbone = build()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    top(Inference(adapt, pack=True).get(backbone.model))
    assert torch.rand(1).equal(expected)
