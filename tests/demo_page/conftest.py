"""Small models of every kind, and a page that one of them answers on."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from transformers import AutoModel, T5Config, T5ForConditionalGeneration

from tokenexit import ExitModelForSeq2SeqLM, ExitModelForSequenceClassification
from tokenexit.backbones import BACKBONES
from tokenexit.demo_page import timing
from tokenexit.demo_page.answering import Answering
from tokenexit.demo_page.server import PageServer, bound
from tokenexit.demo_page.threshold import slider_of
from tokenexit.models.fresh.encoder_decoder import train_subword_tokenizer
from tokenexit.models.scale import Scale
from tokenexit.policies import from_config

_path = Path(__file__).parents[1] / "models" / "conftest.py"
_spec = importlib.util.spec_from_file_location("small_models", _path)
assert _spec is not None
assert _spec.loader is not None
_small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_small)
wordpiece, make_tagger = _small.wordpiece, _small.make_tagger

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
assert _spec is not None
assert _spec.loader is not None
_browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_browser)


class Reply(NamedTuple):
    code: int
    data: Any


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BUDGET", 0.0)


@pytest.fixture(scope="session")
def models(wordpiece: Any, make_tagger: Any) -> dict[str, Any]:
    """One that tags words, one that names classes of texts, one of numbers, one that writes."""
    config = BACKBONES.get("bert").example_config("bert")
    config.vocab_size, config.pad_token_id = len(wordpiece), wordpiece.pad_token_id
    torch.manual_seed(0)
    build = ExitModelForSequenceClassification.from_transformers
    encoder = AutoModel.from_config(config)
    tokenizer = train_subword_tokenizer(["the old man sees a house", "ein alter Mann"], 300)
    small = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_heads=2, num_layers=1,
        num_decoder_layers=3, decoder_start_token_id=0, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    writer = ExitModelForSeq2SeqLM.from_transformers(T5ForConditionalGeneration(small), tokenizer)
    writer.configure(generation={"max_new_tokens": 5})
    tagger = make_tagger()
    tagger.configure(policy=from_config("entropy:0.3"))
    return {
        "tagger": tagger,
        "classifier": build(encoder, wordpiece, ["yes", "no"]).eval(),
        "scorer": build(encoder, wordpiece, ["value"], scale=Scale(2.0, 1.0)).eval(),
        "writer": writer.eval(),
    }


@pytest.fixture(scope="session")
def answering(models: dict[str, Any]) -> Callable[..., Answering]:
    def make(kind: str, policy: Any = None, pairs: bool = False) -> Answering:
        model = models[kind]
        return Answering(model, slider_of(model, policy), pairs, [], kind)

    return make


@pytest.fixture(scope="session")
def server(answering: Callable[..., Answering]) -> Iterator[PageServer]:
    with bound("127.0.0.1", 0, answering("tagger")) as page:
        thread = threading.Thread(target=page.serve_forever, args=(0.02,))
        thread.start()
        yield page
        page.shutdown()
        thread.join()


@pytest.fixture
def page(server: PageServer, tmp_path: Path) -> Iterator[Any]:
    """The page in a browser, once it has asked."""
    if _browser.CHROMIUM is None:
        pytest.skip("no Chromium here")
    with _browser.Browser(tmp_path / "profile", server.url) as tab:
        tab.until("document.querySelectorAll('#pieces .word').length > 0")
        yield tab


@pytest.fixture
def ask(server: PageServer) -> Callable[..., Reply]:
    """A request, and what is said to it."""

    def request(
        question: Any = None, path: str = "/answer", method: str = "POST", **headers: str
    ) -> Reply:
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        told = {"Content-Type": "application/json"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(*server.server_address[:2], timeout=20)  # type: ignore[arg-type]
        try:
            connection.request(method, path, body if method == "POST" else None, told)
            reply = connection.getresponse()
            text = reply.read()
        finally:
            connection.close()
        kind = reply.headers.get_content_type()
        return Reply(reply.status, json.loads(text) if kind == "application/json" else text)

    return request
