"""Classes mean to the model with exits what they mean to the one it was made from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from tokenexit import ExitModelForSequenceClassification, ExitModelForTokenClassification
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.models.encoders.classifier import for_training
from tokenexit.models.scale import Scale

FAMILIES = [name for name, _ in BACKBONES.items()]
OWN = ["I-LOC", "B-LOC", "O", "I-PER", "B-PER"]
GIVEN = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
KINDS = {
    "words": (ExitModelForTokenClassification, AutoModelForTokenClassification),
    "texts": (ExitModelForSequenceClassification, AutoModelForSequenceClassification),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def network(kind: str, model_type: str = "bert", names: Any = OWN) -> Any:
    torch.manual_seed(0)
    config = BACKBONES.get(model_type).example_config(model_type)
    config.num_labels = 5 if names is None else len(names)
    if names is not None:
        config.id2label = dict(enumerate(names))
        config.label2id = {label: number for number, label in enumerate(names)}
    if model_type == "modernbert":
        config.classifier_pooling = "cls"
    made = KINDS[kind][1].from_config(config)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.2)
    return made.eval()


def plain(given: Any, tokenizer: Any) -> torch.Tensor:
    """Probabilities of the transformers model on one text, ``[N, C]``."""
    ids = tokenizer("ada was born", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = given(input_ids=ids).logits
    return (logits[0, 1:-1] if logits.ndim == 3 else logits).softmax(dim=-1)


@each_kind
@pytest.mark.parametrize("model_type", FAMILIES)
def test_classes_in_another_order_are_put_in_order(kind, model_type, wordpiece):
    given = network(kind, model_type)
    before = plain(given, wordpiece)
    model = KINDS[kind][0].from_transformers(given, wordpiece, GIVEN)
    text = [["ada", "was", "born"]] if kind == "words" else [["ada was born"]]
    found = torch.from_numpy(model.trace(text, policy="never").log_probs).exp()
    assert_close(found, before[:, [OWN.index(name) for name in GIVEN]], atol=1e-4, rtol=1e-4)
    assert list(model.network.config.id2label.values()) == GIVEN
    assert list(given.config.id2label.values()) == OWN
    assert plain(given, wordpiece).equal(before)
    mine, theirs = model.network.base_model, given.base_model
    assert all(a is b for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))


def test_a_finished_head_says_what_it_said_and_a_new_one_what_is_legal(wordpiece):
    given = network("words")
    model = ExitModelForTokenClassification.from_transformers(given, wordpiece, GIVEN)
    said = [OWN[best] for best in plain(given, wordpiece).argmax(dim=-1)]
    assert model.predict([["ada", "was", "born"]], policy="never")[0].labels == said
    assert model.settings.decode == "argmax"
    # A head without its own names is new, and so is one on a finished model's encoder.
    for new in (network("words", names=None), network("words").base_model):
        made = ExitModelForTokenClassification.from_transformers(new, wordpiece, GIVEN)
        assert made.settings.decode == "legal"


@each_kind
def test_what_is_saved_says_the_same(kind, wordpiece, tmp_path):
    model = KINDS[kind][0].from_transformers(network(kind), wordpiece, GIVEN)
    model.save_pretrained(tmp_path)
    again = KINDS[kind][0].from_pretrained(tmp_path)
    reread = KINDS[kind][1].from_pretrained(tmp_path)
    text = [["ada", "was", "born"]] if kind == "words" else [["ada was born"]]
    found = model.trace(text, policy="never").log_probs
    assert_close(again.trace(text, policy="never").log_probs, found)
    assert_close(plain(reread, wordpiece).log().numpy(), found, atol=1e-4, rtol=1e-4)
    assert list(reread.config.id2label.values()) == GIVEN


@each_kind
@pytest.mark.parametrize("names", [["a", "b", "c", "d", "e"], ["o", *GIVEN[1:]]])
def test_other_classes_are_refused_with_both(kind, names, wordpiece):
    with pytest.raises(UserError, match="head for the classes") as caught:
        KINDS[kind][0].from_transformers(network(kind), wordpiece, names)
    assert str(OWN) in str(caught.value)
    assert str(names) in str(caught.value)


@each_kind
def test_nameless_classes_take_any_names(kind, wordpiece):
    given = network(kind, names=None)
    model = KINDS[kind][0].from_transformers(given, wordpiece, GIVEN)
    assert list(model.network.config.id2label.values()) == GIVEN
    assert given.config.id2label[0] == "LABEL_0"
    assert model.network.classifier is given.classifier


@each_kind
def test_a_new_head_is_a_way_out(kind, wordpiece):
    given = network(kind)
    model = KINDS[kind][0].from_transformers(given.base_model, wordpiece, list("abcde"))
    assert model.labels == tuple("abcde")
    assert for_training(given, list("abcde")) is given.base_model
    assert for_training(given, GIVEN) is given
    assert for_training(network(kind, names=None), list("abcde")) is not given.base_model


def test_a_head_that_cannot_be_put_in_order_is_refused(wordpiece):
    given = network("words")
    given.classifier = nn.Sequential(given.classifier, nn.Identity())
    with pytest.raises(UserError, match="ends in Identity"):
        ExitModelForTokenClassification.from_transformers(given, wordpiece, GIVEN)
    assert ExitModelForTokenClassification.from_transformers(given, wordpiece, OWN)


def test_a_regression_leaves_the_given_model_a_classifier(wordpiece):
    given = network("texts", names=["score"])
    scale = Scale(mean=1.0, std=2.0)
    made = ExitModelForSequenceClassification.from_transformers
    model = made(given, wordpiece, ["value"], scale=scale)
    assert model.network.config.problem_type == "regression"
    assert given.config.problem_type is None
    assert given.config.id2label == {0: "score"}
    assert model.network.classifier.weight is given.classifier.weight


def test_what_is_done_to_the_given_model_is_seen(wordpiece):
    given = network("words", names=None)
    model = ExitModelForTokenClassification.from_transformers(given, wordpiece, GIVEN)
    before = model.trace([["ada"]]).log_probs
    given.classifier = nn.Linear(32, 5)
    after = model.trace([["ada"]]).log_probs
    assert abs(after - before).max() > 1e-3
    model.network = network("words", "electra", names=GIVEN)
    assert abs(model.trace([["ada"]]).log_probs - after).max() > 1e-3


@each_kind
@pytest.mark.parametrize("names", [GIVEN[:3], [*GIVEN, "O2"], ["one", "two"]])
def test_fewer_or_more_classes_are_refused_as_others_are(kind, names, wordpiece):
    given = network(kind)
    with pytest.raises(UserError, match="give the encoder alone"):
        KINDS[kind][0].from_transformers(given, wordpiece, names)
    assert for_training(given, names) is given.base_model
    assert KINDS[kind][0].from_transformers(given.base_model, wordpiece, names)
    assert KINDS[kind][0].from_transformers(network(kind, names=None), wordpiece, names)


@each_kind
@pytest.mark.parametrize(
    "names", [{str(n): label for n, label in enumerate(OWN)}, dict(reversed([*enumerate(OWN)]))]
)
def test_names_are_read_by_their_numbers(kind, names, wordpiece):
    given = network(kind)
    given.config.id2label = names
    model = KINDS[kind][0].from_transformers(given, wordpiece, GIVEN)
    order = [OWN.index(label) for label in GIVEN]
    assert_close(plain(model.network, wordpiece), plain(given, wordpiece)[:, order])


@each_kind
def test_names_that_are_numbers_are_names(kind, wordpiece):
    given = network(kind)
    given.config.id2label = {place: 4 - place for place in range(5)}
    model = KINDS[kind][0].from_transformers(given, wordpiece, list("01234"))
    assert_close(plain(model.network, wordpiece), plain(given, wordpiece).flip(-1))
    given.config.id2label = {1: "a", 2: "b", 3: "c", 4: "d", 5: "e"}
    with pytest.raises(UserError, match="must name the classes 0 to 4"):
        KINDS[kind][0].from_transformers(given, wordpiece, list("abcde"))


def test_a_head_of_several_answers_is_no_choice_of_one(wordpiece, tmp_path):
    given = network("texts")
    given.config.problem_type = "multi_label_classification"
    made = ExitModelForSequenceClassification.from_transformers
    with pytest.raises(UserError, match="yes or no to each class"):
        made(given, wordpiece, OWN)
    model = made(given.base_model, wordpiece, OWN)
    assert model.network.config.problem_type is None
    model.network.config.problem_type = "multi_label_classification"
    model.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="yes or no to each class"):
        ExitModelForSequenceClassification.from_pretrained(tmp_path)


@pytest.mark.parametrize("problem", [None, "regression"])
def test_one_class_is_no_choice(problem, wordpiece):
    given = network("texts", names=["score"])
    given.config.problem_type = problem
    with pytest.raises(UserError, match=r"scale=Scale"):
        ExitModelForSequenceClassification.from_transformers(given, wordpiece, ["score"])
    given = network("texts")
    given.config.problem_type = problem
    if problem:
        with pytest.raises(UserError, match="tells a number"):
            ExitModelForSequenceClassification.from_transformers(given, wordpiece, OWN)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "deberta-v2"])
def test_a_trained_regression_goes_on_telling_its_values(model_type, wordpiece, tmp_path):
    given = network("texts", model_type, names=["score"])
    given.config.problem_type = "regression"
    made = ExitModelForSequenceClassification.from_transformers
    ids = wordpiece("ada was born", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        wanted = float(given(input_ids=ids).logits)
    model = made(given, wordpiece, ["value"], scale=Scale(mean=2.5, std=1.5))
    assert given.classifier is not model.network.classifier
    model.save_pretrained(tmp_path)
    loaded = ExitModelForSequenceClassification.from_pretrained(tmp_path)
    bare = KINDS["texts"][1].from_pretrained(tmp_path)
    again = made(bare, wordpiece, ["value"], scale=Scale(mean=-1.0, std=4.0))
    alike = made(bare, wordpiece, ["value"], scale=Scale(mean=2.5, std=1.5))
    assert alike.network.classifier is bare.classifier
    for one in (model, loaded, again, alike):
        (found,) = one.predict(["ada was born"], policy="never")
        assert found.value == pytest.approx(wanted, abs=1e-4)
