"""How early each token could have left."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokenexit import policies
from tokenexit.data.pairs import PairSplit
from tokenexit.decoding import decode_bytes
from tokenexit.evaluation import generation
from tokenexit.evaluation.generation import evaluate_texts, trace_texts
from tokenexit.evaluation.oracle_tokens import oracle_exits
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM

TEXTS = ["a b c d", "b", "c a d b a c", "d d a", "e f a"]


@pytest.fixture(scope="module")
def split() -> PairSplit:
    return PairSplit(
        sources=TEXTS, targets=[text[::-1] for text in TEXTS], references=None, origin="here"
    )


@pytest.fixture(scope="module")
def model(split: PairSplit) -> ExitModelForSeq2SeqLM:
    torch.manual_seed(3)
    tokenizer = train_subword_tokenizer([*split.sources, *(split.targets or [])], 300, False)
    config = {
        "model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 24, "num_heads": 2,
        "num_layers": 4, "num_decoder_layers": 4,
    }  # fmt: skip
    network = fresh_seq2seq(config, tokenizer)
    made = ExitModelForSeq2SeqLM.from_transformers(network, tokenizer, exit_layers=[1, 3])
    made.configure(generation={"max_new_tokens": 9})
    return made.eval()


@torch.no_grad()
def test_is_the_first_exit_from_which_on_all_agree(model: Any, split: PairSplit) -> None:
    full = trace_texts(model, split, policies.Never())
    found = oracle_exits(model, split, full, batch_size=2)
    exits, start = model.exits(model.decoder), model.network.config.decoder_start_token_id
    seen = set()
    for number, output in enumerate(full.outputs):
        given = model.tokenizer([split.sources[number]], return_tensors="pt").input_ids
        read = torch.tensor([[start, *output.token_ids[:-1]]])
        states = model.network(
            input_ids=given, decoder_input_ids=read, output_hidden_states=True
        ).decoder_hidden_states
        choices = {n: exits.score(states[n][0]).argmax(-1).tolist() for n in (1, 3)}
        expected = []
        for place, token in enumerate(output.token_ids):
            first, third = (choices[n][place] == token for n in (1, 3))
            expected.append(1 if first and third else 3 if third else 4)
        assert found[number] == expected
        seen |= set(expected)
    assert seen == {1, 3, 4}


def test_evaluation_says_it_when_asked(model: Any, split: PairSplit) -> None:
    policy = policies.AssignedDepth(3)
    result, trace = evaluate_texts(model, split, "test", policy, oracle=True)
    full = trace_texts(model, split, policies.Never())
    layers = [layer for text in oracle_exits(model, split, full) for layer in text]
    assert result.figures["oracle_exit_layer"] == pytest.approx(sum(layers) / len(layers))
    read = decode_bytes(model.decoder, trace.work) / decode_bytes(model.decoder, full.work)
    assert result.figures["bytes_ratio"] == pytest.approx(read)
    assert result.oracle is not None
    early = sum(layers) / len(layers)
    assert result.oracle.reached == pytest.approx((4 - result.mean_exit_layer) / (4 - early))
    assert 0 < result.oracle.all.rows <= len(trace)
    alone = evaluate_texts(model, split, "test", policy)[0]
    assert "oracle_exit_layer" not in alone.figures
    assert alone.oracle is None


def test_what_is_known_is_not_worked_out_again(model: Any, split: PairSplit, monkeypatch) -> None:
    full = trace_texts(model, split, policies.Never())
    layers = oracle_exits(model, split, full)
    monkeypatch.setattr(generation, "oracle_exits", None)
    found = evaluate_texts(model, split, "test", policies.Never(), full=full, oracle=layers)[0]
    assert found.oracle is not None
    whole = found.oracle.all
    assert whole.rows == len(full)
    assert (whole.false_alarms, whole.disturbed, found.oracle.reached) == (0, 0, 0)
    assert whole.layers_lost == sum(4 - layer for text in layers for layer in text)


@pytest.mark.parametrize("world", [2, 3, 8])
def test_the_number_of_processes_changes_nothing(world, model, split, monkeypatch):
    """Batches are dealt out whole, so what is read of the weights is the same."""
    policy, options = policies.Hash(), {"batch_size": 2}
    alone = trace_texts(model, split, policy, **options)
    shares: list[Any] = []
    monkeypatch.setattr(generation, "gather", lambda traces: shares.extend(traces) or shares)
    for rank in range(world):
        monkeypatch.setattr(generation, "my_share", lambda n, r=rank: list(range(r, n, world)))
        found = trace_texts(model, split, policy, **options)
    assert found.text == alone.text == list(range(len(split)))
    assert [o.token_ids for o in found.outputs] == [o.token_ids for o in alone.outputs]
    assert decode_bytes(model.decoder, found.work) == decode_bytes(model.decoder, alone.work)
