from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer

torch = pytest.importorskip("torch")
TEXTS = ["The cat sat on Anna's mat.", "Die Katze saß auf der Matte.", "", "Café, mats"] * 5
T5 = {"d_model": 16, "num_layers": 2, "num_decoder_layers": 2, "d_ff": 32, "num_heads": 2}
T5 |= {"d_kv": 4}
BART = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 3, "encoder_ffn_dim": 32}
BART |= {"decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 4}
FAMILIES = {
    "t5": T5, "mt5": T5, "umt5": T5, "longt5": T5, "bart": BART, "marian": BART, "mbart": BART,
    "pegasus": BART, "blenderbot": BART,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_subword_tokenizer(TEXTS, vocab_size=320)


def test_texts_end_with_the_end_and_begin_with_nothing(tokenizer) -> None:
    ids = tokenizer("The cat").input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == ["The", "Ġcat", "</s>"]
    special = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id)
    assert special == (0, 1, 2)
    batch = tokenizer(["The", ""], text_target=["mat", "Die Katze"], padding=True)
    assert batch["input_ids"][1] == [1, 0]
    assert batch["attention_mask"][1] == [1, 0]
    assert [row[-1] for row in batch["labels"]] == [0, 1]
    assert set(batch) == {"input_ids", "attention_mask", "labels"}


@pytest.mark.parametrize(
    "text",
    [
        "The cat  sat , don't .",
        " x\n\t",
        "",
        "日本 ☃ 🙂",
        "<pad> a </s> b <s>",
        "e\u0301 é ﬁ \u00a0",
    ],
)
def test_every_text_comes_back(tokenizer, tmp_path: Path, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for each in (tokenizer, again):
        ids = each(text).input_ids
        assert not set(ids[:-1]) & {0, 1, 2}
        assert each.decode([0, *ids, 0, 0], skip_special_tokens=True) == text
    assert again(text).input_ids == tokenizer(text).input_ids
    assert again.model_max_length == 512


def test_tokenizer_is_the_same_every_time(tokenizer) -> None:
    again = train_subword_tokenizer(iter(TEXTS), vocab_size=320)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    assert len(tokenizer) <= 320


def test_lowercase() -> None:
    folded = train_subword_tokenizer(TEXTS, vocab_size=320, lowercase=True)
    assert folded.decode(folded("THE Café").input_ids, skip_special_tokens=True) == "the café"


@pytest.mark.parametrize(("size", "message"), [(299, "at least 300"), (300, "every text is empty")])
def test_tokenizer_errors(size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_subword_tokenizer(["", " "], vocab_size=size)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_fresh_models_of_each_family_train_and_generate(tokenizer, model_type: str) -> None:
    torch.manual_seed(0)
    model = fresh_seq2seq({"model_type": model_type, **FAMILIES[model_type]}, tokenizer).eval()
    config, generation = model.config, model.generation_config
    start = 0 if "t5" in model_type else 1
    for settings in (config, generation):
        assert settings.decoder_start_token_id == start
        assert (settings.pad_token_id, settings.eos_token_id, settings.bos_token_id) == (0, 1, 2)
        assert getattr(settings, "forced_eos_token_id", None) is None
        assert getattr(settings, "forced_bos_token_id", None) is None
    assert config.vocab_size == len(tokenizer)
    batch = tokenizer(
        ["The cat", "mats"], text_target=["Die Katze", "x"], padding=True, return_tensors="pt"
    )
    labels = batch.pop("labels")
    labels[labels == 0] = -100
    with torch.no_grad():
        found = model(**batch, labels=labels)
    assert found.loss.isfinite()
    assert found.logits.shape == (*labels.shape, len(tokenizer))
    greedy, beams = (
        model.generate(**batch, num_beams=n, do_sample=False, max_new_tokens=6) for n in (1, 2)
    )
    assert (greedy[:, 0] == start).all()
    assert (beams[:, 0] == start).all()


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "names no model_type; add one, such as t5"),
        ({"model_type": "brat"}, r"Unknown model_type 'brat'. Did you mean 'bart'"),
        ({"model_type": "bert"}, "Unknown model_type 'bert'"),
        ({"model_type": "t5", "n_layers": 3}, r"Unknown t5 setting.*mean 'num_layers'"),
        ({"model_type": "t5", "vocab_size": 9}, "Leave 'vocab_size' out"),
        ({"model_type": "bart", "forced_eos_token_id": 9}, "Leave 'forced_eos_token_id' out"),
        ({"model_type": "marian", "decoder_vocab_size": 9}, "Leave 'decoder_vocab_size' out"),
        ({**BART, "model_type": "bart", "d_model": 18}, "d_model=18 cannot.*decoder_attention_h"),
        ({**BART, "model_type": "bart", "decoder_layers": 0}, "decoder_layers must be at least 1"),
        ({**T5, "model_type": "t5", "num_layers": 0}, "num_layers must be at least 1, not 0"),
        ({**T5, "model_type": "t5", "num_heads": 0}, "num_heads=0"),
        ({**T5, "model_type": "t5", "num_decoder_layers": 3}, "num_decoder_layers=3 is more than"),
        ({**T5, "model_type": "t5", "d_model": "big"}, "No t5 model can be built"),
        ({**BART, "model_type": "bart", "activation_function": "gelo"}, "No bart model can be"),
    ],
)
def test_descriptions_that_make_no_model(tokenizer, description: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fresh_seq2seq(description, tokenizer)
