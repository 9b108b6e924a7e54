"""Saved and loaded is the same; texts in, texts out; folders of another kind."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoModelForTokenClassification,
)

from tokenexit import ExitModelForSeq2SeqLM, ExitModelForTokenClassification, policies
from tokenexit.errors import UserError

TEXTS = ["w7 w8 w9 w30", "w11", "", "w50 w51 w52 w53 w54 w7"]


@pytest.fixture(scope="module")
def make(build: Any, words: Any) -> Any:
    """Factory of models with a tokenizer."""

    def call(family: str, **options: Any) -> ExitModelForSeq2SeqLM:
        network = build(family).network
        options.setdefault("tokenizer", words(network.config.pad_token_id))
        torch.manual_seed(0)
        return ExitModelForSeq2SeqLM.from_transformers(network, **options).eval()

    return call


def reload(model: Any, folder: Path) -> Any:
    model.save_pretrained(folder)
    return ExitModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float64)


def same_texts(first: Any, second: Any, policy: Any, **settings: Any) -> list[Any]:
    settings = {"max_new_tokens": 8, "policy": policy, **settings}
    mine, theirs = first.predict(TEXTS, **settings), second.predict(TEXTS, **settings)
    assert mine == theirs
    return mine


@pytest.mark.parametrize("gate", [True, False])
def test_every_family_comes_back(model, make, tmp_path, gate):
    made = make(
        model.network.config.model_type,
        gate=gate,
        depth=gate,
        exit_layers=[1, 3],
        task="translation",
    )
    made.configure(policy=policies.Hash(1, 4), pending="parallel")
    loaded = reload(made, tmp_path)
    assert loaded.settings == made.settings
    assert (loaded.policy, loaded.settings.exit_layers) == (made.policy, (1, 3, 4))
    assert not any(module.training for module in loaded.modules())
    found = same_texts(loaded, made, None)
    assert len({layer for text in found for layer in text.exit_layers}) >= 2
    if gate:
        same_texts(loaded, made, policies.LearnedGate(0.5), num_beams=2)
        same_texts(loaded, made, policies.PredictedDepth(0.5))
    else:
        assert loaded.gate is None
        assert loaded.depth is None
        with pytest.raises(UserError, match="model has none"):
            loaded.predict(TEXTS, policy="learned_gate")

    plain: Any = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, dtype=torch.float64)
    assert type(plain) is type(made.network)
    for name, weight in made.network.state_dict().items():
        assert plain.state_dict()[name].equal(weight)


@pytest.mark.parametrize("gate", [True, False])
def test_a_model_without_a_tokenizer_comes_back(make, sources, tmp_path, gate):
    made = make("t5", tokenizer=None, gate=gate)
    loaded = reload(made, tmp_path)
    assert loaded.tokenizer is None
    settings = {"policy": policies.Hash(1, 4), "max_new_tokens": 7}
    expected = made.generate(**sources.inputs, **settings)
    assert torch.equal(loaded.generate(**sources.inputs, **settings), expected)
    files = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.safetensors", "exit_config.json", "README.md"} <= files
    assert not any("tokenizer" in name for name in files)
    assert {Path(name).suffix for name in files} == {".json", ".safetensors", ".md"}


def test_settings_of_generation_go_with_the_model(make, tmp_path):
    made = make("bart")
    made.configure(generation={"max_new_tokens": 3, "num_beams": 2}, policy=policies.Hash(1, 4))
    loaded = reload(made, tmp_path)
    found = loaded.predict(TEXTS)
    assert found == made.predict(TEXTS)
    assert max(len(text.token_ids) for text in found) <= 3
    longer = loaded.predict(TEXTS, max_new_tokens=6)
    assert max(len(text.token_ids) for text in longer) > 3


# --- folders of another kind ----------------------------------------------------------------


def test_a_tagger_is_no_generator(tmp_path, words):
    config = AutoConfig.for_model(
        "bert",
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=40,
    )
    tagger = ExitModelForTokenClassification.from_transformers(
        AutoModelForTokenClassification.from_config(config, dtype=torch.float32),
        words(0),
        labels=["O", "X"],
    )
    tagger.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"holds a tagger.*ExitModelForTokenClassification"):
        ExitModelForSeq2SeqLM.from_pretrained(tmp_path)


def test_a_generator_is_no_tagger(make, tmp_path):
    for family in ("t5", "marian", "bart"):
        make(family, tokenizer=None).save_pretrained(tmp_path / family)
        with pytest.raises(UserError, match=r"generates text.*ExitModelForSeq2SeqLM"):
            ExitModelForTokenClassification.from_pretrained(tmp_path / family)


def test_folders_that_are_not_whole(make, tmp_path):
    load = ExitModelForSeq2SeqLM.from_pretrained
    make("bart", gate=True).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "exit_config.json").read_text())
    for changes, message in [
        ({"exit_layers": [1, 9]}, "Exit layer 9 does not exist"),
        ({"heads": {"name": "shared"}}, "exit_heads.safetensors is damaged"),
        ({"format_version": 99}, "Upgrade tokenexit"),
    ]:
        (tmp_path / "exit_config.json").write_text(json.dumps({**settings, **changes}))
        with pytest.raises(UserError, match=message):
            load(tmp_path)
    (tmp_path / "exit_config.json").unlink()
    with pytest.raises(UserError, match=r"no exit_config\.json, so it is no tokenexit model"):
        load(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        load(tmp_path / "nowhere")


# --- texts ----------------------------------------------------------------------------------


def test_texts_are_read_and_written_as_the_tokenizer_does(make, ends):
    model, policy = make("mbart"), policies.Hash(1, 4)
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    settings = {"policy": policy, "max_new_tokens": 9, "eos_token_id": [2, 110, 25]}
    found = model.generate(
        batch["input_ids"], batch["attention_mask"], return_dict_in_generate=True, **settings
    )
    for size in (1, 3, 32):
        texts = model.predict(TEXTS, batch_size=size, **settings)
        for row, text in enumerate(texts):
            length = int((found.exit_layers[row] > 0).sum())
            assert text.token_ids == found.sequences[row, 1 : 1 + length].tolist()
            assert text.exit_layers == found.exit_layers[row, :length].tolist()
            assert text.tokens == model.tokenizer.convert_ids_to_tokens(text.token_ids)
            assert text.text == model.tokenizer.decode(text.token_ids, skip_special_tokens=True)
            assert text.to_dict()["tokens"] == text.tokens


def test_tokens_that_only_the_network_has_add_nothing(make):
    given = make("bart")
    network, unknown = copy.deepcopy(given.network), len(given.tokenizer)
    network.resize_token_embeddings(unknown + 8)  # as T5's, which has 28 entries more
    model = ExitModelForSeq2SeqLM.from_transformers(network, given.tokenizer)
    forced = {"forced_bos_token_id": unknown, "max_new_tokens": 3, "policy": policies.Never()}
    assert unknown < model.decoder.vocab_size
    (found,) = model.predict(TEXTS[:1], **forced)
    assert (found.token_ids[0], found.tokens[0], found.token_texts[0]) == (unknown, "", "")
    assert found.text == model.tokenizer.decode(found.token_ids, skip_special_tokens=True)


def test_of_several_texts_a_source_the_first_is_given(make):
    model = make("t5")
    settings = {"max_new_tokens": 6, "num_beams": 3}
    assert model.predict(TEXTS, num_return_sequences=3, **settings) == model.predict(
        TEXTS, **settings
    )


def test_no_texts_and_no_such_batches(make):
    model = make("bart")
    assert model.predict([]) == []
    with pytest.raises(UserError, match="wrap a single one"):
        model.predict("w7")
    with pytest.raises(UserError, match="Text 1 is no string but int"):
        model.predict(["w7", 8])
    for size in (0, -1, 1.5):
        with pytest.raises(UserError, match="batch_size must be a whole number from 1"):
            model.predict(["w7"], batch_size=size)


def test_sources_that_are_too_long_are_cut_and_counted(make, caplog):
    model = make("bart")
    long = " ".join(["w7"] * 90)
    found = model.predict(["w8", long], max_new_tokens=4)
    assert "1 of 2 texts are longer than 64 tokens and cut." in caplog.text
    whole = torch.tensor([[7] * 63 + [2]])
    expected = model.generate(whole, max_new_tokens=4)[0, 1:].tolist()
    assert found[1].token_ids == expected[: len(found[1].token_ids)]


def test_own_decoders_start_where_verifying_is_the_default(make, sources):
    made = make("t5", tokenizer=None)
    made.configure(pending="verify", policy=policies.Hash(1, 4))
    assert made.start(**sources.inputs).pending == "parallel"
    with pytest.raises(UserError, match="rule for pending tokens"):
        made.start(**sources.inputs, pending="verify")
