"""``runtime="static"``: the same answers, and refusals that say what to do."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tokenexit import (
    CascadeForSequenceClassification,
    ExitModelForTokenClassification,
    policies,
)
from tokenexit.errors import UserError
from tokenexit.models.encoders import run_static
from tokenexit.models.encoders.run_static import planned
from tokenexit.policies import Policy
from tokenexit.static import buckets, choose

TEXTS = [["ada", "was", "born", "in", "london", "."], ["paris"], [], ["she", "and", "zeppelin"]]
ENTROPY = policies.Entropy(0.9)


@pytest.fixture
def own(make_tagger: Any) -> Any:
    """A tagger of its own for each test."""
    return make_tagger(heads={"name": "linear", "gate": True})


def same(one: Any, other: Any) -> None:
    assert np.array_equal(one.exit_layer, other.exit_layer)
    assert np.array_equal(one.prediction, other.prediction)
    assert np.allclose(one.log_probs, other.log_probs, atol=1e-4)
    assert np.array_equal(one.gold, other.gold)
    assert np.array_equal(one.position, other.position)


@pytest.mark.parametrize("policy", [ENTROPY, policies.Hash(1, 3), policies.Never()], ids=repr)
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_the_same_trace(own: Any, texts: Any, policy: Policy, batch_size: int) -> None:
    eager = own.tag(texts, policy=policy, batch_size=batch_size)
    same(own.use(runtime="static").tag(texts, policy=policy, batch_size=batch_size), eager)
    assert own.runtime == own.runtime_used == "static"


def test_the_same_answers_and_whatever_is_done_to_the_model(own: Any) -> None:
    before = own.predict(["Ada was born in London ."], policy=ENTROPY)
    own.use(runtime="static")
    assert own.predict(["Ada was born in London ."], policy=ENTROPY) == before
    first = own.tag(TEXTS, policy=policies.Never()).log_probs
    with torch.no_grad():
        own.network.bert.encoder.layer[1].output.dense.weight.mul_(3)
        own.heads.at(1).project.weight.mul_(3)
    second = own.tag(TEXTS, policy=policies.Never()).log_probs
    assert not np.allclose(first, second)
    leaving = own.tag(TEXTS, policy=ENTROPY)
    same(leaving, own.use(runtime="eager").tag(TEXTS, policy=ENTROPY))


def test_loaded_so(own: Any, tmp_path: Path) -> None:
    own.save_pretrained(tmp_path)
    loaded = ExitModelForTokenClassification.from_pretrained(tmp_path, runtime="static")
    same(loaded.tag(TEXTS, policy=ENTROPY), own.tag(TEXTS, policy=ENTROPY))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_auto_is_eager_until_static_has_been_timed(
    own: Any, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, windows = own.for_inference(), own.encoder.encode(TEXTS)
    monkeypatch.setattr(type(own), "device", torch.device(device))
    assert planned(own, backbone, windows, ENTROPY, 32) is None


def test_auto_goes_by_device_and_batch_once_they_are_timed(
    own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"cpu": [(1, "eager"), (8, "static"), (64, "eager")]}
    assert [choose.usual("cpu", n, table) for n in (1, 7, 8, 63, 64)] == [
        "eager", "eager", "static", "static", "eager",
    ]  # fmt: skip
    assert choose.usual("tpu", 8, table) == "eager"
    monkeypatch.setattr(run_static, "usual", lambda *given: choose.usual(*given, table))
    backbone, windows = own.for_inference(), own.encoder.encode(TEXTS)
    assert planned(own, backbone, windows, ENTROPY, 4) is None
    assert planned(own, backbone, windows, ENTROPY, 8) is not None
    assert planned(own, backbone, windows, policies.Vote(2), 8) is None  # not served: eager
    monkeypatch.setattr(buckets, "MOST_ROWS", 3)
    assert planned(own, backbone, windows, ENTROPY, 8) is None
    with pytest.raises(UserError, match="holds 3 tokens"):
        planned(own.use(runtime="static"), backbone, windows, ENTROPY, 8)
    monkeypatch.undo()
    same(own.use(runtime="auto").tag(TEXTS, policy=ENTROPY), own.tag(TEXTS, policy=ENTROPY))


def test_threads_share_one_model(own: Any, texts: Any) -> None:
    """Memory of fixed size serves one batch at a time; nobody sees another's."""
    own.use(runtime="static")
    chunks = [texts, texts[:1], texts[3:], texts[::-1]] * 3
    alone = [own.tag(chunk, policy=ENTROPY, batch_size=2) for chunk in chunks]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda c: own.tag(c, policy=ENTROPY, batch_size=2), chunks))
    for one, other in zip(alone, together, strict=True):
        same(one, other)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_compute_the_same(own: Any, how: Any) -> None:
    found = own.use(runtime="static").tag(TEXTS, policy=ENTROPY)
    copied = how(own)
    assert copied.runtime == "static"
    same(copied.tag(TEXTS, policy=ENTROPY), found)


