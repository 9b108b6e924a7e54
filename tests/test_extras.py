"""The package alone, in an empty folder: what it does, and what it says that the rest needs."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, BertConfig

from tokenexit import (
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
)
from tokenexit.config import friendly_errors
from tokenexit.errors import UserError
from tokenexit.extras import LIBRARIES, require_libraries
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer

ROOT = Path(__file__).parent.parent
WORDS = "Ada Lovelace was born in London".split()

# In a process of its own, in which optional libraries cannot be found.
LIGHT = """
import contextlib, io, json, sys
from importlib.machinery import PathFinder

HIDDEN, CALLS = json.loads(sys.argv[1])

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]

import tokenexit
for name in tokenexit.__all__:
    getattr(tokenexit, name)
from tokenexit.cli import main

def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            sys.argv[:] = ["tokenexit", *arguments]
            main()
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()

sys.stdin = None
print(json.dumps([run(*arguments) for arguments in CALLS]))
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A tagger, a classifier and a generator, and texts for them."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer([WORDS], vocab_size=200)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, num_labels=3,
    )  # fmt: skip
    network = AutoModelForTokenClassification.from_config(config)
    for name, kind, labels in (
        ("tagger", ExitModelForTokenClassification, ["O", "B-PER", "I-PER"]),
        ("classifier", ExitModelForSequenceClassification, ["letter", "parcel", "bill"]),
    ):
        kind.from_transformers(network, tokenizer, labels).save_pretrained(tmp_path / name)
    pieces = train_subword_tokenizer(["an old man sees a house"], vocab_size=300)
    small = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2}
    writer = ExitModelForSeq2SeqLM.from_transformers(
        fresh_seq2seq({**small, "num_layers": 2, "num_decoder_layers": 2}, pieces),
        pieces,
        task="translation",
    )
    writer.configure(generation={"max_new_tokens": 4})
    writer.save_pretrained(tmp_path / "generator")
    (tmp_path / "texts.txt").write_text("Ada was born in London\n", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(
        '{"tokens": ["Ada"], "ner_tags": ["O"]}\n', encoding="utf-8"
    )
    (tmp_path / "rows.parquet").write_bytes(b"")
    return tmp_path


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel has it: nothing of the repository lies beside it."""
    site = tmp_path_factory.mktemp("site")
    leave = shutil.ignore_patterns("__pycache__", "built")
    shutil.copytree(ROOT / "tokenexit", site / "tokenexit", ignore=leave)
    return site


@pytest.mark.slow
def test_a_light_installation_predicts_and_says_what_the_rest_needs(here: Path, installed: Path):
    calls = {
        ("predict", "tagger", "texts.txt"): '"exit_layers"',
        ("predict", "classifier", "texts.txt"): '"exit_layer"',
        ("predict", "generator", "texts.txt"): '"exit_layers"',
        ("predict", "tagger", "rows.parquet"): "pyarrow",
        ("evaluate", "tagger", "--data", "rows.jsonl"): "seqeval",
        ("evaluate", "generator", "--data", "rows.jsonl"): "sacrebleu",
        ("train", "ner", "--help"): "train.epochs",
        ("train", "ner"): "accelerate",
    }  # fmt: skip
    told = json.dumps([[*LIBRARIES, "pandas"], list(calls)])
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, told],
        capture_output=True, text=True, cwd=here, env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    for (arguments, wanted), (code, out, err) in zip(calls.items(), results, strict=True):
        if wanted in LIBRARIES:
            told = f"Error: {wanted} is not installed, which "
            assert (code, err[: len(told)]) == (2, told), arguments
            assert err.endswith(': pip install "tokenexit[train]".\n')
        else:
            assert code == 0, (arguments, err)
            assert wanted in out
    assert not (here / "runs").exists()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the repository is not here")
def test_no_file_of_the_package_is_left_out_of_the_wheel():
    """The build leaves out what .gitignore names, also where it is in the repository."""
    ask = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard", "tokenexit"]
    assert subprocess.check_output(ask, cwd=ROOT, text=True) == ""


def test_what_is_missing_is_told_with_what_to_do_instead(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torchcrf", None)
    with pytest.raises(UserError, match=r'pip install "tokenexit\[crf\]", or use decode=legal\.$'):
        require_libraries("torchcrf", instead="use decode=legal")


def test_a_library_that_is_there_and_broken_is_no_missing_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "torchcrf.py").write_text("import what_is_not_there", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torchcrf", raising=False)
    with pytest.raises(ModuleNotFoundError, match="what_is_not_there"):
        require_libraries("torchcrf")


def test_a_program_ends_with_the_message_wherever_the_library_was_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "torchcrf", None)
    with pytest.raises(SystemExit), friendly_errors():
        importlib.import_module("torchcrf")
    assert capsys.readouterr().err.startswith("Error: pytorch-crf is not installed, which ")
