"""Nobody's objects are changed: configurations, modes, gradients' switches, by whatever call."""

from __future__ import annotations

import copy
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    GenerationConfig,
)

from tokenexit import (
    CascadeForSequenceClassification,
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
)
from tokenexit.backbones import BACKBONES
from tokenexit.decoders import DECODERS
from tokenexit.errors import UserError
from tokenexit.evaluation.bench import bench
from tokenexit.policies import from_config
from tokenexit.training import TrainConfig, make_accelerator, train

LABELS = ("O", "B-PER", "I-PER")
WORDS = [["ada", "was", "born", "in", "london"], ["paris"]]
TEXTS = [["ada was born in london"], ["paris"]]
POLICY = {"name": "max_prob", "threshold": 0.4}


def network(kind: Any, model_type: str = "bert") -> Any:
    torch.manual_seed(0)
    config = BACKBONES.get(model_type).example_config(model_type)
    config.num_labels = 3
    return kind.from_config(config)


def mixed(module: nn.Module) -> None:
    """Modes and switches that nobody would guess."""
    draw = np.random.default_rng(0)
    for part in module.modules():
        part.training = bool(draw.integers(2))
    for weight in module.parameters():
        weight.requires_grad_(bool(draw.integers(2)))


def picture(module: Any) -> dict[str, Any]:
    networks = [part for part in module.modules() if hasattr(part, "config")]
    return {
        "modes": [part.training for part in module.modules()],
        "parts": [id(part) for part in module.modules()],
        "hooks": [len(part._forward_hooks) for part in module.modules()],
        "switches": [weight.requires_grad for weight in module.parameters()],
        "weights": [weight.detach().clone() for weight in module.parameters()],
        "configs": [part.config.to_dict() for part in networks],
        "attributes": [sorted(vars(part.config)) for part in networks],
    }


def same(first: dict[str, Any], second: dict[str, Any]) -> None:
    for name in first:
        if name == "weights":
            assert all(a.equal(b) for a, b in zip(first[name], second[name], strict=True))
        else:
            assert first[name] == second[name], name


def tagger(given: Any, tokenizer: Any) -> Any:
    return ExitModelForTokenClassification.from_transformers(given, tokenizer, LABELS)


def classifier(given: Any, tokenizer: Any) -> Any:
    return ExitModelForSequenceClassification.from_transformers(given, tokenizer, LABELS)


CALLS = {
    "predict": lambda model, texts, folder: model.predict(texts, policy=POLICY),
    "tag": lambda model, texts, folder: model.tag(texts, policy=POLICY),
    "exit_table": lambda model, texts, folder: model.exit_table(texts),
    "save": lambda model, texts, folder: model.save_pretrained(folder),
    "bench": lambda model, texts, folder: bench(model, texts, from_config(POLICY), repeats=1),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["words", "texts", "cascade"])
def test_nothing_of_the_givers_is_changed(kind, call, wordpiece, tmp_path):
    auto = (
        AutoModelForTokenClassification if kind == "words" else AutoModelForSequenceClassification
    )
    given = network(auto)
    mixed(given)
    before = picture(given)
    if kind == "cascade":
        other = classifier(network(auto), wordpiece)
        model: Any = CascadeForSequenceClassification([other, classifier(given, wordpiece)])
    else:
        model = (tagger if kind == "words" else classifier)(given, wordpiece)
    same(picture(given), before)
    whole = [part.training for part in model.modules()]
    texts = WORDS if kind == "words" else TEXTS
    if kind == "cascade" and call == "predict":
        texts = [text for (text,) in TEXTS]  # type: ignore[misc]
    CALLS[call](model, texts, tmp_path)
    same(picture(given), before)
    assert [part.training for part in model.modules()] == whole


@pytest.mark.parametrize("make", [tagger, classifier])
def test_modes_say_nothing_about_answers(make, wordpiece):
    auto = AutoModelForTokenClassification if make is tagger else AutoModelForSequenceClassification
    model, texts = make(network(auto), wordpiece), WORDS if make is tagger else TEXTS
    expected = model.eval().tag(texts, policy=POLICY)
    for _ in range(3):
        mixed(model)
        found = model.tag(texts, policy=POLICY)
        assert found.log_probs.tobytes() == expected.log_probs.tobytes()
        assert (found.exit_layer == expected.exit_layer).all()


@pytest.mark.parametrize("make", [tagger, classifier])
@pytest.mark.parametrize("training", [True, False])
def test_four_threads_get_what_one_gets(make, training, wordpiece):
    auto = AutoModelForTokenClassification if make is tagger else AutoModelForSequenceClassification
    model, texts = make(network(auto), wordpiece), WORDS if make is tagger else TEXTS
    expected = model.eval().tag(texts, policy=POLICY).log_probs.tobytes()
    model.train(training)
    model.network.to(torch.float32)
    wrong: list[int] = []

    def work() -> None:
        for number in range(25):
            try:
                found = model.tag(texts, policy=POLICY).log_probs.tobytes()
            except Exception:
                wrong.append(-1)
                raise
            if found != expected:
                wrong.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(part.training == training for part in model.modules())


