"""The card of a model folder reads well, on the Hub too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from tokenexit.models.folders.card import hub_id, model_card, public_name
from tokenexit.models.settings import ExitSettings

BARE = ExitSettings(
    labels=("O", "B-PER", "I-PER"), exit_layers=(1, 2, 4), heads={"name": "linear"}, task="ner"
)
RESULT = {
    "task": "ner",
    "split": "test",
    "metric": "f1",
    "quality": 0.94312,
    "quality_full_depth": 0.9508,
    "relative_quality": 0.9919,
    "mean_exit_layer": 1.58,
    "num_layers": 4,
    "depth_speedup": 2.53,
    "mac_ratio": 0.44,
    "exit_histogram": [3, 2, 0, 1],
    "figures": {},
}
POLICY = {"name": "window", "policy": {"name": "entropy", "threshold": 0.1}, "size": 3}
WHOLE = replace(
    BARE,
    policy=POLICY,
    calibration={"target": {"min_quality": 0.99}, "split": "validation", "reached": True},
    training={
        "task": "ner",
        "model": "bert-base-cased",
        "data": "someone/news",
        "seed": 7,
        "learning_rate": 5e-05,
        "objective": {"name": "joint"},
        "trackers": [],
    },
    results={"validation": RESULT | {"split": "validation"}, "test": RESULT},
)


def card(settings: ExitSettings) -> tuple[dict[str, Any], str]:
    text = model_card(settings, "ExitModelForTokenClassification", "bert")
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


def test_header_is_what_the_hub_reads():
    header, _ = card(WHOLE)
    assert header["library_name"] == "tokenexit"
    assert header["pipeline_tag"] == "token-classification"
    assert {"early-exit", "ner"} <= set(header["tags"])
    assert header["base_model"] == "bert-base-cased"
    assert header["datasets"] == ["someone/news"]


def test_the_hub_client_finds_the_results():
    text = model_card(WHOLE, "ExitModelForTokenClassification", "bert")
    found = ModelCard(text).data.eval_results
    test = [result for result in found if result.dataset_split == "test"]
    assert {r.metric_name: r.metric_value for r in test}["F1 with early exit"] == 0.94312
    assert {result.dataset_type for result in found} == {"someone/news"}


def test_body_tells_how_to_use_it():
    _, body = card(WHOLE)
    assert 'ExitModelForTokenClassification.from_pretrained("MODEL")' in body
    assert "AutoModelForTokenClassification" in body
    assert "tokenexit predict MODEL -" in body
    assert "3 entity tags (BIO): `O`, `B-PER`, `I-PER`." in body
    assert "After layers 1, 2, 4" in body


def test_body_holds_policy_calibration_results_and_training():
    _, body = card(WHOLE)
    assert '"threshold": 0.1' in body
    assert "keep at least 99% of the full-depth quality." in body
    assert "| test | F1 | 0.9431 | 0.9508 | 99.2% | 1.58 of 4 | 2.53x | 0.440 |" in body
    assert "| learning rate | 5e-05 |" in body
    assert "trackers" not in body


def test_a_result_in_another_precision_says_what_it_is_held_to():
    reduced = RESULT | {"precision": "int8", "full_depth_precision": "fp32"}
    header, body = card(replace(WHOLE, results={"test": reduced}))
    assert "Quality was measured in int8 against full depth in fp32." in body
    metrics = header["model-index"][0]["results"][0]["metrics"]
    assert "F1 at full depth in fp32" in {metric["name"] for metric in metrics}
    assert "in fp32" not in card(WHOLE)[1]


def test_without_results_and_training_it_says_how_to_get_them():
    header, body = card(BARE)
    assert "model-index" not in header
    assert "tokenexit evaluate MODEL" in body
    assert "It was not calibrated." in body
    assert "None" not in body.replace("None were saved", "")


def test_a_missed_target_is_told():
    calibration = {"target": {"speedup": 4.0}, "split": "validation", "reached": False}
    _, body = card(replace(BARE, calibration=calibration))
    assert "save layers by a factor of 4; no setting did." in body


def test_missing_ratios_leave_cells_empty():
    few = {key: RESULT[key] for key in ("metric", "quality", "mean_exit_layer", "num_layers")}
    _, body = card(replace(BARE, results={"test": few}))
    assert "| test | F1 | 0.9431 |  |  | 1.58 of 4 |  |  |" in body


def test_labels_cannot_break_the_markdown():
    _, body = card(replace(WHOLE, labels=("a`b", "c\nd"), training={"model": "x|y\nz"}))
    assert "`a'b`, `c d`" in body
    assert "| model | x\\|y z |" in body


def test_folders_of_this_machine_stay_private(tmp_path: Path):
    training = {"model": str(tmp_path / "secret" / "bert"), "data": "/home/me/corpora/news.parquet"}
    header, body = card(replace(WHOLE, training=training))
    assert "base_model" not in header
    assert "datasets" not in header
    assert str(tmp_path) not in body
    assert "/home/me" not in body
    assert "| model | bert |" in body


@pytest.mark.parametrize(
    ("source", "ident", "name"),
    [
        ("bert-base-cased", "bert-base-cased", "bert-base-cased"),
        ("dslim/bert-base-NER", "dslim/bert-base-NER", "dslim/bert-base-NER"),
        ("generated", None, "generated"),
        ({"model_type": "bert", "hidden_size": 8}, None, "a fresh bert"),
        ("train.parquet", None, "train.parquet"),
        ("../models/tiny", None, "tiny"),
        (None, None, ""),
    ],
)
def test_hub_ids_are_told_from_paths(source: Any, ident: str | None, name: str):
    assert hub_id(source) == ident
    assert public_name(source) == name


def test_a_folder_here_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "runs" / "ner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub_id("runs/ner") is None


TEXT_RESULT = RESULT | {
    "task": "translation",
    "metric": "bleu",
    "quality": 0.2731,
    "quality_full_depth": 0.2745,
    "figures": {
        "chrf": 0.5512,
        "chrf_full_depth": 0.553,
        "agreement_exact": 0.71,
        "bleu_difference": -0.0014,
        "bleu_difference_low": -0.003,
        "bleu_difference_high": -0.00001,
    },
    "notes": {"bleu_signature": "nrefs:1|tok:13a", "chrf_signature": "nrefs:1|nc:6"},
}
GENERATOR = replace(
    WHOLE,
    labels=(),
    task="translation",
    heads={"name": "shared", "gate": True},
    generation={"max_new_tokens": 96},
    results={"test": TEXT_RESULT},
)


def text_card(settings: ExitSettings) -> tuple[dict[str, Any], str]:
    text = model_card(settings, "ExitModelForSeq2SeqLM", "t5")
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


@pytest.mark.parametrize(
    ("task", "pipeline", "tags"),
    [
        ("translation", "translation", ["translation"]),
        ("summarization", "summarization", ["summarization"]),
        ("data_to_text", "text2text-generation", ["text2text-generation", "data-to-text"]),
        ("text2text", "text2text-generation", ["text2text-generation", "text2text"]),
    ],
)
def test_a_generator_has_the_pipeline_of_its_task(task: str, pipeline: str, tags: list[str]):
    header, body = text_card(replace(GENERATOR, task=task))
    assert header["pipeline_tag"] == pipeline
    assert header["tags"] == ["early-exit", "adaptive-computation", *tags]
    assert "_" not in header["model-index"][0]["name"]
    assert "token-classification" not in body


def test_a_generator_tells_how_to_use_it():
    _, body = text_card(GENERATOR)
    assert 'model = ExitModelForSeq2SeqLM.from_pretrained("MODEL")' in body
    assert "model.predict([" in body
    assert "AutoModelForSeq2SeqLM" in body
    assert "and a learned gate says when to leave" in body
    assert '`{"max_new_tokens": 96}`' in body
    assert "made when a later token needs them (`lazy`)" in body
    # Commands that serve taggers alone, and words only they have.
    for word in ("tagger", "## Labels", "tokenexit predict", "tokenexit calibrate", "TokenClass"):
        assert word not in body


def test_results_of_a_generator_are_written_from_0_to_100():
    header, body = text_card(GENERATOR)
    assert "| test | BLEU | 27.31 | 27.45 | 99.2% | 1.58 of 4 | 2.53x | 0.440 |" in body
    assert "| test | -0.14 | -0.30 to +0.00 | 55.12 | 55.30 | 71.0% |" in body
    assert "- BLEU: `nrefs:1|tok:13a`" in body
    values = {m["name"]: m["value"] for m in header["model-index"][0]["results"][0]["metrics"]}
    assert values["BLEU with early exit"] == 27.31
    assert values["chrF at full depth"] == 55.3


def test_a_generator_with_few_results_or_none():
    few = {key: TEXT_RESULT[key] for key in ("metric", "quality", "mean_exit_layer", "num_layers")}
    assert "| test |  |  |  |  |  |" in text_card(replace(GENERATOR, results={"test": few}))[1]
    _, body = text_card(replace(GENERATOR, results=None, calibration=None, training=None))
    assert "None were saved with this model.\n\n## Training" in body
    assert "It was not calibrated.\n\n## Results" in body
