"""What people hand over in the place of a plain transformers model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.testing import assert_close
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from tokenexit import (
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
)
from tokenexit.backbones import BACKBONES
from tokenexit.decoders import DECODERS
from tokenexit.errors import UserError

KINDS = {
    "words": (ExitModelForTokenClassification, AutoModelForTokenClassification),
    "texts": (ExitModelForSequenceClassification, AutoModelForSequenceClassification),
}
LABELS = ["a", "b", "c"]
WORDS = ["ada", "was", "born"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def network(kind: str, model_type: str = "bert") -> Any:
    torch.manual_seed(0)
    config = BACKBONES.get(model_type).example_config(model_type)
    config.num_labels, config.id2label = 3, dict(enumerate(LABELS))
    made = KINDS[kind][1].from_config(config)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.2)
    return made.eval()


def scores(model: Any, kind: str) -> Any:
    return model.tag([WORDS if kind == "words" else ["ada was born"]], policy="never").log_probs


class Adapter(nn.Module):
    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base_layer, self.delta = base, nn.Linear(base.in_features, base.out_features)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.base_layer(rows) + self.delta(rows)


def linears(model: nn.Module) -> list[tuple[nn.Module, str, nn.Linear]]:
    return [
        (holder, name, part)
        for holder in model.modules()
        for name, part in holder.named_children()
        if type(part) is nn.Linear
    ]


def adapters(model: nn.Module) -> None:
    for holder, name, part in linears(model)[:3]:
        setattr(holder, name, Adapter(part))


def pruning(model: nn.Module) -> None:
    for _, _, part in linears(model)[:3]:
        prune.l1_unstructured(part, "weight", amount=0.5)


def normed(model: nn.Module) -> None:
    for _, _, part in linears(model)[:3]:
        parametrizations.weight_norm(part)


def quantised(model: nn.Module) -> None:
    torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, inplace=True)


CHANGES = pytest.mark.parametrize("change", [adapters, pruning, normed, quantised])


@each_kind
@pytest.mark.parametrize("model_type", ["bert", "albert", "modernbert"])
@pytest.mark.parametrize("around", ["compiled", "parallel", "both"])
def test_what_torch_puts_around_a_model_is_taken_off(kind, model_type, around, wordpiece):
    given = shell = network(kind, model_type)
    if around != "compiled":
        shell = nn.DataParallel(shell)
    if around != "parallel":
        shell = torch.compile(shell, backend="eager")
    made = KINDS[kind][0].from_transformers
    model = made(shell, wordpiece, LABELS)
    assert model.network is given
    assert (scores(model, kind) == scores(made(given, wordpiece, LABELS), kind)).all()


@pytest.mark.parametrize("shell", [nn.DataParallel, lambda m: torch.compile(m, backend="eager")])
def test_generators_likewise(shell):
    given = AutoModelForSeq2SeqLM.from_config(DECODERS.get("t5").example_config("t5"))
    assert ExitModelForSeq2SeqLM.from_transformers(shell(given)).network is given


class PeftModel(nn.Module):
    """Of no use to anybody, but named like one that is."""

    __module__ = "peft.peft_model"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (nn.Linear(2, 2), "not to torch.nn.modules.linear.Linear"),
        (None, "NoneType"),
        ("bert-base-cased", "from_pretrained of transformers"),
        (PeftModel(), "merge_and_unload"),
    ],
)
def test_anything_else_is_refused(given, told, wordpiece):
    for made, rest in (
        (ExitModelForTokenClassification, (wordpiece, LABELS)),
        (ExitModelForSequenceClassification, (wordpiece, LABELS)),
        (ExitModelForSeq2SeqLM, ()),
    ):
        with pytest.raises(UserError, match=told):
            made.from_transformers(given, *rest)


@each_kind
@pytest.mark.parametrize("tokenizer", [None, "bert-base-cased", object()])
def test_what_is_no_tokenizer_is_refused(kind, tokenizer):
    with pytest.raises(UserError, match=r"tokenizer of transformers|fast tokenizer"):
        KINDS[kind][0].from_transformers(network(kind), tokenizer, LABELS)


@CHANGES
@each_kind
@pytest.mark.filterwarnings("ignore")
def test_a_new_head_loses_nothing_of_the_encoder_in_silence(kind, change, wordpiece):
    given = network(kind)
    change(given.base_model)
    with pytest.raises(UserError, match="cannot be built anew"):
        KINDS[kind][0].from_transformers(given.base_model, wordpiece, ["x", "y"])
    model = KINDS[kind][0].from_transformers(given, wordpiece, LABELS)
    with torch.inference_mode():
        found = given(**wordpiece("ada was born", return_tensors="pt")).logits.log_softmax(-1)
    wanted = found[0, 1:-1] if kind == "words" else found
    assert_close(torch.from_numpy(scores(model, kind)), wanted, atol=1e-4, rtol=1e-4)


@each_kind
def test_nor_a_hook_on_it(kind, wordpiece):
    given = network(kind)
    given.base_model.embeddings.register_forward_hook(lambda module, args, made: made + 1)
    with pytest.raises(UserError, match="embeddings of the one given cannot be built anew"):
        KINDS[kind][0].from_transformers(given.base_model, wordpiece, ["x", "y"])


@CHANGES
@each_kind
@pytest.mark.filterwarnings("ignore")
def test_what_would_not_come_back_is_not_saved(kind, change, wordpiece, tmp_path):
    model = KINDS[kind][0].from_transformers(network(kind), wordpiece, LABELS)
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    change(model.network)
    with pytest.raises(UserError, match="would not come back"):
        model.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@each_kind
def test_pruning_that_was_made_permanent_is_saved(kind, wordpiece, tmp_path):
    model = KINDS[kind][0].from_transformers(network(kind), wordpiece, LABELS)
    pruning(model.network)
    wanted = scores(model, kind)
    for _, _, part in linears(model.network)[:3]:
        prune.remove(part, "weight")
    model.save_pretrained(tmp_path)
    loaded = KINDS[kind][0].from_pretrained(tmp_path)
    assert abs(scores(loaded, kind) - wanted).max() < 1e-5