@pytest.mark.parametrize("around", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("make", [tagger, classifier])
def test_made_and_loaded_without_gradients_and_trained_all_the_same(
    make, around, wordpiece, tmp_path
):
    auto = AutoModelForTokenClassification if make is tagger else AutoModelForSequenceClassification
    texts = WORDS if make is tagger else TEXTS
    with around():
        model = make(network(auto).base_model, wordpiece)
        expected = model.tag(texts).log_probs
        model.save_pretrained(tmp_path)
        loaded = type(model).from_pretrained(tmp_path)
    assert (model.tag(texts).log_probs == expected).all()
    for one in (model, loaded):
        assert not any(weight.is_inference() for weight in one.parameters())
        sum(weight.sum() for weight in one.parameters()).backward()
        torch.optim.SGD(one.parameters(), lr=0.1).step()
        assert abs(one.tag(texts).log_probs - expected).max() > 0


def test_a_network_made_in_inference_mode_predicts(wordpiece, tmp_path):
    with torch.inference_mode():
        given = network(AutoModelForTokenClassification).eval()
    model = tagger(given, wordpiece)
    assert all(w.is_inference() for w in given.parameters())
    before = model.tag(WORDS).log_probs
    with torch.inference_mode():
        given.classifier.bias[1] += 1
    assert abs(model.tag(WORDS).log_probs - before).max() > 1e-4
    windows = model.encoder.encode(WORDS, [[0] * 5, [1]])
    with pytest.raises(UserError, match=r"built inside torch.inference_mode\(\)"):
        train(
            model,
            [window.sentence for window in windows],
            TrainConfig(),
            accelerator=make_accelerator(TrainConfig(), tmp_path),
            folder=tmp_path,
        )


def test_tables_may_be_trained_on(wordpiece):
    model = tagger(network(AutoModelForTokenClassification), wordpiece)
    table = model.exit_table(WORDS)
    weight = torch.ones(3, requires_grad=True)
    (table.logits * weight).sum().backward()
    table.logits.add_(1)
    assert not table.logits.is_inference()


@pytest.mark.parametrize("make", [tagger, classifier])
def test_saving_writes_nothing_into_a_network_that_is_the_givers_own(make, wordpiece, tmp_path):
    auto = AutoModelForTokenClassification if make is tagger else AutoModelForSequenceClassification
    given = network(auto)
    given.config.id2label = dict(enumerate(LABELS))
    model = make(given, wordpiece)
    assert model.network is given
    before = picture(given)
    model.save_pretrained(tmp_path)
    same(picture(given), before)


@pytest.mark.parametrize("make", [tagger, classifier])
def test_threads_do_not_cut_each_others_texts(make, wordpiece):
    auto = AutoModelForTokenClassification if make is tagger else AutoModelForSequenceClassification
    model = make(network(auto), wordpiece)
    jobs = [["ada " * count + "paris"] * 2 for count in (150, 3, 90, 7)]
    expected = [model.predict(job) for job in jobs]
    wrong: list[Any] = []

    def work(first: int) -> None:
        for number in range(first, first + 30):
            try:
                if model.predict(jobs[number % 4]) != expected[number % 4]:
                    wrong.append(number % 4)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    every = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(every)
    assert not wrong


WRITE: dict[str, Any] = {
    "predict": lambda model, folder: model.predict(TEXTS[0]),
    "generate": lambda model, folder: model.generate(IDS, max_new_tokens=3),
    "beams": lambda model, folder: model.generate(IDS, num_beams=2, max_new_tokens=3),
    "verify": lambda model, folder: model.generate(IDS, pending="verify", max_new_tokens=3),
    "settings": lambda model, folder: model.generate(
        IDS, generation_config=GenerationConfig(max_new_tokens=2, do_sample=True)
    ),
    "source": lambda model, folder: model.generate(
        IDS, encoder_policy={"name": "hash"}, max_new_tokens=2
    ),
    "start": lambda model, folder: model.start(IDS).step(torch.tensor([0, 0])),
    "save": lambda model, folder: model.save_pretrained(folder),
}
IDS = torch.tensor([[9, 10, 11], [12, 13, 2]])


@pytest.mark.parametrize("call", WRITE)
@pytest.mark.parametrize("family", ["t5", "bart", "mbart", "marian"])
def test_nothing_of_a_generator_is_changed(family, call, wordpiece, tmp_path):
    torch.manual_seed(0)
    given: Any = AutoModelForSeq2SeqLM.from_config(DECODERS.get(family).example_config(family))
    given.generation_config.max_new_tokens = 4
    mixed(given)
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.padding_side = tokenizer.truncation_side = "left"
    tokenizer("ada", padding=False, truncation=False)  # forgets what its last call was told
    model = ExitModelForSeq2SeqLM.from_transformers(given, tokenizer, gate=True)

    def now() -> dict[str, Any]:
        settings = given.generation_config
        sides = tokenizer.padding_side, tokenizer.truncation_side, tokenizer.model_max_length
        return picture(given) | {
            "generation": (settings.to_dict(), sorted(vars(settings))),
            "tokenizer": (*sides, tokenizer.backend_tokenizer.to_str(), repr(tokenizer)),
            "switches of torch": (torch.is_grad_enabled(), torch.get_num_threads()),
            "whole": [part.training for part in model.modules()],
        }

    before = now()
    WRITE[call](model, tmp_path)
    same(now(), before)
