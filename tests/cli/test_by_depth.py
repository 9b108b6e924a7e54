"""``--batching by_depth``: the same texts, and a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.models.fresh.encoder_decoder import train_subword_tokenizer

TEXTS = ["the red house of Ada", "a book", "Paris is in the north today", "who saw the two"] * 2


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = train_subword_tokenizer(TEXTS, 300)
    pad = tokenizer.pad_token_id
    config = T5Config(
        d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4, vocab_size=len(tokenizer),
        decoder_start_token_id=pad, pad_token_id=pad, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    network = T5ForConditionalGeneration(config).eval()
    for weight in network.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    model = ExitModelForSeq2SeqLM.from_transformers(network, tokenizer)
    model.configure(policy=policies.Hash(1, 3), generation={"max_new_tokens": 6})
    path = tmp_path_factory.mktemp("models") / "writer"
    model.save_pretrained(path)
    return path


def test_lines_and_corpora_get_the_same_answers(cli, writer, tmp_path):
    file, out = tmp_path / "texts.txt", tmp_path / "out"
    file.write_text("\n".join(TEXTS) + "\n")
    flags = ["--batch-size", 2, "--batching", "by_depth", "--max-wait", 2]
    fixed = cli("predict", writer, file)
    by_depth = cli("predict", writer, file, *flags)
    assert (fixed.code, by_depth.code) == (0, 0), by_depth.err
    assert by_depth.out == fixed.out
    assert len(by_depth.out.splitlines()) == len(TEXTS)
    done = cli("predict", writer, file, "--output-dir", out, *flags)
    assert done.code == 0, done.err
    written = [
        json.loads(line)
        for part in sorted(out.glob("*/*.jsonl")) or sorted(out.glob("*.jsonl"))
        for line in part.read_text().splitlines()
    ]
    assert [one["text"] for one in written] == [
        json.loads(line)["text"] for line in fixed.out.splitlines()
    ]


def test_a_comparison_says_which_is_the_fastest(cli, writer, tmp_path):
    data, out = tmp_path / "pairs", tmp_path / "bench.json"
    data.mkdir()
    rows = [json.dumps({"source": text, "target": text}) for text in TEXTS]
    (data / "test.jsonl").write_text("\n".join(rows))
    flags = ["--data", data, "--batch-size", 3, "--repeats", 1, "--json", out]
    done = cli("bench", writer, *flags, "--batching", "by_depth", "--max-wait", 4)
    assert done.code == 0, done.err
    told = json.loads(out.read_text())
    assert told["batching"]["max_wait"] == 4
    assert told["runtime"] == "eager"
    assert "the fastest is ours" in " ".join(done.out.split())
    assert cli("bench", writer, *flags).code == 0
    assert "batching" not in json.loads(out.read_text())


def test_a_tagger_has_no_use_for_it(cli, folder, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("a b\n")
    done = cli("predict", folder, file, "--batching", "by_depth")
    assert done.code == 2
    assert "--batching has no meaning for taggers" in done.err
