"""Text classifiers: transformers' numbers at full depth, and texts that leave a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification

from tokenexit import (
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
    policies,
)
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.evaluation.bench import bench, plain_forward
from tokenexit.models.fresh.encoder import train_tokenizer

FAMILIES = [name for name, _ in BACKBONES.items()]
LABELS = ["yes", "no", "maybe"]
TEXTS = [["red one"], ["blue two three green three"], ["three"], [""], ["one two one two red"]]
PAIRS = [[text[0], "green two"] for text in TEXTS]
SEGMENTED = ("bert", "albert", "electra", "deberta-v2")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer([["red", "green", "blue", "one", "two"], ["three"]], 200, False)


@pytest.fixture(scope="module")
def build(tokenizer: Any) -> Any:
    made: dict[Any, Any] = {}

    def get(kind: str) -> ExitModelForSequenceClassification:
        if kind not in made:
            torch.manual_seed(0)
            config: Any = BACKBONES.get(kind).example_config(kind)
            config.num_labels, config.vocab_size = 3, max(config.vocab_size, len(tokenizer))
            if kind in SEGMENTED:
                config.type_vocab_size = 2
            config.classifier_pooling = "cls"
            network: Any = AutoModelForSequenceClassification.from_config(config)
            with torch.no_grad():
                for weight in network.parameters():
                    weight.add_(torch.randn_like(weight), alpha=0.2)
            model = ExitModelForSequenceClassification.from_transformers(network, tokenizer, LABELS)
            with torch.no_grad():  # exits that are sure of some texts
                for weight in model.heads.parameters():
                    weight.normal_(std=0.4)
            made[kind] = model.eval()
        return made[kind]

    return get


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: Any, build: Any) -> Any:
    return build(request.param)


@pytest.mark.parametrize("data", [TEXTS, PAIRS], ids=["texts", "pairs"])
def test_full_depth_gives_what_transformers_gives(model, tokenizer, data):
    columns = [list(column) for column in zip(*data, strict=True)]
    inputs = dict(tokenizer(*columns, padding=True, return_tensors="pt"))
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        expected = model.network(**inputs).logits.log_softmax(-1).numpy()
    trace = model.trace(data, policy="never", batch_size=3)
    np.testing.assert_allclose(trace.log_probs, expected, atol=1e-5)
    assert (trace.exit_layer == 4).all()
    assert trace.text.tolist() == list(range(len(data)))


@pytest.mark.parametrize("kind", SEGMENTED)
def test_second_sentences_have_segments_of_their_own(build, kind):
    model = build(kind)
    windows = model.encoder.encode(PAIRS)
    segments = [[0] * (len(p.sentence.input_ids) - 2) + [1, 1] for p in windows]
    marked = [
        type(p)(p.text, p.first, p.keep, type(p.sentence)(
            p.sentence.input_ids, p.sentence.word_rows, None, row))
        for p, row in zip(windows, segments, strict=True)
    ]  # fmt: skip
    from tokenexit.models.encoders.run import run

    with_segments = run(model, marked, policies.Never())
    without = run(model, windows, policies.Never())
    assert not np.allclose(with_segments.log_probs, without.log_probs, atol=1e-3)
    sentences = [window.sentence for window in marked]
    assert plain_forward(model, sentences).tolist() == with_segments.prediction.tolist()


def middling(model: Any) -> Any:
    """A threshold that some texts meet at the first exit, and others do not."""
    log_probs = model.trace(TEXTS, policy=policies.AssignedDepth(1)).log_probs
    entropies = -(np.exp(log_probs) * log_probs).sum(-1) / np.log(3)
    return policies.Entropy(float(np.median(entropies)) - 1e-4)


def test_texts_leave_the_batch_and_do_not_depend_on_it(model):
    policy = middling(model)
    whole = model.trace(TEXTS, policy=policy)
    assert len(set(whole.exit_layer.tolist())) >= 2
    for row, text in enumerate(TEXTS):
        alone = model.trace([text], policy=policy)
        assert alone.exit_layer[0] == whole.exit_layer[row]
        np.testing.assert_allclose(alone.log_probs[0], whole.log_probs[row], atol=1e-5)
    rows = [layer.active for layer in whole.work]
    lengths = whole.lengths
    for layer, active in enumerate(rows[:-1], start=1):
        assert active == lengths[whole.exit_layer >= layer].sum()
    assert rows[-1] == (whole.exit_layer == 4).sum()  # the top needs the first token alone


def test_the_folder_comes_back_and_plain_transformers_reads_it(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = ExitModelForSequenceClassification.from_pretrained(tmp_path)
    policy = middling(model)
    assert loaded.predict(["red one"], policy=policy) == model.predict(["red one"], policy=policy)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert plain.config.id2label == dict(enumerate(LABELS))
    with pytest.raises(UserError, match=r"text classifier.*ExitModelForSequenceClassification"):
        ExitModelForTokenClassification.from_pretrained(tmp_path)


def test_predict(build):
    model = build("bert")
    found = model.predict(["red one", ""], policy=policies.Entropy(0.9))
    assert [one.text for one in found] == ["red one", ""]
    assert all(one.label in LABELS and 1 <= one.exit_layer <= 4 for one in found)
    assert found[0].to_dict()["confidence"] == found[0].confidence
    pair = model.predict([("red", "one"), ("blue", "two")])
    assert pair[0].text == ["red", "one"]


def test_a_bare_encoder_gets_a_head(tokenizer):
    config = BACKBONES.get("bert").example_config("bert")
    config.vocab_size = max(config.vocab_size, len(tokenizer))
    bare = AutoModel.from_config(config)
    model = ExitModelForSequenceClassification.from_transformers(bare, tokenizer, LABELS)
    assert model.network.config.num_labels == 3
    assert model.network.bert.embeddings.word_embeddings.weight.equal(
        bare.embeddings.word_embeddings.weight
    )


def test_bench_counts_the_plain_model(build):
    result = bench(build("roberta"), TEXTS, policies.Entropy(0.9), batch_size=2, repeats=1)
    assert result.n_sentences == len(TEXTS)
    assert 0 < result.mac_ratio < 1.1
    full = bench(build("bert"), TEXTS[:2], policies.Never(), batch_size=2, repeats=1)
    assert full.mac_ratio == pytest.approx(1.0, abs=0.25)  # the top computes first tokens only


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([["a"], ["b", "c"]], "all texts a second one, or none"),
        (["a"], "list of one or two strings"),
        ([["a", "b", "c"]], "list of one or two strings"),
        ([[1]], "no string"),
    ],
)
def test_texts_that_are_none(build, texts, message):
    with pytest.raises(UserError, match=message):
        build("bert").trace(texts)


def test_what_has_no_meaning_for_texts(build):
    model = build("bert")
    with pytest.raises(UserError, match="works for words"):
        model.trace(TEXTS, policy=policies.Window())
    with pytest.raises(UserError, match="no meaning for text classifiers"):
        model.trace(TEXTS, halted="drop")
    with pytest.raises(UserError, match=r"predict\(\[text\]\)"):
        model.predict("red")


def test_tag_is_the_former_name_of_trace(build):
    model = build("bert")
    with pytest.warns(DeprecationWarning, match="SequenceClassification.tag is now called trace"):
        found = model.tag(TEXTS, policy="entropy")
    np.testing.assert_array_equal(found.log_probs, model.trace(TEXTS, policy="entropy").log_probs)


def test_long_texts_are_cut_and_counted(build, caplog):
    model = build("bert")
    trace = model.trace([["one " * 500], ["one " * 90, "two " * 3]][:1])
    assert trace.lengths.tolist() == [model.backbone.max_length]
    assert "1 of 1 texts are longer" in caplog.text


def test_models_that_average_tokens_are_refused(tokenizer):
    config: Any = BACKBONES.get("modernbert").example_config("modernbert")
    config.vocab_size, config.num_labels = max(config.vocab_size, len(tokenizer)), 3
    config.classifier_pooling = "mean"
    network = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(UserError, match="classifies the mean of all tokens"):
        ExitModelForSequenceClassification.from_transformers(network, tokenizer, LABELS)
