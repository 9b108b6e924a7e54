"""What quality is held to: full depth in float32, whatever precision is measured."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tokenexit import policies
from tokenexit.data.pairs import PairSplit
from tokenexit.evaluation import evaluate, trace_split
from tokenexit.evaluation.curve import trace_curve
from tokenexit.evaluation.generation import evaluate_texts, trace_texts
from tokenexit.evaluation.reference import in_full_precision
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies.never import Never
from tokenexit.reporting import results_text


def coarse(model: Any, every: int) -> Any:
    """With weights so far apart that 8 bits tell little of most."""
    with torch.no_grad():
        for layer in model.network.modules():
            if isinstance(layer, nn.Linear) and layer.in_features > 8:
                layer.weight[:, ::every] *= 60
    return model


@pytest.fixture
def rough(tagger: Any) -> Any:
    return coarse(copy.deepcopy(tagger), 64)


@pytest.fixture
def labelled(rough: Any, splits: Any) -> Any:
    """By the model itself at full depth in float32, so that this scores 1."""
    split = splits["test"].head(12)
    trace = trace_split(rough, split, Never())
    tags = [
        [rough.labels[number] for number in trace.prediction[trace.text == text]]
        for text in range(len(split))
    ]
    return replace(split, tags=tags)


@pytest.fixture
def writer() -> ExitModelForSeq2SeqLM:
    torch.manual_seed(3)
    sources = ["a b c d", "b", "c a d b a c", "d d a", "e f a"]
    tokenizer = train_subword_tokenizer(sources, 300, False)
    config = {
        "model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 24, "num_heads": 2,
        "num_layers": 3, "num_decoder_layers": 3,
    }  # fmt: skip
    made = ExitModelForSeq2SeqLM.from_transformers(fresh_seq2seq(config, tokenizer), tokenizer)
    made.configure(generation={"max_new_tokens": 9})
    with torch.no_grad():
        made.network.shared.weight.normal_()  # so that it writes more than one token
    return coarse(made.eval(), 5)


@pytest.mark.parametrize("policy", [policies.Entropy(0.2), Never()], ids=["exits", "full"])
def test_a_tagger_is_held_to_float32(rough: Any, labelled: Any, policy: Any) -> None:
    rough.use(precision="int8")
    made = rough._inference
    result, trace = evaluate(rough, labelled, "test", policy)
    assert (result.precision, result.full_depth_precision) == ("int8", "fp32")
    assert result.quality_full_depth == 1.0
    assert result.quality < 1.0
    assert result.relative_quality == result.quality
    assert result.figures["words_changed"] > 0
    own = trace_split(rough, labelled, policy)
    assert (trace.prediction == own.prediction).all()
    assert rough._inference is made


def test_float32_is_held_to_itself(rough: Any, labelled: Any) -> None:
    result, _ = evaluate(rough, labelled, "test", Never())
    assert (result.precision, result.full_depth_precision) == ("fp32", "fp32")
    assert result.quality == result.quality_full_depth == result.relative_quality == 1.0
    assert "fp32" not in results_text(result.to_json())


def test_the_text_names_both(rough: Any, labelled: Any) -> None:
    result, _ = evaluate(rough.use(precision="int8"), labelled, "test", Never())
    text = results_text(result.to_json())
    assert " in int8 against 1.0000 at full depth in fp32, " in text


def test_curves_are_held_to_it(rough: Any, labelled: Any) -> None:
    rough.use(precision="int8")
    points = trace_curve(rough, labelled, "test", policies.Entropy(), [0.2])
    assert points[0].kind == "full"
    assert points[0].quality < 1.0
    assert all(point.relative_quality == point.quality for point in points)


def test_without_float32_weights_it_is_said(
    rough: Any, labelled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rough.use(precision="int8", free=True)
    with caplog.at_level(logging.WARNING):
        result, _ = evaluate(rough, labelled, "test", policies.Entropy(0.2))
    assert result.full_depth_precision == "int8"
    assert "held to full depth in int8" in caplog.text


def test_what_fails_inside_leaves_the_precision_as_it_was(rough: Any) -> None:
    rough.use(precision="int8")
    seen = []

    def fail() -> None:
        with in_full_precision(rough):
            seen.append(rough.precision)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (*seen, rough.precision) == ("fp32", "int8")


@pytest.mark.parametrize("policy", [policies.AssignedDepth(2), Never()], ids=["exits", "full"])
def test_a_generator_is_held_to_float32(writer: Any, policy: Any) -> None:
    sources = ["a b c d", "b", "c a d b a c", "d d a", "e f a"]
    split = PairSplit(sources=sources, targets=sources, references=None, origin="here")
    split = replace(split, targets=trace_texts(writer, split, Never()).texts)
    writer.use(precision="int8")
    result, _ = evaluate_texts(writer, split, "test", policy)
    assert result.full_depth_precision == "fp32"
    assert result.figures["chrf_full_depth"] == pytest.approx(1.0)
    assert result.figures["chrf"] < 1.0
    assert result.figures["agreement_exact"] < 1.0
    assert "of texts as at full depth in fp32" in results_text(result.to_json())
    assert writer.precision == "int8"