# --- refusals ----------------------------------------------------------------------------------


def refused(what: str) -> Any:
    return pytest.raises(UserError, match=rf'(?s)runtime="static".*{what}.*eager')


def test_families_that_are_not_served(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(own.backbone), "capturable", False)
    with refused("models of type 'bert'"):
        own.use(runtime="static")
    assert own.runtime == "auto"
    monkeypatch.undo()
    own.use(runtime="static")
    monkeypatch.setattr(type(own.backbone), "capturable", False)
    with refused("models of type 'bert'"):
        own.tag(TEXTS, policy=ENTROPY)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_precisions_that_round(own: Any, precision: str) -> None:
    with refused("reduced precision on a CPU"):
        own.use(precision=precision, runtime="static")
    assert (own.precision, own.runtime) == ("fp32", "auto")
    with refused("reduced precision on a CPU"):
        own.use(runtime="static").use(precision=precision)
    assert (own.precision, own.runtime) == ("fp32", "static")
    own.use(precision="fp32").tag(TEXTS, policy=ENTROPY)


@pytest.mark.parametrize("policy", [policies.Vote(2), policies.Divergence(0.2)], ids=repr)
def test_policies_without_a_rule(own: Any, policy: Policy) -> None:
    own.use(runtime="static")
    with refused("policy"):
        own.tag(TEXTS, policy=policy)
    own.use(runtime="eager").tag(TEXTS, policy=policy)


def test_a_gate_that_is_not_there(make_tagger: Any) -> None:
    with pytest.raises(UserError, match="learned gate, and the model has none"):
        make_tagger().use(runtime="static").tag(TEXTS, policy=policies.LearnedGate(0.1))


def test_hooks_and_autocast(own: Any) -> None:
    own.use(runtime="static")
    handle = own.network.bert.encoder.layer[0].output.register_forward_hook(lambda *_: None)
    with refused("hooks"):
        own.tag(TEXTS, policy=ENTROPY)
    handle.remove()
    with torch.autocast("cpu", torch.bfloat16), refused("autocast"):
        own.tag(TEXTS, policy=ENTROPY)
    own.tag(TEXTS, policy=ENTROPY)


def test_more_rows_than_the_largest_bucket(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "MOST_ROWS", 12)
    own.use(runtime="static")
    with pytest.raises(UserError, match=r"holds 12 tokens at most.*smaller batch_size"):
        own.tag(TEXTS, policy=ENTROPY)
    own.tag(TEXTS, policy=ENTROPY, batch_size=1)
    with refused("holds 12 tokens"):
        own.tag([TEXTS[0] * 3], policy=ENTROPY)


def test_cascades(own: Any, tmp_path: Path) -> None:
    with refused("cascades"):
        CascadeForSequenceClassification.from_pretrained(tmp_path, runtime="static")
