"""``--runtime static`` of a generator: the same answers from every command, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.models.fresh.encoder_decoder import train_subword_tokenizer

TEXTS = ["the red house of Ada", "a book", "Paris is in the north today", "who saw the two"] * 2


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = train_subword_tokenizer(TEXTS, 300)
    config = BartConfig(
        d_model=32, encoder_layers=1, decoder_layers=3, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48,
        max_position_embeddings=64, vocab_size=len(tokenizer), forced_eos_token_id=None,
        decoder_start_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    network = BartForConditionalGeneration(config).eval()
    for weight in network.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    model = ExitModelForSeq2SeqLM.from_transformers(network, tokenizer)
    model.configure(policy=policies.Hash(1, 3), generation={"max_new_tokens": 6})
    path = tmp_path_factory.mktemp("models") / "writer"
    model.save_pretrained(path)
    return path


def test_every_command_gives_the_same(cli, writer, tmp_path):
    file, data, found = tmp_path / "texts.txt", tmp_path / "pairs", {}
    file.write_text("\n".join(TEXTS) + "\n")
    data.mkdir()
    rows = [json.dumps({"source": text, "target": text}) for text in TEXTS]
    (data / "test.jsonl").write_text("\n".join(rows))
    for runtime in ("eager", "static"):
        told = ("--runtime", runtime, "--device", "cpu", "--batch-size", 3)
        out = tmp_path / f"{runtime}.json"
        lines = cli("predict", writer, file, *told)
        done = cli("evaluate", writer, "--data", data, *told, "--json", out)
        assert (lines.code, done.code) == (0, 0), done.err
        measured = json.loads(out.read_text())
        names = ("quality", "mean_exit_layer", "exit_histogram")
        found[runtime] = lines.out, {name: measured[name] for name in names}
    assert found["static"] == found["eager"]
    assert len(found["static"][0].splitlines()) == len(TEXTS)


def test_what_is_not_served_is_said(cli, writer, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("a book\n")
    done = cli("predict", writer, file, "--runtime", "static", "--policy", "vote")
    assert done.code == 2
    assert 'choose runtime="eager"' in " ".join(done.err.split())
