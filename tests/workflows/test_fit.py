"""Models and data in memory: training in Python without a run folder."""

from __future__ import annotations

from typing import Any

import datasets
import pandas as pd
import pytest

import tokenexit
from tokenexit.data.memory import in_memory
from tokenexit.data.pairs import read_pairs
from tokenexit.data.tagged import TaggedSplit, read_tagged
from tokenexit.data.texts import ScoredSplit, read_texts
from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder import fresh_encoder, train_tokenizer
from tokenexit.models.scale import Scale
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.recipes import recipe_of
from tokenexit.workflows.recipes.presets import SMALL
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

NETWORK = {
    "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 16,
}  # fmt: skip
WORDS = {"red": "warm", "orange": "warm", "blue": "cold", "green": "cold"}
ROWS = [{"sentence": f"it is {word}", "label": label} for word, label in WORDS.items()] * 16
SETTINGS: dict[str, Any] = {
    "train": {"max_steps": 40, "epochs": 20, "batch_size": 16, "lr": 5e-3, "head_lr": 5e-3},
    "calibrate": {"grid": 3, "verify": 1, "loose": True},
}
FEW = {**SETTINGS, "train": {"max_steps": 2}}


def classifier(labels: tuple[str, ...] = ("cold", "warm"), **more: Any) -> Any:
    config = ClassificationConfig("run", data="x", model=NETWORK)
    split = read_texts(in_memory(ROWS))["train"]  # type: ignore[arg-type]
    built = recipe_of(config).build(split)
    if not more:
        return built
    network = fresh_encoder(NETWORK, built.tokenizer, len(labels))
    kind = tokenexit.ExitModelForSequenceClassification
    return kind.from_transformers(network, built.tokenizer, labels, **more)


def test_a_classifier_learns_from_a_list(tmp_path):
    model = classifier()
    assert model.fit(ROWS, ROWS[:8], **SETTINGS) is model
    found = model.predict([row["sentence"] for row in ROWS[:4]])
    assert [one.label for one in found] == [row["label"] for row in ROWS[:4]]
    assert model.settings.calibration is not None
    model.save_pretrained(tmp_path / "m")
    again = type(model).from_pretrained(tmp_path / "m")
    assert again.settings.policy == model.settings.policy
    assert not model.training


@pytest.mark.parametrize("make", [pd.DataFrame, datasets.Dataset.from_list])
def test_frames_and_data_sets_are_read_alike(make):
    wanted = read_texts(in_memory(ROWS))  # type: ignore[arg-type]
    assert read_texts(in_memory(make(ROWS))) == wanted  # type: ignore[arg-type]
    both = datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})
    assert read_texts(in_memory(both)) == wanted  # type: ignore[arg-type]
    tags = [{"tokens": ["a", "b"], "ner_tags": ["O", "B-X"]}] * 2
    assert read_tagged(in_memory(make(tags)))["train"].tags == [["O", "B-X"]] * 2  # type: ignore[arg-type]
    values = [{"sentence": "a", "label": 0.5}, {"sentence": "b", "label": None}]
    found = read_texts(in_memory(make(values)), kind=ScoredSplit)["train"]  # type: ignore[arg-type]
    assert found.tags == [["0.5"], [""]]


def test_a_regression_and_a_tagger_learn_from_splits_of_ours():
    numbers = [{**row, "label": float(place % 3)} for place, row in enumerate(ROWS)]
    split: Any = read_texts(in_memory(numbers), kind=ScoredSplit)["train"]  # type: ignore[arg-type]
    scored = classifier(("value",), scale=Scale.of(split))
    tokenexit.fit(scored, split, split.head(8), **FEW)
    assert scored.settings.policy["name"] in ("value_patience", "never")
    words = TaggedSplit([["it", "is", "red"]] * 20, [["O", "O", "B-C"]] * 20, "here")
    labels = ("O", "B-C", "I-C")
    tokenizer = train_tokenizer(words.tokens, 100, False)
    network = fresh_encoder(NETWORK, tokenizer, len(labels))
    tagger = tokenexit.ExitModelForTokenClassification.from_transformers(network, tokenizer, labels)
    tagger.fit(words, **FEW)
    assert tagger.settings.training is not None
    assert len(tagger.predict([["it", "is"]])[0].labels) == 2


def test_a_generator_learns_from_a_list():
    small = {**SMALL, "d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 2, "vocab_size": 300}
    small["num_decoder_layers"] = 2
    config = Seq2SeqConfig("run", data="x", task="data_to_text", model=small)
    rows = [{"source": "red blue", "target": "blue red"}, {"source": "a", "target": "b"}] * 4
    split: Any = read_pairs(in_memory(rows))["train"]  # type: ignore[arg-type]
    model = recipe_of(config).build(split)
    model.configure(generation={"max_new_tokens": 4})
    model.fit(rows, rows[:2], **FEW, max_target=8)
    assert model.settings.training is not None
    assert model.settings.task == "data_to_text"
    with pytest.raises(UserError, match="Give a validation split"):
        tokenexit.fit(model, split)


def test_only_one_model_with_exits_is_fitted():
    with pytest.raises(UserError, match="A model with exits is fitted, not list"):
        tokenexit.fit(ROWS, ROWS)


@pytest.mark.parametrize(
    ("train", "settings", "told"),
    [
        (ROWS, {"epochs": 3}, "Unknown setting of fit 'epochs'"),
        (ROWS, {"heads": {}}, "Unknown setting of fit 'heads'"),
        (ROWS, {"train": {"epoch": 3}}, "train.epoch"),
        ("a file", {}, "must be a list of dictionaries"),
        ([{"text": "a"}], {}, "no column for the labels"),
        ([{**row, "label": "hot"} for row in ROWS], {}, "hot"),
    ],
)
def test_mistakes_are_told(train, settings, told):
    with pytest.raises(UserError, match=told):
        tokenexit.fit(classifier(), train, ROWS[:4], **settings)
