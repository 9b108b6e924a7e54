"""Decoding invariants on a generator that has learned something, not only on random ones."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.config import load_config
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

pytestmark = pytest.mark.slow

WORDS = {"red": "rot", "blue": "blau", "old": "alt", "new": "neu", "big": "gross", "dog": "hund"}
MODEL = {
    "model_type": "t5", "d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4, "num_layers": 3,
    "num_decoder_layers": 3, "vocab_size": 300,
}  # fmt: skip
POLICY = policies.Margin(0.6)
NEW = 12


def rows() -> list[dict[str, str]]:
    return [
        {"source": " ".join(words), "target": " ".join(WORDS[word] for word in words)}
        for words in itertools.product(WORDS, repeat=3)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[ExitModelForSeq2SeqLM, dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("pairs")
    everything = rows()
    for name, part in (("train", everything), ("validation", everything[::40])):
        lines = "\n".join(json.dumps(row) for row in part)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    settings = {
        "task": "translation",
        "model": MODEL,
        "train": {
            "max_steps": 300, "epochs": 99, "batch_size": 32, "lr": 3e-3, "head_lr": 3e-3,
            "objective": {"name": "joint", "weights": "top"},
        },
        "generation": {"max_new_tokens": NEW},
        "policy": POLICY.to_config(),
        "validate_on": 4,
    }  # fmt: skip
    argv = [f"data={folder}", f"output_dir={folder / 'run'}"]
    run = run_task(load_config(Seq2SeqConfig, argv, settings))
    model = ExitModelForSeq2SeqLM.from_pretrained(run)
    sources = [row["source"] for row in everything[7::31]] + ["red dog", "big big big big"]
    return model, dict(model.tokenizer(sources, return_tensors="pt", padding=True))


def generate(model: Any, inputs: Any, policy: Any, **settings: Any) -> Any:
    settings = {"max_new_tokens": NEW, "return_dict_in_generate": True, **settings}
    return model.generate(**inputs, policy=policy, **settings)


def test_it_has_learned_and_leaves_early(trained):
    model, inputs = trained
    found = generate(model, inputs, POLICY)
    layers = found.exit_layers
    assert len({int(layer) for row in layers for layer in row if layer > 0}) >= 2
    texts = model.tokenizer.batch_decode(found.sequences, skip_special_tokens=True)
    sources = model.tokenizer.batch_decode(inputs["input_ids"], skip_special_tokens=True)
    right = [
        text == " ".join(WORDS[word] for word in source.split())
        for text, source in zip(texts, sources, strict=True)
    ]
    assert sum(right) >= len(right) / 3


@pytest.mark.parametrize("beams", [1, 3])
def test_never_is_what_transformers_generates(trained, beams):
    model, inputs = trained
    ours = generate(model, inputs, policies.Never(), num_beams=beams).sequences
    with torch.no_grad():
        plain = model.network.generate(**inputs, max_new_tokens=NEW, num_beams=beams)
    assert ours.tolist() == plain.tolist()


@pytest.mark.parametrize("beams", [1, 3])
def test_lazy_is_eager(trained, beams):
    model, inputs = trained
    lazy, eager = (
        generate(model, inputs, POLICY, num_beams=beams, pending=pending)
        for pending in ("lazy", "eager")
    )
    assert lazy.sequences.tolist() == eager.sequences.tolist()


def test_a_batch_is_its_texts_one_by_one(trained):
    model, inputs = trained
    together = generate(model, inputs, POLICY).sequences
    pad = model.network.config.pad_token_id
    for row in range(len(together)):
        real = inputs["attention_mask"][row].bool()
        alone = {key: value[row : row + 1, real] for key, value in inputs.items()}
        found = generate(model, alone, POLICY).sequences[0].tolist()
        rest = together[row, len(found) :].tolist()
        assert together[row, : len(found)].tolist() == found
        assert set(rest) <= {pad}


def test_verified_drafts_are_greedy_search_at_full_depth(trained):
    model, inputs = trained
    drafted = generate(model, inputs, POLICY, pending="verify").sequences
    assert drafted.tolist() == generate(model, inputs, policies.Never()).sequences.tolist()
