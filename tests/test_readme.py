"""The README's code runs as it is written."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification, BertConfig

from tokenexit import (
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
)
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = "Ada Lovelace was born in London . The book was in the garden of Jordan".split()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_quickstart_runs(here, capsys):
    torch.manual_seed(0)
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    tokenizer = train_tokenizer([WORDS], vocab_size=200)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=len(labels),
    )
    network = AutoModelForTokenClassification.from_config(config)
    tagger = ExitModelForTokenClassification.from_transformers(network, tokenizer, labels)
    tagger.save_pretrained("runs/ner-demo")
    quickstart = next(b for b in blocks("python") if "tagger.predict" in b)
    exec(compile(quickstart, "README.md", "exec"), {})
    assert re.search(r"\[.*\] \[[12](, [12]){6}\]", capsys.readouterr().out)
    switch = next(b for b in blocks("python") if "use(precision=" in b)
    names: dict[str, Any] = {}
    exec(compile(switch, "README.md", "exec"), names)
    assert names["tagger"].precision == "int8"
    assert re.search(r"^\[[12](, [12]){6}\]", capsys.readouterr().out)


def test_the_quickstart_of_classification_runs(here, capsys):
    torch.manual_seed(0)
    tokenizer = train_tokenizer([WORDS], vocab_size=200)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=16, num_labels=2,
    )  # fmt: skip
    network = AutoModelForTokenClassification.from_config(config)
    classifier = ExitModelForSequenceClassification.from_transformers(
        network, tokenizer, ["parcel", "bill"]
    )
    classifier.save_pretrained("runs/classification-demo")
    names: dict[str, Any] = {}
    for mark in ("classifier.predict", "adapt(classifier"):
        block = next(b for b in blocks("python") if mark in b)
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["history"].steps) == 2
    assert re.search(r"(parcel|bill) 0\.\d+ [123]", capsys.readouterr().out)


def test_the_quickstart_of_generation_runs(here, capsys):
    texts = ["the old man sees a small house", "ein alter Mann sieht ein Haus"]
    tokenizer = train_subword_tokenizer(texts, vocab_size=300)
    small = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2}
    torch.manual_seed(0)
    network = fresh_seq2seq({**small, "num_layers": 2, "num_decoder_layers": 2}, tokenizer)
    writer = ExitModelForSeq2SeqLM.from_transformers(network, tokenizer, task="translation")
    writer.configure(generation={"max_new_tokens": 8})
    writer.save_pretrained("runs/translation-demo")
    quickstart = next(b for b in blocks("python") if "writer.predict" in b)
    names: dict[str, Any] = {}
    exec(compile(quickstart, "README.md", "exec"), names)
    assert names["step"].logits.shape == (1, len(tokenizer))
    assert names["greedy"].tolist() == (
        names["writer"].generate(**names["inputs"], policy="never", max_new_tokens=20).tolist()
    )


def test_a_policy_in_a_users_file_serves_a_recipe_by_name(here, monkeypatch, capfd):
    code = next(b for b in blocks("python") if "POLICIES.register" in b)
    assert len(code.strip().splitlines()) < 15
    command = next(c for c in re.findall(r"`([^`]*plugins=\[[^`]*)`", README))
    (here / "shallow_lookup.py").write_text(code, encoding="utf-8")
    rows = [
        f'{{"tokens": {list(map(str, WORDS[i:]))!r}, "ner_tags": {["O"] * len(WORDS[i:])!r}}}'
        for i in range(8)
    ]
    rows[0] = rows[0].replace("'O', 'O'", "'B-PER', 'I-PER'", 1)
    (here / "data").mkdir()
    for name in ("train", "validation", "test"):
        text = "\n".join(rows).replace("'", '"')
        (here / "data" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    small = "{model_type: bert, hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2}"
    extra = ["data=data", f"model={small}", "train.max_steps=2", "output_dir=runs/mine"]
    monkeypatch.setattr(sys, "argv", ["ner.py", *command.split()[2:], *extra])
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    runpy.run_path(str(ROOT / "recipes" / "ner.py"), run_name="__main__")
    assert "shallow_lookup" in (here / "runs" / "mine" / "exit_config.json").read_text()
