"""The pages, and tiny models where their examples look for trained ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from tokenexit import (
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
)
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer
from tokenexit.models.scale import Scale

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (
    [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))] if DOCS.is_dir() else [README]
)
TEXT = (
    "Ada Lovelace was born in London . where is the parcel that Mina asked for call me about bill"
)
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with ``page`` are run for each, those with ``coded`` for pages with Python."""
    # CONTRIBUTING has a test of its own, which knows what its examples promise.
    coded = [page for page in PAGES if page.stem != "CONTRIBUTING" and blocks(page, "python")]
    for name, pages in (("page", PAGES), ("coded", coded)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, pages, ids=[p.relative_to(ROOT).as_posix() for p in pages])


def blocks(page: Path, *languages: str) -> list[str]:
    """Code of a page, without what it marks as not for running: ``<!-- not run: why -->``."""
    found = re.findall(
        r"(<!-- not run: [^>]+ -->\n)?```(\w+)\n(.*?)```", page.read_text("utf-8"), re.DOTALL
    )
    return [code for skipped, language, code in found if language in languages and not skipped]


def _network(num_labels: int, tokenizer: Any) -> Any:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=6, num_attention_heads=12,
        intermediate_size=24, num_labels=num_labels,
    )  # fmt: skip
    return AutoModelForSequenceClassification.from_config(config)


def _generator() -> Any:
    texts = ["the old man sees a small house", "ein alter Mann sieht ein Haus"]
    tokenizer = train_subword_tokenizer(texts, vocab_size=300)
    small = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2}
    torch.manual_seed(0)
    network = fresh_seq2seq({**small, "num_layers": 2, "num_decoder_layers": 2}, tokenizer)
    writer = ExitModelForSeq2SeqLM.from_transformers(network, tokenizer, task="translation")
    writer.configure(generation={"max_new_tokens": 8})
    return writer


@pytest.fixture(scope="session")
def blocks_of() -> Callable[..., list[str]]:
    """``blocks``, for tests."""
    return blocks


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models and texts that examples name."""
    folder = tmp_path_factory.mktemp("examples")
    tokenizer = train_tokenizer([TEXT.split()], vocab_size=200)
    tag = ExitModelForTokenClassification.from_transformers
    classify = ExitModelForSequenceClassification.from_transformers
    made = {
        "ner-demo": tag(_network(5, tokenizer), tokenizer, TAGS),
        "pos-demo": tag(_network(3, tokenizer), tokenizer, ["DET", "NOUN", "VERB"], task="pos"),
        "classification-demo": classify(_network(2, tokenizer), tokenizer, ["parcel", "bill"]),
        "multilabel-demo": classify(
            _network(4, tokenizer), tokenizer, ["none", "bill", "parcel", "bill|parcel"],
            task="multilabel",
        ),
        "regression-demo": classify(
            _network(1, tokenizer), tokenizer, ["value"], scale=Scale(mean=2.0, std=1.0)
        ),
        "translation-demo": _generator(),
    }  # fmt: skip
    for name, model in made.items():
        model.save_pretrained(folder / "runs" / name)
    for name in ("ner", "ewt_one"):
        os.symlink(folder / "runs" / "ner-demo", folder / "runs" / name)
    (folder / "texts").mkdir()
    (folder / "texts" / "a.jsonl").write_text('{"id": 1, "text": "Ada was born in London ."}\n')
    return folder
