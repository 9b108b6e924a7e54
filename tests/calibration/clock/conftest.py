"""Small models, and a machine whose times are known to the digit."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tokenexit.calibration.clock import clock, probes, stopwatch
from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit
from tokenexit.decoding import DecodeWork
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.words.token_classification import ExitModelForTokenClassification

_path = Path(__file__).parents[2] / "models" / "conftest.py"
_spec = importlib.util.spec_from_file_location("small_models", _path)
assert _spec is not None
assert _spec.loader is not None
_small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_small)
wordpiece, make_tagger, WORDS = _small.wordpiece, _small.make_tagger, _small.WORDS


VOCABULARY = 290


@dataclass(frozen=True)
class Machine:
    """A stopwatch that reads what was done and says what that takes here.

    Attributes:
        call: Seconds of a layer whatever its rows.
        row: Of each active row of a layer.
        head: Of a head or a vocabulary, whatever its rows.
        scored: Of each row of it.
    """

    call: float = 1e-4
    row: float = 1e-4
    head: float = 1e-5
    scored: float = 1e-6

    def __call__(self, work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
        done = work()
        return sum(map(self.seconds, done if isinstance(done, list) else [done])), done

    def seconds(self, done: Any) -> float:
        if isinstance(done.work, DecodeWork):
            calls = done.work.of("head_read").sum() / VOCABULARY
            rows = done.work.of("head").sum() / VOCABULARY
            run, active = done.work.of("calls").sum(), done.work.of("rows").sum()
        else:
            calls = sum(layer.calls for layer in done.work if layer.head)
            rows = sum(layer.head for layer in done.work)
            run = sum(layer.calls for layer in done.work)
            active = sum(layer.active for layer in done.work)
        layers, heads = run * self.call + active * self.row, calls * self.head + rows * self.scored
        return float(1e-6 + layers + heads)


@pytest.fixture(scope="module")
def nothing_twice() -> Iterator[None]:
    """Where there is no noise, nothing has to be measured twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "MOST", 0)
        patch.setattr(clock, "RACE", 1e9)
        patch.setattr(stopwatch, "MOST", stopwatch.LEAST)
        yield


@pytest.fixture(scope="session")
def make_machine() -> type[Machine]:
    """Factory of machines; by default layers are dear and questions cheap."""
    return Machine


@pytest.fixture(scope="session")
def tagger(make_tagger: Any) -> ExitModelForTokenClassification:
    """Four layers; what its last one says is true, and lower exits say something else at times."""
    return make_tagger()


@pytest.fixture(scope="session")
def tagged(tagger: Any) -> TaggedSplit:
    """Texts with what full depth says of them as their labels."""
    draw = random.Random(0)
    texts = [draw.choices(WORDS, k=draw.randint(1, 12)) for _ in range(24)]
    trace = tagger.tag(texts, policy="never")
    tags: list[list[str]] = [[] for _ in texts]
    for text, number in zip(trace.text, trace.prediction, strict=True):
        tags[text].append(tagger.labels[number])
    return TaggedSplit(texts, tags, "here")


@pytest.fixture(scope="session")
def writer() -> ExitModelForSeq2SeqLM:
    """An untrained generator whose weights are large enough for exits to differ."""
    torch.manual_seed(0)
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=5)) for _ in range(60)]
    tokenizer = train_subword_tokenizer(texts, 320, False)
    config = {
        "model_type": "t5", "d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4,
        "num_layers": 4, "num_decoder_layers": 4, "dropout_rate": 0.0,
    }  # fmt: skip
    network = fresh_seq2seq(config, tokenizer)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
            if "decoder" in name and (".o." in name or "wo" in name):
                weight.mul_(0.3)
        network.get_output_embeddings().weight.normal_()
        network.get_decoder().embed_tokens.weight.normal_()
    made = ExitModelForSeq2SeqLM.from_transformers(network, tokenizer, gate=True)
    assert made.decoder.vocab_size == VOCABULARY
    made.configure(generation={"max_new_tokens": 6}, metric="chrf")
    return made.eval()


@pytest.fixture(scope="session")
def pairs(writer: Any) -> PairSplit:
    """Sources with what full depth writes as their targets."""
    draw = random.Random(1)
    sources = [" ".join(draw.choices(WORDS, k=draw.randint(2, 7))) for _ in range(12)]
    written = [found.text for found in writer.predict(sources, policy="never")]
    assert all(written)
    return PairSplit(sources, written, None, "here")
