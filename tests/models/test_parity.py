"""Whatever stands in a text, and in whatever type, answers are the transformers model's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from tokenexit import ExitModelForSequenceClassification, ExitModelForTokenClassification
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError

FAMILIES = [name for name, _ in BACKBONES.items()]
LABELS = ("a", "b", "c")
KINDS = {
    "words": (ExitModelForTokenClassification, AutoModelForTokenClassification),
    "texts": (ExitModelForSequenceClassification, AutoModelForSequenceClassification),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
SPECIAL = ("<pad>", "<mask>", "</s>", "<s>", "<unk>")


def model(kind: str, model_type: str, tokenizer: Any) -> Any:
    torch.manual_seed(0)
    config = BACKBONES.get(model_type).example_config(model_type)
    config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
    config.num_labels, config.classifier_pooling = 3, "cls"
    network = KINDS[kind][1].from_config(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.2)
    return KINDS[kind][0].from_transformers(network.eval(), tokenizer, LABELS).eval()


def plain(made: Any, kind: str, texts: list[list[str]]) -> np.ndarray:
    """Log-probabilities of the transformers model, one text after the other, ``[W, C]``."""
    found = []
    for window in made.encoder.encode(texts):
        ids = torch.tensor([window.sentence.input_ids])
        with torch.inference_mode():
            logits = made.network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        first = [rows[0] for rows in window.sentence.word_rows]
        found.append(logits[first] if kind == "words" else logits[None])
    return torch.cat(found).float().log_softmax(dim=-1).numpy()


@each_kind
@pytest.mark.parametrize("model_type", FAMILIES)
def test_special_tokens_written_in_a_text(kind, model_type, byte_level):
    made = model(kind, model_type, byte_level)
    words = [["ab", token, "cd", token, token, "e"] for token in SPECIAL]
    words += [["<pad>", "a"], ["a", "<pad>"], ["ab", "cd"], ["<pad>"]]
    texts = words if kind == "words" else [[" ".join(part)] for part in words]
    for batch_size in (1, 4, 32):
        found = made.tag(texts, policy="never", batch_size=batch_size).log_probs
        np.testing.assert_allclose(found, plain(made, kind, texts), atol=1e-4, rtol=1e-4)


@each_kind
@pytest.mark.parametrize("model_type", ["bert", "modernbert", "deberta-v2", "xlm-roberta"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("auto", [False, True], ids=["as-loaded", "autocast"])
def test_other_types(kind, model_type, dtype, auto, byte_level):
    made = model(kind, model_type, byte_level)
    texts = [["ab", "cd", "e"], ["fgh"]] if kind == "words" else [["ab cd e"], ["fgh"]]
    expected = plain(made, kind, texts)
    if auto and dtype != torch.bfloat16:
        pytest.skip("on a CPU, bfloat16 is what one casts to")
    if not auto:
        made.to(dtype)
    halts = ["copy", "drop", "restore"] if kind == "words" else ["copy"]
    for policy in ("never", "entropy", {"name": "saturation", "threshold": 0.5}, "patience"):
        for halted in halts:
            with torch.autocast("cpu", dtype=dtype, enabled=auto):
                found = made.tag(texts, policy=policy, halted=halted)
                table = made.exit_table(texts)
            assert np.isfinite(found.log_probs).all()
            assert table.logits.dtype == torch.float32
            if policy == "never":
                np.testing.assert_allclose(found.log_probs, expected, atol=0.35)


@each_kind
def test_how_gradients_are_switched_says_nothing(kind, byte_level):
    made = model(kind, "bert", byte_level)
    texts = [["ab", "cd"]] if kind == "words" else [["ab cd"]]
    expected = made.tag(texts, policy="entropy").log_probs.tobytes()
    for around in (torch.no_grad, torch.enable_grad, torch.inference_mode):
        with around():
            assert made.tag(texts, policy="entropy").log_probs.tobytes() == expected


@each_kind
def test_tokens_added_to_the_tokenizer_alone(kind, wordpiece):
    tokenizer = copy.deepcopy(wordpiece)
    made = model(kind, "bert", tokenizer)
    known, unknown = (
        ([["ada"]], [["ada", "<drug>"]]) if kind == "words" else ([["ada"]], [["ada <drug>"]])
    )
    for one in {id(made.tokenizer): made.tokenizer, id(tokenizer): tokenizer}.values():
        one.add_tokens(["<drug>"])
    assert len(made.tag(known))
    for call in (made.tag, made.exit_table):
        with pytest.raises(UserError, match=r"entries and the model \d+: they do not belong"):
            call(unknown)
    with pytest.raises(UserError, match="resize"):
        KINDS[kind][0].from_transformers(made.network, tokenizer, LABELS)
    made.network.resize_token_embeddings(len(tokenizer))
    assert len(made.tag(unknown))
