"""Tagging: strings or words in, a label and a depth for each word out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.halting import Trace, merge, pack
from tokenexit.halting.cost import macs

POLICY = policies.Entropy(0.4)


def same(first: Trace, second: Trace) -> None:
    for name in ("text", "position", "exit_layer", "prediction", "gold"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_allclose(first.log_probs, second.log_probs, atol=1e-4)
    np.testing.assert_allclose(first.confidence, second.confidence, atol=1e-4)


def test_every_word_gets_one_answer(family_tagger, texts):
    """The fourth text is longer than the model."""
    trace = family_tagger.tag(texts, policy=POLICY)
    assert len(trace.lengths) > sum(bool(text) for text in texts)
    expected = [(number, place) for number, text in enumerate(texts) for place in range(len(text))]
    assert list(zip(trace.text.tolist(), trace.position.tolist(), strict=True)) == expected
    assert len({*trace.exit_layer.tolist()}) > 1
    assert 1 <= trace.exit_layer.min() <= trace.exit_layer.max() <= trace.num_layers == 4
    np.testing.assert_array_equal(trace.prediction, trace.log_probs.argmax(-1))
    np.testing.assert_allclose(np.exp(trace.log_probs).sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(trace.confidence, np.exp(trace.log_probs.max(-1)), rtol=1e-5)


def test_full_depth_is_the_plain_model(family_tagger, texts):
    words = [text for text in texts if 0 < len(text) < 20]
    trace = family_tagger.tag(words)
    windows = family_tagger.encoder.encode(words)
    for number, window in enumerate(windows):
        with torch.no_grad():
            ids = torch.tensor([window.sentence.input_ids])
            logits = family_tagger.network(input_ids=ids).logits[0]
        first = [rows[0] for rows in window.sentence.word_rows]
        expected = logits.log_softmax(-1)[first].numpy()
        np.testing.assert_allclose(trace.log_probs[trace.text == number], expected, atol=1e-4)


def test_batches_do_not_matter(family_tagger, texts):
    whole = family_tagger.tag(texts, policy=POLICY)
    for size in (1, 2):
        same(family_tagger.tag(texts, policy=POLICY, batch_size=size), whole)


def test_parts_merge_to_the_whole(tagger, texts):
    """As two processes would: each tags its texts, and the traces are joined."""
    gold = [[place % 5 for place in range(len(text))] for text in texts]
    whole = tagger.tag(texts, gold, policy=POLICY, batch_size=1)
    parts = []
    for numbers in ([0, 2, 4], [1, 3]):
        own = [texts[n] for n in numbers], [gold[n] for n in numbers]
        part = tagger.tag(*own, policy=POLICY, batch_size=1)
        parts.append(replace(part, text=np.array(numbers)[part.text]))
    joined = merge(parts[::-1])
    same(joined, whole)
    assert joined.work == whole.work
    assert sorted(joined.lengths) == sorted(whole.lengths)
    assert joined.histogram == whole.histogram


@pytest.mark.parametrize("halted", ["copy", "drop", "restore"])
def test_reported_cost_is_what_torch_counts(make_tagger, halted):
    """Under ``restore`` the top head scores everybody, wherever they left."""
    tagger = make_tagger("bert", seed=1)
    tagger.network.set_attn_implementation("eager")
    words = [["ada", "was", "born", "in", "xyz", "london", "and", "paris"]]
    batch = pack([tagger.encoder.encode(words)[0].sentence])
    with FlopCounterMode(display=False) as counter:
        trace = tagger.tag(words, policy=policies.Hash(1, 4), halted=halted)
    assert len({*trace.exit_layer.tolist()}) > 1
    with torch.no_grad(), FlopCounterMode(display=False) as embedding:
        tagger.backbone.embed(batch.input_ids[None], batch.positions[None])
    flops = counter.get_total_flops() - embedding.get_total_flops()
    cost = macs(tagger.backbone, tagger.heads, trace.work)
    confidence = 5 * sum(layer.head for layer in trace.work[:-1])
    assert 2 * (cost - confidence) == flops


def test_gold_classes_are_carried_along(tagger, texts):
    gold = [[place % 5 if place % 3 else -100 for place in range(len(t))] for t in texts]
    trace = tagger.tag(texts, gold, policy="oracle")
    assert trace.gold.tolist() == [g for text in gold for g in text]
    known = trace.gold >= 0
    left = known & (trace.exit_layer < 4)
    assert (trace.prediction[left] == trace.gold[left]).all()
    assert (trace.exit_layer[~known] == 4).all()
    assert (tagger.tag(texts).gold == -100).all()


def test_strings_and_words_agree(tagger):
    text = "Ada Lovelace was born in London."
    (of_text,) = tagger.predict([text], policy=POLICY)
    (of_words,) = tagger.predict([of_text.words], policy=POLICY)
    assert of_text.words == ["Ada", "Lovelace", "was", "born", "in", "London", "."]
    for name in ("words", "labels", "exit_layers", "confidences"):
        assert getattr(of_text, name) == getattr(of_words, name)
    assert (of_text.text, of_words.text, of_words.offsets) == (text, None, None)
    assert of_text.offsets is not None
    assert [text[start:end] for start, end in of_text.offsets] == of_text.words


def test_results_come_in_order_with_empty_texts_in_place(tagger, texts):
    given = ["", *texts, "   ", "paris"]
    found = tagger.predict(given, policy=POLICY, batch_size=2)
    assert [len(result.words) for result in found] == [0, *map(len, texts), 0, 1]
    for result in found:
        sizes = {len(result.labels), len(result.exit_layers), len(result.confidences)}
        assert sizes == {len(result.words)}
        assert result.to_dict()["labels"] == result.labels
    assert found[-1].labels == found[3].labels
    assert tagger.predict([]) == []
    assert tagger.predict([[], ""])[1].text == ""


def test_a_text_of_many_words(tagger):
    (found,) = tagger.predict([["ada", "was", "in", "london"] * 250], policy=POLICY)
    assert len(found.labels) == len(found.exit_layers) == 1000


def test_words_no_tokenizer_knows(tagger):
    (found,) = tagger.predict([["\u200b", "", "🙂", "x" * 500, "ada"]])
    assert len(found.labels) == 5


def test_rows_of_other_kinds_will_do(tagger):
    words = np.array(["ada", "was"])
    (of_array,) = tagger.predict([words])
    assert of_array.labels == tagger.predict([("ada", "was")])[0].labels


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("Ada was born.", r"wrap a single one: predict\(\[text\]\)"),
        ([None], "Text 0 is neither a string nor a list of strings"),
        (["ada", 3], "Text 1 is neither"),
        ([["ada", 3]], "Text 0 is neither"),
        ([["ada"], [b"ada"]], "Text 1 is neither"),
        ([[["ada"]]], "Text 0 is neither"),
    ],
)
def test_what_is_no_text_is_refused(tagger, texts, message):
    with pytest.raises(UserError, match=message):
        tagger.predict(texts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "entropi"}, "'entropi'.*Did you mean 'entropy'"),
        ({"policy": {"name": "entropy", "treshold": 1}}, "Did you mean 'threshold'"),
        ({"policy": {"name": "entropy", "threshold": 2}}, "from 0 to 1"),
        ({"decode": "leagl"}, "'leagl'.*Did you mean 'legal'"),
        ({"halted": "restor"}, "'restor'.*Did you mean 'restore'"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1, not 0"),
        ({"batch_size": -3}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"policy": "oracle"}, "Oracle looks at gold labels"),
        ({"decode": "crf"}, "no CRF"),
    ],
)
def test_bad_settings(tagger, settings, message):
    with pytest.raises(UserError, match=message):
        tagger.predict([["ada", "was"]], **settings)


def test_a_policy_that_needs_a_gate(make_tagger):
    with pytest.raises(UserError, match=r"heads\.gate=true"):
        make_tagger(exit_layers=[2]).predict([["ada"]], policy="learned_gate")


def test_policies_by_name_mapping_or_value(tagger, texts):
    results = [
        tagger.tag(texts, policy=given)
        for given in (
            policies.Entropy(0.4),
            {"name": "entropy", "threshold": 0.4},
            '{"name": "entropy", "threshold": 0.4}',
        )
    ]
    same(results[0], results[1])
    same(results[0], results[2])


def test_the_models_own_settings_are_the_default(make_tagger, texts):
    model = make_tagger()
    model.configure(policy=POLICY, halted="drop", decode="legal")
    assert model.policy == POLICY
    same(model.tag(texts), model.tag(texts, policy=POLICY, halted="drop", decode="legal"))
    assert model.tag(texts).mean_exit_layer < 4


@pytest.mark.parametrize("training", [True, False])
def test_tagging_is_for_inference_and_leaves_the_mode_as_it_was(make_tagger, texts, training):
    model = make_tagger()
    expected = model.tag(texts)
    model.train(training)
    same(model.tag(texts), expected)
    assert model.training == model.network.training == training
    with pytest.raises(UserError):
        model.tag(texts, policy="oracle")
    assert model.training == model.network.training == training
    assert not torch.is_inference_mode_enabled()
    loss = model.network(input_ids=torch.tensor([[2, 7, 3]])).logits.sum()
    loss.backward()  # nothing of the run stuck to the weights


def test_legal_decoding(tagger, texts):
    free = tagger.tag(texts, policy=POLICY)
    legal = tagger.tag(texts, policy=POLICY, decode="legal")
    np.testing.assert_array_equal(legal.exit_layer, free.exit_layer)
    np.testing.assert_array_equal(legal.log_probs, free.log_probs)
    assert (legal.prediction != free.prediction).any()
    before: Any = None
    for number, place, label in zip(
        legal.text, legal.position, [tagger.labels[c] for c in legal.prediction], strict=True
    ):
        before = "O" if place == 0 else before
        assert not label.startswith("I-") or before[1:] == label[1:], (number, place)
        before = label
    picked = legal.log_probs[np.arange(len(legal)), legal.prediction]
    np.testing.assert_allclose(legal.confidence, np.exp(picked), rtol=1e-5)
    assert tagger.predict(["", []], decode="legal")[0].labels == []


def test_legal_decoding_wants_bio(make_tagger):
    model = make_tagger(labels=("NOUN", "VERB", "ADJ"))
    with pytest.raises(UserError, match=r"BIO scheme.*NOUN"):
        model.predict([["ada"]], decode="legal")


def test_exits_at_some_layers_only(make_tagger, texts):
    model = make_tagger(exit_layers=[2])
    assert {*model.tag(texts, policy=policies.Hash(1, 4)).exit_layer.tolist()} == {2, 4}
    assert model.tag(texts).histogram == [0, 0, 0, sum(map(len, texts))]


def test_bytes_are_the_same_for_a_model_in_memory_and_a_loaded_one(
    make_tagger, roberta_tokenizer, byte_level, tmp_path
):
    for model_type, tokenizer in (("roberta", roberta_tokenizer), ("modernbert", byte_level)):
        model = make_tagger(model_type, tokenizer)
        words = [["Ada", "was", "born"]]
        sizes = [len(rows) for rows in model.encoder.encode(words)[0].sentence.word_rows]
        assert sizes == [4, 4, 5]  # a space before each
        model.save_pretrained(tmp_path / model_type)
        loaded = type(model).from_pretrained(tmp_path / model_type)
        same(loaded.tag(words, policy=POLICY), model.tag(words, policy=POLICY))
        windows = [tagger.encoder.encode(words)[0] for tagger in (model, loaded)]
        assert windows[0].sentence.input_ids == windows[1].sentence.input_ids
