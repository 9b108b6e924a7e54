"""Tokenizers built in code, and small taggers of every registered family."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoModel, PreTrainedTokenizerFast, RobertaTokenizer

from tokenexit.backbones import BACKBONES
from tokenexit.models.words.token_classification import ExitModelForTokenClassification

FAMILIES = [name for name, _ in BACKBONES.items()]
LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
WORDS = ("ada", "was", "born", "in", "london", "and", "paris", "she", ".", ",")


@pytest.fixture(scope="session")
def wordpiece() -> PreTrainedTokenizerFast:
    """As BERT's: a few whole words, letters for all others, ``[CLS] ... [SEP]``."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = string.ascii_lowercase + string.digits
    pieces = [*letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: place for place, piece in enumerate([*special, *WORDS, *pieces])}
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=999)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **dict(zip(names, special, strict=True))
    )


@pytest.fixture(scope="session")
def roberta_tokenizer() -> RobertaTokenizer:
    """As RoBERTa's: single bytes, ``<s> ... </s>``, and not told that words come split."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {piece: place for place, piece in enumerate([*special, *alphabet])}
    return RobertaTokenizer(vocab=vocabulary, merges=[])


@pytest.fixture(scope="session")
def byte_level() -> PreTrainedTokenizerFast:
    """As ModernBERT's: the same bytes in a tokenizer of no particular class."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {piece: place for place, piece in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(), ByteLevel(add_prefix_space=False)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **dict(zip(names, special, strict=True))
    )


@pytest.fixture(scope="session")
def make_tagger(wordpiece: Any) -> Callable[..., ExitModelForTokenClassification]:
    """Factory of taggers in evaluation mode, whose exits disagree enough to be told apart."""

    def make(
        model_type: str = "bert",
        tokenizer: Any = None,
        labels: Sequence[str] = LABELS,
        heads: Mapping[str, Any] | None = None,
        exit_layers: Sequence[int] | None = None,
        seed: int = 0,
    ) -> ExitModelForTokenClassification:
        torch.manual_seed(seed)
        tokenizer = wordpiece if tokenizer is None else tokenizer
        config = BACKBONES.get(model_type).example_config(model_type)
        config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
        network = AutoModel.from_config(config)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
        tagger = ExitModelForTokenClassification.from_transformers(
            network, tokenizer, labels, heads=heads, exit_layers=exit_layers
        )
        with torch.no_grad():
            for module in (tagger.heads, tagger.backbone.final_head()):
                for weight in module.parameters():
                    weight.copy_(torch.randn_like(weight) * 0.4)
        tagger.configure(decode="argmax")  # what each exit says, whether or not it fits the others
        return tagger.eval()

    return make


@pytest.fixture(scope="session")
def tagger(make_tagger: Callable[..., ExitModelForTokenClassification]) -> Any:
    """A BERT tagger with BIO labels and a gate, shared by all tests: leave it as it is."""
    return make_tagger(heads={"name": "linear", "gate": True})


@pytest.fixture(scope="session", params=FAMILIES)
def family_tagger(
    request: pytest.FixtureRequest, make_tagger: Callable[..., ExitModelForTokenClassification]
) -> Any:
    """One tagger of each registered family, likewise shared."""
    return make_tagger(request.param)


@pytest.fixture(scope="session")
def texts() -> list[list[str]]:
    """Words of a few texts: known and unknown, none, one, and more than a model can read."""
    draw = torch.Generator().manual_seed(0)
    known = [WORDS[place] for place in torch.randint(len(WORDS), (90,), generator=draw)]
    return [
        ["Ada", "Lovelace", "was", "born", "in", "London", "."],
        [],
        ["paris"],
        known,
        ["she", "and", "Zeppelin", ",", "🙂", "in", "2024"],
    ]
