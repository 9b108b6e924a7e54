"""Languages that mBART's tokenizers mark, from the recipe's settings to the saved folder."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModelForSeq2SeqLM, MBart50Tokenizer, MBartTokenizer
from transformers.models.mbart.modeling_mbart import shift_tokens_right

from tokenexit import ExitModelForSeq2SeqLM
from tokenexit.data.pairs import PairSplit
from tokenexit.decoders import DECODERS
from tokenexit.errors import UserError
from tokenexit.models.generation.languages import with_languages
from tokenexit.models.generation.text_ids import cut, special_ends
from tokenexit.workflows.recipes.generators import build_generator, spoken
from tokenexit.workflows.recipes.pairs import training_pairs
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

TOKENIZERS = pytest.mark.parametrize("kind", [MBartTokenizer, MBart50Tokenizer])
TEXT = "the old man sees a small house"
SPLIT = PairSplit([TEXT], ["a house ."], [["a house ."]], "pairs")


@pytest.fixture(scope="module")
def vocabulary() -> list[tuple[str, float]]:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator([TEXT + " ."] * 20, trainer)
    return [tuple(entry) for entry in json.loads(made.to_str())["model"]["vocab"]]


@pytest.fixture
def folder(kind: Any, vocabulary: Any, tmp_path: Any) -> Any:
    """A checkpoint as the Hub has them: no target language, eos to begin with."""
    tokenizer = kind(vocab=vocabulary)
    config = DECODERS.get("mbart").example_config("mbart")
    config.vocab_size = len(tokenizer)
    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def config(folder: Any, **settings: Any) -> Seq2SeqConfig:
    return Seq2SeqConfig(output_dir="nowhere", model=str(folder), **settings)


@TOKENIZERS
@pytest.mark.parametrize(
    "settings",
    [
        {"lang": "en-de"},
        {"source_lang": "en_XX", "target_lang": "de_DE"},
        {"lang": "fr-it", "source_lang": "en", "target_lang": "de_DE"},
    ],
    ids=str,
)
def test_a_run_reads_and_writes_the_languages_it_is_told(folder, settings, tmp_path):
    model = build_generator(config(folder, **settings), SPLIT)
    (pair,) = training_pairs(model, SPLIT)
    name = model.tokenizer.convert_ids_to_tokens
    assert "en_XX" in name(pair.input_ids)
    assert "de_DE" in name(pair.targets)
    assert "en_XX" not in name(pair.targets)
    labels = torch.tensor([pair.targets])
    plain = shift_tokens_right(labels, model.tokenizer.pad_token_id)[0].tolist()
    assert pair.reading == plain

    # Generating begins as training did, with us and with the plain model.
    german = model.tokenizer.convert_tokens_to_ids("de_DE")
    ids = torch.tensor([pair.input_ids])
    found = model.generate(ids, policy="never", max_new_tokens=3)
    assert german in found[0, :2].tolist()
    assert found[0, 0] == pair.reading[0]
    assert torch.equal(model.network.generate(ids, max_new_tokens=3), found)

    model.save_pretrained(tmp_path / "run")
    loaded = ExitModelForSeq2SeqLM.from_pretrained(tmp_path / "run")
    (again,) = training_pairs(loaded, SPLIT)
    assert (again.input_ids, again.reading) == (pair.input_ids, pair.reading)
    settings = {"policy": "never", "max_new_tokens": 3}
    assert loaded.predict([TEXT], **settings) == model.predict([TEXT], **settings)


@TOKENIZERS
def test_a_model_of_many_languages_must_be_told(folder):
    with pytest.raises(UserError, match="say which with lang=en-de"):
        build_generator(config(folder), SPLIT)
    with pytest.raises(UserError, match="knows no language 'xx'"):
        build_generator(config(folder, lang="xx-de"), SPLIT)


@TOKENIZERS
def test_nobodys_tokenizer_is_changed(kind, vocabulary):
    given = kind(vocab=vocabulary)
    before = given(TEXT)["input_ids"]
    copied = with_languages(given, "fr", "de_DE")
    assert (given.src_lang, given.tgt_lang) == ("en_XX", None)
    assert given(TEXT)["input_ids"] == before != copied(TEXT)["input_ids"]


def test_tokenizers_without_languages(byte_level):
    run = Seq2SeqConfig(output_dir="nowhere", lang="en-de")
    assert spoken(run, byte_level) is None
    named = Seq2SeqConfig(output_dir="nowhere", source_lang="en", target_lang="de")
    with pytest.raises(UserError, match="marks no languages"):
        spoken(named, byte_level)


@TOKENIZERS
def test_cut_texts_keep_their_special_tokens(kind, vocabulary):
    tokenizer = with_languages(kind(vocab=vocabulary), "en", "de")
    ids = tokenizer(TEXT)["input_ids"]
    ends = special_ends(tokenizer)
    assert sum(ends) == 2
    for most in range(3, len(ids) + 2):
        short = cut(ids, most, ends)
        assert len(short) == min(most, len(ids))
        names = tokenizer.convert_ids_to_tokens(short)
        assert {"</s>", "en_XX"} <= set(names)
        assert short[: ends[0]] == ids[: ends[0]]
        assert short[len(short) - ends[1] :] == ids[len(ids) - ends[1] :]
    with pytest.raises(UserError, match="cut to 2 tokens would have none of its own"):
        cut(ids, 2, ends)


def test_texts_that_begin_and_end_in_special_tokens_keep_both(byte_level):
    ends = special_ends(byte_level)
    assert ends == (1, 1)
    ids = byte_level("a long text")["input_ids"]
    assert byte_level.convert_ids_to_tokens(cut(ids, 4, ends)) == ["<s>", "a", "Ġ", "</s>"]
