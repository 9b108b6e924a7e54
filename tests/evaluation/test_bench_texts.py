"""Generators in the table, and the real engines where they are installed."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForTokenClassification,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from tokenexit import ExitModelForSeq2SeqLM, ExitModelForTokenClassification
from tokenexit.errors import UserError
from tokenexit.evaluation.bench import bench
from tokenexit.evaluation.bench.peers import PEERS
from tokenexit.kernels import library
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.models.fresh.encoder_decoder import train_subword_tokenizer
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.never import Never
from tokenexit.reporting.bench_text import bench_text

TEXTS = ["the red house of Ada", "a book", "Paris is in the north today", "who saw the two"]
TOKENIZER = train_subword_tokenizer(TEXTS, 300)
SIZE, PAD, END = len(TOKENIZER), TOKENIZER.pad_token_id, TOKENIZER.eos_token_id

T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4, "vocab_size": SIZE}
T5 |= {"decoder_start_token_id": PAD, "pad_token_id": PAD, "eos_token_id": END}
BART = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4}
BART |= {"decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
BART |= {"vocab_size": SIZE, "max_position_embeddings": 64, "pad_token_id": PAD}
BART |= {"eos_token_id": END, "bos_token_id": PAD, "forced_eos_token_id": END}
MARIAN = {**BART, "vocab_size": SIZE + 1, "pad_token_id": SIZE, "decoder_start_token_id": SIZE}
FAMILIES = {
    "t5": (T5ForConditionalGeneration, T5Config(**T5)),
    "t5 of two depths": (T5ForConditionalGeneration, T5Config(**T5, num_decoder_layers=2)),
    "mt5": (MT5ForConditionalGeneration, MT5Config(**T5)),
    "bart": (
        BartForConditionalGeneration,
        BartConfig(**BART, decoder_start_token_id=END, forced_bos_token_id=5),
    ),
    "marian": (MarianMTModel, MarianConfig(**MARIAN)),
    "mbart": (MBartForConditionalGeneration, MBartConfig(**BART, decoder_start_token_id=7)),
    "pegasus": (PegasusForConditionalGeneration, PegasusConfig(**BART, decoder_start_token_id=PAD)),
}


def writer(family: str) -> ExitModelForSeq2SeqLM:
    torch.manual_seed(0)
    kind, config = FAMILIES[family]
    network = kind(config).eval()
    for weight in network.parameters():
        if weight.dim() > 1:  # large enough for outputs that differ clearly
            torch.nn.init.normal_(weight, std=0.3)
    if family == "marian":
        with torch.no_grad():  # its padding, of which it has trained none to be written
            network.model.shared.weight[SIZE] = 0
            network.final_logits_bias[0, SIZE] = -1e9
    model = ExitModelForSeq2SeqLM.from_transformers(network, TOKENIZER)
    model.configure(generation={"max_new_tokens": 9})
    return model


def test_generators_have_the_same_rows():
    found = bench(writer("t5"), TEXTS, AssignedDepth(1), batch_size=3, repeats=2)
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    rows = {row["name"]: row for row in data["rows"]}
    assert list(rows) == ["plain transformers", "plain, sorted", "ours, full depth", "ours, policy"]
    assert data["tokens"] == [rows[name]["tokens"] for name in list(rows)[:1] + list(rows)[2:]]
    assert rows["ours, full depth"]["agreement"] == rows["plain, sorted"]["same_texts"] == 1
    assert rows["ours, policy"]["agreement"] < 1
    for row in rows.values():
        assert row["per_second"] == pytest.approx(
            row["tokens"] / len(TEXTS) / (row["ms_per_text"] / 1000)
        )
    assert data["mean_exit_layer"] == 1
    assert data["bound"] > 1
    assert data["full_depth_speedup"] == rows["ours, full depth"]["speedup_median"]


def test_rows_that_wait_for_others_take_part():
    found = bench(
        writer("t5"), TEXTS, AssignedDepth(1), batch_size=2, repeats=3, batching="by_depth",
        max_wait=3,
    )  # fmt: skip
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    rows = {row["name"]: row for row in data["rows"]}
    by_depth = rows["ours, by depth"]
    assert by_depth["agreement"] == rows["ours, policy"]["agreement"]
    assert by_depth["tokens"] == rows["ours, policy"]["tokens"] == data["tokens"][2]
    told = data["batching"]
    assert (told["max_wait"], told["slots"], told["runtime"]) == (3, 4, "eager")
    assert told["fixed_median"] == pytest.approx(1 / by_depth["ours_median"])
    assert told["fastest"] in ("ours, full depth", "ours, policy", "ours, by depth")
    shown = " ".join(bench_text(data).split())
    assert f"the fastest is {told['fastest']}" in shown
    assert "4 texts in flight, rows are due after 3 rounds" in shown


def test_what_fixed_batches_have_no_use_for():
    with pytest.raises(UserError, match="max_wait has a meaning"):
        bench(writer("t5"), TEXTS, Never(), max_wait=3)
    with pytest.raises(UserError, match="by_depth, fixed"):
        bench(writer("t5"), TEXTS, Never(), batching="depth")
    assert bench(writer("t5"), TEXTS, Never(), repeats=1).batching is None


@pytest.mark.parametrize("precision", [None, "int8"])
def test_which_runtime_ran_is_said(precision):
    model = writer("t5").use(precision)
    found = bench(model, TEXTS, Never(), batch_size=2, repeats=1, batching="by_depth")
    told = found.to_json()
    kernels = precision == "int8" and library() is not None
    assert told["runtime"] == ("kernels" if kernels else "eager")
    rows = {row["name"]: row for row in told["rows"]}
    assert rows["ours, by depth"]["tokens"] == rows["ours, policy"]["tokens"]


def test_nothing_to_write_from():
    with pytest.raises(UserError, match="no text to time"):
        bench(writer("t5"), [], Never())


def test_an_engine_for_other_models():
    found = bench(writer("t5"), TEXTS[:1], Never(), batch_size=1, against="onnxruntime")
    for row in found.rows[-2:]:
        assert "text classifiers only" in row.reason or "not installed" in row.reason


@pytest.mark.skipif(not importlib.util.find_spec("ctranslate2"), reason="needs ctranslate2")
@pytest.mark.parametrize("family", FAMILIES)
def test_ctranslate2_writes_the_same(family):
    model = writer(family)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    told = model.network.config.to_json_string()
    options = {"batch_size": 4, "repeats": 1, "against": "ctranslate2"}
    found = bench(model, TEXTS, Never(), **options)
    fp32, int8 = found.rows[-2:]
    assert (fp32.reason, int8.reason) == (None, None)
    assert fp32.same_texts == 1
    assert fp32.tokens == found.tokens[0]
    # Its converter rounds in place; our network is not its to round.
    assert all(value.equal(before[name]) for name, value in model.network.state_dict().items())
    assert model.network.config.to_json_string() == told


@pytest.mark.parametrize("engine", ["onnxruntime", "ctranslate2"])
def test_encoders_say_the_same(engine):
    for package in PEERS.get(engine).packages:
        pytest.importorskip(package)
    torch.manual_seed(0)
    tokenizer = train_tokenizer([text.split() for text in TEXTS], vocab_size=100)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        num_labels=3,
    )
    tagger = ExitModelForTokenClassification.from_transformers(
        BertForTokenClassification(config), tokenizer, ["O", "B-X", "I-X"]
    )
    words = [text.split() for text in TEXTS]
    found = bench(tagger, words, Never(), batch_size=2, repeats=1, against=engine)
    fp32, int8 = found.rows[-2:]
    assert (fp32.reason, int8.reason) == (None, None)
    assert fp32.agreement == 1
    assert int8.agreement > 0.5
