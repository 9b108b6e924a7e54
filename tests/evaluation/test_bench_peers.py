"""Other engines in the table: absent, refusing, failing, answering something else."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tokenexit.errors import UserError
from tokenexit.evaluation.bench import bench, check_peers
from tokenexit.evaluation.bench.contender import Contender
from tokenexit.evaluation.bench.peers import PEERS, Peer
from tokenexit.policies.entropy import Entropy


class _Parrot(Contender):
    """Says what it is told to."""

    foreign = True

    def __init__(self, name, precision, said):
        self.name, self.precision, self.said = name, precision, said

    def run(self, batch):
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def answers(self, batch, output):
        if output == "nonsense":
            raise IndexError("list index out of range")
        return {(window.text, 0): output for window in batch}


@PEERS.register("test_parrot")
class _ParrotPeer(Peer):
    title = "Parrot"
    packages = ("json",)
    precisions = ("fp32", "int8", "fp16", "bf16")

    def encoder(self, model, windows, precision, folder):
        assert windows
        assert list(folder.iterdir()) == []
        if precision == "int8":
            raise RuntimeError("\nOperator Gelu is not implemented.\nMore of it.")
        said = {"fp32": 0, "fp16": OSError("exploded"), "bf16": "nonsense"}[precision]
        return _Parrot(self.title, precision, said)


def rows(tagger, splits, against, **options):
    texts = splits["test"].tokens[:4]
    found = bench(tagger, texts, Entropy(0.2), batch_size=2, repeats=1, against=against, **options)
    return {(row.name, row.precision): row for row in found.rows[4:]}


def test_refusals_and_failures_are_shown_and_the_rest_is_timed(tagger, splits):
    found = rows(tagger, splits, ["test_parrot"])
    assert found["Parrot", "int8"].reason == (
        "it does not take the checkpoint: RuntimeError: Operator Gelu is not implemented."
    )
    assert found["Parrot", "fp16"].reason == "OSError: exploded"
    assert found["Parrot", "bf16"].reason.startswith("its answers cannot be read: IndexError")
    fine = found["Parrot", "fp32"]
    assert fine.reason is None
    assert fine.speedup_median > 0
    assert 0 <= fine.agreement < 0.5  # it labels first words alone, all alike


def test_a_package_that_is_absent_is_named_with_what_installs_it(tagger, splits, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = rows(tagger, splits, "onnxruntime")
    assert len(found) == 2
    assert {row.reason for row in found.values()} == {
        'onnxruntime is not installed here: pip install "tokenexit[peers]"'
    }


def test_a_package_that_is_another_than_expected(tagger, splits, monkeypatch):
    for name in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr("torch.onnx.export", lambda *given, **options: None)
    found = rows(tagger, splits, "onnxruntime")
    assert all("does not take the checkpoint" in row.reason for row in found.values())


def test_the_compiled_plain_model_says_the_same(tagger, splits, monkeypatch):
    asked = []

    def compiled(network, **options):
        asked.append(options)
        return network

    monkeypatch.setattr("torch.compile", compiled)
    found = rows(tagger, splits, "compile")
    assert asked == [{"dynamic": True}]
    assert found["torch.compile, sorted", "fp32"].agreement == 1


def test_names_are_checked_and_taken_once():
    assert [peer.title for peer in check_peers(" onnxruntime, ctranslate2,onnxruntime")] == [
        "ONNX Runtime, sorted",
        "CTranslate2, sorted",
    ]
    assert check_peers([]) == []
    for nothing in ("", ",", " , "):
        with pytest.raises(UserError, match="names no engine"):
            check_peers(nothing)
    with pytest.raises(UserError, match="Did you mean 'ctranslate2'"):
        check_peers("ctranslate")
