"""Models with exits in transformers' pipelines, and in other people's loops."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch.nn import functional as F
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, pipeline

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.models.scale import Scale
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification

LINES = ["ada was born in london .", "she", "paris and zeppelin , she"]
POLICY = policies.Entropy(0.75)


@pytest.fixture(params=["argmax", "legal"])
def ready(make_tagger, request):
    model = make_tagger()
    model.configure(policy=POLICY, decode=request.param)
    return model


def serve(task: str, model: Any, **options: Any) -> Any:
    return pipeline(task, model=model, tokenizer=model.tokenizer, device="cpu", **options)


def classifier(tokenizer: Any, scale: Scale | None = None) -> ExitModelForSequenceClassification:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        initializer_range=0.4,
    )
    labels = ["value"] if scale else ["good", "bad", "so-so"]
    model = ExitModelForSequenceClassification.from_transformers(
        BertModel(config), tokenizer, labels, scale=scale
    ).eval()
    model.configure(policy=policies.ValuePatience(0.5) if scale else policies.Entropy(0.9))
    return model


@pytest.mark.parametrize("task", ["ner", "token-classification"])
def test_words_of_a_pipeline_are_those_of_predict(task, ready, caplog):
    with caplog.at_level(logging.WARNING):
        found = serve(task, ready, ignore_labels=[])(LINES)
    assert "not supported" not in caplog.text
    wanted = ready.predict([line.split() for line in LINES])
    assert len({layer for one in wanted for layer in one.exit_layers}) > 1
    for tokens, one, line in zip(found, wanted, LINES, strict=True):
        starts = {sum(len(w) + 1 for w in line.split()[:n]): n for n in range(len(line.split()))}
        firsts = [token for token in tokens if token["start"] in starts]
        assert [token["entity"] for token in firsts] == one.labels
        if ready.settings.decode == "argmax":
            scores = [float(token["score"]) for token in firsts]
            assert scores == pytest.approx(one.confidences, abs=1e-5)


@pytest.mark.parametrize("strategy", ["simple", "first"])
def test_entities_of_a_pipeline(strategy, make_tagger):
    model = make_tagger()
    model.configure(policy=POLICY, decode="legal")
    found = serve("ner", model, aggregation_strategy=strategy)(LINES)
    wanted = [one.entities for one in model.predict(LINES)]
    assert any(wanted)
    for groups, entities in zip(found, wanted, strict=True):
        assert [(g["entity_group"], g["start"], g["end"]) for g in groups] == [
            (e.type, e.start_char, e.end_char) for e in entities
        ]


def test_a_tagger_of_bytes(make_tagger, roberta_tokenizer):
    model = make_tagger("roberta", roberta_tokenizer)
    model.configure(policy=POLICY)
    batch = model.tokenizer(LINES, return_tensors="pt", padding=True)
    output = model(**batch)
    trace = model.tag([line.split() for line in LINES])
    words = [row[row > 0] for row in output.exit_layers]
    assert len(words[1]) == 4  # a space, and the letters of one word
    assert words[1].unique().tolist() == [int(trace.exit_layer[6])]


@pytest.mark.parametrize("ends", ["", "</w>"])
def test_a_tagger_whose_tokens_have_no_marks_of_spaces(ends, make_tagger):
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted({letter for line in LINES for letter in line if letter != " "})
    if ends:  # as HerBERT's: letters, and such as end a word
        vocabulary = [*names, *letters, *(letter + ends for letter in letters)]
        kind: Any = models.BPE(
            {t: n for n, t in enumerate(vocabulary)}, [], end_of_word_suffix=ends
        )
    else:  # whole words
        vocabulary = [*names, *sorted({word for line in LINES for word in line.split()})]
        kind = models.WordLevel({t: n for n, t in enumerate(vocabulary)}, unk_token="[UNK]")
    tokens = Tokenizer(kind)
    tokens.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokens.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    keys = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, **dict(zip(keys, names, strict=True))
    )
    model = make_tagger(tokenizer=tokenizer)
    model.configure(policy=POLICY)
    found = serve("ner", model, ignore_labels=[])(LINES)
    wanted = model.predict([line.split() for line in LINES])
    for line, one, rows in zip(LINES, wanted, found, strict=True):
        starts = [0, *(place + 1 for place, letter in enumerate(line) if letter == " ")]
        labels = {row["start"]: row["entity"] for row in rows}
        assert [labels[start] for start in starts] == one.labels


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_usual_type_of_new_tensors_is_the_callers_own_affair(dtype, ready, wordpiece):
    batch = wordpiece(LINES, return_tensors="pt", padding=True)
    expected, made = ready(**batch), ready.predict(LINES)
    torch.set_default_dtype(dtype)
    try:
        found, again = ready(**batch), ready.predict(LINES)
        assert classifier(wordpiece).predict(LINES)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.logits.equal(expected.logits)
    assert again == made


def test_a_pipeline_in_batches(wordpiece):
    model = classifier(wordpiece)
    wanted = model.predict(LINES)
    assert len({one.exit_layer for one in wanted}) > 1
    for size in (1, 3):
        found = serve("text-classification", model)(LINES, batch_size=size)
        assert [one["label"] for one in found] == [one.label for one in wanted]
        scores = [one["score"] for one in found]
        assert scores == pytest.approx([one.confidence for one in wanted], abs=1e-5)


def test_a_pipeline_of_numbers(wordpiece):
    model = classifier(wordpiece, Scale(5.0, 2.0))
    found = serve("text-classification", model)(LINES)
    wanted = [one.value for one in model.predict(LINES)]
    assert [one["score"] for one in found] == pytest.approx(wanted, abs=1e-4)


def test_a_documented_output(ready, wordpiece):
    batch = ready.tokenizer(LINES, return_tensors="pt", padding=True)
    labels = torch.full_like(batch["input_ids"], -100)
    labels[:, 1] = 2
    output = ready(**batch, labels=labels)
    assert output.logits.shape == (*batch["input_ids"].shape, len(ready.labels))
    assert not output.logits.is_inference()
    assert (output.exit_layers > 0).equal(output.logits.abs().sum(-1) > 0)
    assert output.loss == pytest.approx(float(F.cross_entropy(output.logits[:, 1], labels[:, 1])))
    deep = ready(**batch, policy="never")
    assert deep.exit_layers.max() == deep.exit_layers[deep.exit_layers > 0].min() == 4
    assert (deep["logits"], deep[0]) == (deep.logits, deep.logits)
    assert deep.loss is None
    told = classifier(wordpiece)(**batch, labels=torch.tensor([0, 1, 2]))
    assert told.exit_layers.shape == (3,)
    assert told.loss > 0
    assert ready.config.id2label == dict(enumerate(ready.labels))
    assert (ready.can_generate(), ready.dtype, ready.device.type) == (False, torch.float32, "cpu")


def test_padding_on_any_side_changes_nothing(ready):
    batch = ready.tokenizer(LINES, return_tensors="pt", padding=True)
    turned = {name: rows.flip(1) for name, rows in batch.items()}
    turned["input_ids"] = torch.stack(
        [
            torch.cat([row[mask == 0], row[mask == 1]])
            for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ]
    )
    left, right = ready(**turned), ready(**batch)
    for number, mask in enumerate(batch["attention_mask"].bool()):
        assert left.exit_layers[number, mask.flip(0)].equal(right.exit_layers[number, mask])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"inputs_embeds": torch.zeros(1)}, "does not serve inputs_embeds"),
        ({"output_hidden_states": True}, "does not serve output_hidden_states"),
        ({"input_ids": [[1, 2]]}, "input_ids must be a tensor"),
        ({"attention_mask": torch.ones(1, 2)}, "attention_mask has the shape"),
        ({"attention_mask": torch.zeros(3, 8)}, "has the shape|no token"),
        ({"policy": "nevr"}, "Did you mean 'never'"),
    ],
)
def test_what_is_not_served_is_refused(change, told, ready):
    batch = ready.tokenizer(LINES, return_tensors="pt", padding=True)
    with pytest.raises(UserError, match=told):
        ready(**{**batch, **change})
    long = torch.full((1, 600), 30)
    with pytest.raises(UserError, match="truncation=True"):
        ready(long)
