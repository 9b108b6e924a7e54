"""Exits added to models in memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from tokenexit import ExitModelForTokenClassification
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.heads import HEADS

LABELS = ("O", "B-PER", "I-PER")


def config(model_type: str, **changes: Any) -> Any:
    example = BACKBONES.get(model_type).example_config(model_type)
    for name, value in changes.items():
        setattr(example, name, value)
    return example


@pytest.fixture(scope="module")
def encoder() -> Any:
    return AutoModel.from_config(config("bert"))


@pytest.fixture
def add(encoder, wordpiece):
    """Add exits to the shared encoder; anything may be given otherwise."""

    def call(network: Any = encoder, labels: Any = LABELS, **changes: Any) -> Any:
        made = ExitModelForTokenClassification.from_transformers
        return made(network, wordpiece, labels, **changes)

    return call


def same_weights(first: Any, second: Any) -> bool:
    mine, theirs = first.state_dict(), second.state_dict()
    return mine.keys() == theirs.keys() and all(mine[k].equal(theirs[k]) for k in mine)


@pytest.mark.parametrize("model_type", [name for name, _ in BACKBONES.items()])
def test_a_bare_encoder_gets_a_head(model_type, add):
    network = AutoModel.from_config(config(model_type))
    model = add(network)
    assert model.network.config.num_labels == 3
    assert model.network.config.id2label == {0: "O", 1: "B-PER", 2: "I-PER"}
    assert model.network.config.label2id == {"O": 0, "B-PER": 1, "I-PER": 2}
    mine, theirs = model.network.base_model.state_dict(), network.state_dict()
    assert mine.keys() <= theirs.keys()
    assert all(mine[key].equal(theirs[key]) for key in mine)
    assert model.settings.exit_layers == (1, 2, 3, 4)
    assert [result.labels[0] in LABELS for result in model.predict(["ada", "was born"])]
    assert network.config.num_labels == 2, "the given model stays as it was"


@pytest.mark.parametrize("model_type", [name for name, _ in BACKBONES.items()])
def test_a_fitting_head_is_kept(model_type, add):
    network = AutoModelForTokenClassification.from_config(config(model_type, num_labels=3))
    model = add(network)
    assert all(
        a is b for a, b in zip(model.network.parameters(), network.parameters(), strict=True)
    )
    assert model.network.config.id2label[1] == "B-PER"
    assert network.config.id2label[1] == "LABEL_1", "the given model stays as it was"


def test_a_head_for_other_classes_is_replaced(add):
    network = AutoModelForTokenClassification.from_config(config("bert", num_labels=7))
    model = add(network)
    assert model.network is not network
    assert model.network.classifier.out_features == 3
    assert same_weights(model.network.base_model, network.base_model)
    assert (network.config.num_labels, network.classifier.out_features) == (7, 7)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "modernbert"])
def test_a_head_for_sentences_does_not_fit_whatever_its_classes(model_type, add):
    network = AutoModelForSequenceClassification.from_config(config(model_type, num_labels=3))
    model = add(network)
    assert type(model.network).__name__.endswith("ForTokenClassification")
    assert len(model.predict([["ada", "was"]])[0].labels) == 2


def test_a_language_model_lends_its_encoder(add):
    network = AutoModelForMaskedLM.from_config(config("bert"))
    model = add(network)
    assert same_weights(model.network.base_model, network.base_model)


def test_attention_dtype_and_mode_are_kept(wordpiece):
    network = AutoModel.from_config(config("bert"), attn_implementation="eager")
    network.to(torch.bfloat16).eval()  # type: ignore[call-arg]
    model = ExitModelForTokenClassification.from_transformers(network, wordpiece, LABELS)
    assert model.backbone.eager
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert not model.network.training
    assert model.predict([["ada"]])[0].exit_layers == [4]


@pytest.mark.parametrize("model_type", ["gpt2", "openai-gpt"])  # with and without tagger
def test_unsupported_families_are_refused_with_the_supported_ones(model_type, add):
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 60}
    special = {"bos_token_id": 0, "eos_token_id": 0}
    network = AutoModel.from_config(AutoConfig.for_model(model_type, **sizes, **special))
    with pytest.raises(UserError, match=f"'{model_type}'") as caught:
        add(network)
    assert all(name in str(caught.value) for name, _ in BACKBONES.items())


@pytest.mark.parametrize("labels", [[], ["O", "B-PER", "O"], "OBI", [1, 2], ["O", None]])
def test_labels_are_different_names(add, labels):
    with pytest.raises(UserError, match="Labels must be one or more different names"):
        add(labels=labels)


@pytest.mark.parametrize("layer", [0, 5, -1, True, 2.0])
def test_exit_layers_exist(add, layer):
    with pytest.raises(UserError, match=r"network has 4 layers"):
        add(exit_layers=[1, layer])
    with pytest.raises(UserError, match="must be a list of layers"):
        add(exit_layers=layer)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (None, (1, 2, 3, 4)), ([], (4,)), ([3, 1, 3], (1, 3, 4)), ((4,), (4,)),
        (1, (4,)), (2, (2, 4)), (3, (2, 3, 4)),
    ],
)  # fmt: skip
def test_the_top_always_has_an_exit(add, given, made):
    model = add(exit_layers=given)
    assert model.settings.exit_layers == made
    assert model.heads.layers == made[:-1]
    found = model.predict([["ada", "was", "born"]], policy={"name": "max_prob", "threshold": 0})
    assert found[0].exit_layers == [made[0]] * 3


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({"name": "liner"}, r"exit head 'liner'.*Did you mean 'linear'"),
        ({"name": "linear", "droput": 0.1}, r"'droput'.*Did you mean 'dropout'"),
        ({"name": "linear", "inner": 8}, "setting of head linear 'inner'"),
        ({"name": "mlp", "inner": 0}, "inner width must be a whole number from 1"),
        ({"dropout": 1.0}, "dropout must be a number"),
        ("mlp", "heads must be a mapping"),
    ],
)
def test_bad_heads(add, heads, message):
    with pytest.raises(UserError, match=message):
        add(heads=heads)


@pytest.mark.parametrize("name", [name for name, _ in HEADS.items()])
def test_every_kind_of_head(add, name):
    model = add(heads={"name": name, "gate": True})
    assert {type(model.heads.at(layer)) for layer in (1, 2, 3)} == {HEADS.get(name)}
    assert model.heads.gate is not None
    assert model.predict([["ada"]], policy="learned_gate")[0].labels[0] in LABELS


def test_the_task_follows_from_the_labels(add):
    assert add().settings.task == "ner"
    assert add(labels=["NOUN", "VERB"]).settings.task == "pos"
    assert add(task="pos").settings.task == "pos"


def test_heads_have_gradients(add):
    model = add().train()
    assert all(weight.requires_grad for weight in model.parameters())
