"""One small model of each kind, and a corpus for each."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from tokenexit import (
    CascadeForSequenceClassification,
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
)
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer
from tokenexit.models.scale import Scale
from tokenexit.workflows.corpus import CorpusConfig

_path = Path(__file__).parents[2] / "models" / "conftest.py"
_spec = importlib.util.spec_from_file_location("small_models", _path)
assert _spec is not None
assert _spec.loader is not None
_small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_small)
wordpiece, make_tagger = _small.wordpiece, _small.make_tagger

ROWS = 23
BLOCK = 4  # six blocks, the last of three rows


def texts() -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(_small.WORDS, k=draw.randint(0, 7))) for _ in range(ROWS)]


@pytest.fixture(scope="session")
def models(make_tagger: Any, wordpiece: Any, tmp_path_factory: Any) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("models")

    def made(kind: str) -> Path:
        if not (folder / kind).exists():
            _make(kind, make_tagger, wordpiece).save_pretrained(folder / kind)
        return folder / kind

    return made


def _make(kind: str, make_tagger: Any, tokenizer: Any) -> Any:
    torch.manual_seed(0)
    if kind == "tagger":
        return make_tagger()
    if kind == "pos":
        return make_tagger(labels=("NOUN", "VERB", "X"))
    if kind == "generator":
        words = train_subword_tokenizer(texts(), 300)
        shape = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2}
        network = fresh_seq2seq({**shape, "num_layers": 2, "num_decoder_layers": 2}, words)
        model = ExitModelForSeq2SeqLM.from_transformers(network, words)
        model.configure(generation={"max_new_tokens": 5})
        return model
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, **size, num_labels=2)
    if kind == "cascade":
        stages = [_make("classifier", make_tagger, tokenizer) for _ in range(2)]
        return CascadeForSequenceClassification(stages)
    if kind == "regression":
        config.num_labels, config.problem_type = 1, "regression"
        network = BertForSequenceClassification(config)
        return ExitModelForSequenceClassification.from_transformers(
            network, tokenizer, ["value"], scale=Scale(2.0, 3.0)
        )
    network = BertForSequenceClassification(config)
    return ExitModelForSequenceClassification.from_transformers(network, tokenizer, ["bad", "good"])


@pytest.fixture(scope="session")
def tagger(models: Callable[[str], Path]) -> Path:
    return models("tagger")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A corpus of two files, whose border is in the middle of a block."""

    def written(rows: list[dict[str, Any]], kind: str = "jsonl", name: str = "corpus") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number, some in enumerate((rows[:10], rows[10:])):
            if kind == "parquet":
                table = pa.Table.from_pylist(some)
                pq.write_table(table, folder / f"{number}.parquet", row_group_size=3)
            elif kind == "txt":
                lines = "".join(row["text"] + "\n" for row in some)
                (folder / f"{number}.txt").write_text(lines, encoding="utf-8")
            else:
                lines = "".join(json.dumps(row) + "\n" for row in some)
                (folder / f"{number}.jsonl").write_text(lines, encoding="utf-8")
        return folder

    return written


@pytest.fixture
def corpus(write: Any) -> Path:
    return write([{"text": text, "id": f"x{n}"} for n, text in enumerate(texts())])


@pytest.fixture
def asked(tagger: Path, corpus: Path, tmp_path: Path) -> Callable[..., CorpusConfig]:
    """What is asked for, the tagger on the corpus unless told otherwise."""

    def config(output: str = "out", **settings: Any) -> CorpusConfig:
        usual = {"model": tagger, "data": corpus, "block_size": BLOCK, "batch_size": 3}
        told = {**usual, "output_dir": tmp_path / output, **settings}
        return CorpusConfig(**{k: str(v) if isinstance(v, Path) else v for k, v in told.items()})

    return config


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "parts").iterdir())}
