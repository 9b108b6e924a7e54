"""A tokenizer that needs a library which is not installed says how to get it."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from transformers import AutoTokenizer

from tokenexit.errors import UserError
from tokenexit.models.folders import load_tokenizer
from tokenexit.models.folders.needed_libraries import installed_by


def test_a_marian_folder_without_sentencepiece(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    (tmp_path / "config.json").write_text('{"model_type": "marian"}')
    words = {"</s>": 0, "<unk>": 1, "<pad>": 2}
    (tmp_path / "vocab.json").write_text(json.dumps(words))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer"}')
    for name in ("source.spm", "target.spm"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot be loaded: .*pip install \"tokenexit\[sentenc"):
        load_tokenizer(tmp_path, split_words=False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ImportError("\nT5Converter requires the protobuf library but"), "pip install protobuf."),
        (ValueError("`tiktoken` is required. Use `pip install tiktoken`."), "install tiktoken."),
        (
            ValueError("You need to have sentencepiece or tiktoken installed to convert"),
            'pip install "tokenexit[sentencepiece]" or pip install tiktoken.',
        ),
        (ImportError("MosesTokenizer requires the sacremoses library"), "pip install sacremoses."),
        (ModuleNotFoundError("No module named 'fugashi'", name="fugashi"), "module 'fugashi'"),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_get_it(tmp_path, monkeypatch, error, expected):
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(UserError) as caught:
        load_tokenizer(tmp_path, split_words=False)
    assert expected in str(caught.value)


def test_other_trouble_is_left_as_it_is():
    assert installed_by(ValueError("vocab.json is not valid")) is None
    assert installed_by(OSError("Can't load tokenizer, sentencepiece.model")) is None
