"""Generators, too, compute with the network of the moment."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import AutoModelForSeq2SeqLM

from tokenexit import ExitModelForSeq2SeqLM
from tokenexit.backbones import Inference
from tokenexit.decoders import DECODERS, adapt_decoder
from tokenexit.errors import UserError

IDS = torch.tensor([[9, 10, 11, 12, 2], [13, 14, 15, 16, 2]])


class Adapter(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.base = linear
        self.delta = nn.Linear(linear.in_features, linear.out_features)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.base(rows) + self.delta(rows)


def linear(network: Any) -> tuple[Any, str]:
    """Where the second linear layer of the last decoder layer stands."""
    names = [n for n, m in network.get_decoder().named_modules() if isinstance(m, nn.Linear)]
    stem, _, name = names[-2].rpartition(".")
    return network.get_decoder().get_submodule(stem), name


def adapted(network: Any) -> None:
    place, name = linear(network)
    setattr(place, name, Adapter(getattr(place, name)))


def hooked(network: Any) -> None:
    place, name = linear(network)
    getattr(place, name).register_forward_hook(lambda module, given, made: made * 0)


def averaged(network: Any) -> None:
    draw = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        weight.data.copy_(weight.data + 0.2 * torch.randn(weight.shape, generator=draw))


def other_head(network: Any) -> None:
    head = network.get_output_embeddings()
    network.lm_head = nn.Linear(head.in_features, head.out_features)


def first_encoder_norm(network: Any) -> None:
    norm = next(m for n, m in network.get_encoder().named_modules() if "norm" in n.lower())
    norm.weight.data.mul_(-3)


@pytest.mark.parametrize("pack", [False, True], ids=["as-is", "packed"])
@pytest.mark.parametrize("change", [adapted, hooked, averaged, other_head, first_encoder_norm])
@pytest.mark.parametrize("family", ["t5", "bart", "mbart"])
def test_whatever_is_done_is_seen(family: str, change: Callable[[Any], None], pack: bool) -> None:
    if pack and not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    torch.manual_seed(0)
    config = DECODERS.get(family).example_config(family)
    network = AutoModelForSeq2SeqLM.from_config(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.2)
    model = ExitModelForSeq2SeqLM.from_transformers(network)
    model._inference = Inference(adapt_decoder, pack)
    options: dict[str, Any] = {
        "policy": "never", "max_new_tokens": 4, "output_logits": True,
        "return_dict_in_generate": True,
    }  # fmt: skip
    before = model.generate(IDS, **options).logits[0]  # type: ignore[union-attr]
    torch.manual_seed(2)
    change(network)
    found = model.generate(IDS, **options).logits[0]  # type: ignore[union-attr]
    fresh = ExitModelForSeq2SeqLM.from_transformers(copy.deepcopy(network))
    expected = fresh.generate(IDS, **options).logits[0]  # type: ignore[union-attr]
    assert not torch.allclose(expected, before, atol=1e-3)
    assert_close(found, expected, atol=1e-4, rtol=1e-4)


def noisy_dropout(network: Any) -> None:
    for part in network.get_decoder().modules():
        if isinstance(part, nn.Dropout):
            part.register_forward_hook(lambda module, given, made: made * 0.7)


def dropout_of_ones_own(network: Any) -> None:
    for block in network.get_decoder().block:
        block.layer[0].dropout = nn.Hardtanh(-0.1, 0.1)


@pytest.mark.parametrize("change", [noisy_dropout, dropout_of_ones_own])
def test_what_stands_in_the_place_of_dropout_is_asked(change: Callable[[Any], None]) -> None:
    test_whatever_is_done_is_seen("t5", change, False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["t5", "bart", "pegasus"])
def test_quantised_generators_are_served(family: str) -> None:
    torch.manual_seed(0)
    config = DECODERS.get(family).example_config(family)
    if family == "t5":
        config.num_layers = config.num_decoder_layers
    network: Any = AutoModelForSeq2SeqLM.from_config(config).eval()
    network = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    model = ExitModelForSeq2SeqLM.from_transformers(network)
    ids, options = IDS[:1], {"max_new_tokens": 3, "min_new_tokens": 3, "output_logits": True}
    found: Any = model.generate(ids, policy="never", return_dict_in_generate=True, **options)
    wanted = network.generate(ids, return_dict_in_generate=True, **options)
    assert found.sequences.tolist() == wanted.sequences.tolist()
    assert_close(found.logits[0], wanted.logits[0], atol=1e-3, rtol=1e-3)
    shortlist = {"name": "shortlist", "policy": {"name": "margin", "threshold": 0.9}, "size": 5}
    few: Any = model.generate(ids, policy=shortlist, max_new_tokens=3, min_new_tokens=3)
    assert few.shape[1] == 4


@pytest.mark.parametrize("change", [adapted, hooked, other_head])
def test_a_shortlist_has_the_scores_of_the_head(change: Callable[[Any], None]) -> None:
    torch.manual_seed(0)
    network: Any = AutoModelForSeq2SeqLM.from_config(DECODERS.get("t5").example_config("t5")).eval()
    if change is adapted:
        network.lm_head = Adapter(network.lm_head)
        network.lm_head.out_features = 120
    elif change is hooked:
        network.lm_head.register_forward_hook(lambda module, given, made: made - 3)
    else:
        other_head(network)  # which has a bias
    decoder = adapt_decoder(network)
    rows, ids = torch.randn(3, 32), torch.tensor([[5, 7], [1, 0], [90, 119]])
    assert_close(decoder.vocabulary(rows, ids), decoder.vocabulary(rows).gather(-1, ids))


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
@pytest.mark.parametrize("told", [False, True])
def test_layers_taken_out_later_are_missed(family: str, told: bool) -> None:
    config = DECODERS.get(family).example_config(family)
    network: Any = AutoModelForSeq2SeqLM.from_config(config).eval()
    model = ExitModelForSeq2SeqLM.from_transformers(network)
    stack, name = network.get_decoder(), "block" if family == "t5" else "layers"
    setattr(stack, name, getattr(stack, name)[:2])
    if told:
        setattr(network.config, "num_decoder_layers" if family == "t5" else "decoder_layers", 2)
    match = "had 4 when its exits were made" if told else "its configuration says 4"
    with pytest.raises(UserError, match=match):
        model.generate(IDS, max_new_tokens=2)
    if told:
        model = ExitModelForSeq2SeqLM.from_transformers(network)
        assert model.settings.exit_layers == (1, 2)


def test_hooks_that_would_have_no_effect_are_refused() -> None:
    config = DECODERS.get("bart").example_config("bart")
    network: Any = AutoModelForSeq2SeqLM.from_config(config).eval()
    model = ExitModelForSeq2SeqLM.from_transformers(network)
    network.get_decoder().layers[1].self_attn.register_forward_hook(lambda *_: None)
    with pytest.raises(UserError, match="self_attn has a forward hook"):
        model.generate(IDS, max_new_tokens=2)
