from __future__ import annotations

from pathlib import Path

import pytest

from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder import fresh_encoder, train_tokenizer

torch = pytest.importorskip("torch")
SENTENCES = [["The", "cat", "sat", "on", "Anna's", "mat", "."], ["Café", "mats"], []] * 5
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(SENTENCES, vocab_size=200)


def test_tokenizer_frames_and_knows_its_words(tokenizer) -> None:
    encoded = tokenizer(["The", "zzz", "cat"], is_split_into_words=True)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens == ["[CLS]", "The", "[UNK]", "cat", "[SEP]"]
    assert encoded.word_ids() == [None, 0, 1, 2, None]
    assert set(encoded) == {"input_ids", "attention_mask"}
    assert tokenizer.pad_token_id == 0
    assert tokenizer.mask_token_id == 4


def test_tokenizer_is_the_same_every_time(tokenizer) -> None:
    assert train_tokenizer(iter(SENTENCES), vocab_size=200).get_vocab() == tokenizer.get_vocab()


def test_lowercase() -> None:
    folded = train_tokenizer(SENTENCES, vocab_size=200, lowercase=True)
    assert folded("THE CAFÉ").input_ids == folded("the cafe").input_ids


def test_tokenizer_reloads(tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "The mats sat."
    assert dict(again(text)) == dict(tokenizer(text))
    assert again.model_max_length == 512


@pytest.mark.parametrize(("vocab_size", "message"), [(10, "at least 100"), (200, "hold no word")])
def test_tokenizer_errors(vocab_size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_tokenizer([[], []], vocab_size=vocab_size)


@pytest.mark.parametrize(
    "model_type", ["bert", "roberta", "electra", "albert", "distilbert", "modernbert", "deberta-v2"]
)
def test_fresh_encoder_of_each_family(tokenizer, model_type: str) -> None:
    fields = dict(SMALL)
    if model_type == "distilbert":
        fields = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    model = fresh_encoder({"model_type": model_type, **fields}, tokenizer, 5).eval()
    batch = tokenizer(["The cat", "mats"], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits
    assert logits.shape == (2, 4, 5)
    assert logits.isfinite().all()
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert model.config.num_hidden_layers == 2


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "names no model_type"),
        ({"model_type": "brt"}, r"Unknown model_type 'brt'. Did you mean 'bert'"),
        ({"model_type": "bert", "hiden_size": 8}, r"Unknown bert setting.*mean 'hidden_size'"),
        ({**SMALL, "model_type": "bert", "hidden_size": 15}, r"hidden_size=15 cannot be shared"),
        ({**SMALL, "model_type": "bert", "num_attention_heads": 0}, "num_attention_heads=0"),
        ({**SMALL, "model_type": "bert", "num_hidden_layers": 0}, "at least 1, not 0"),
        ({**SMALL, "model_type": "bert", "hidden_size": "big"}, "No bert model can be built"),
        ({**SMALL, "model_type": "bert", "hidden_act": "gelo"}, "No bert model can be built"),
        ({"model_type": "bert", "vocab_size": 9}, "Leave 'vocab_size' out"),
    ],
)
def test_descriptions_that_make_no_model(tokenizer, description: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fresh_encoder(description, tokenizer, 3)
