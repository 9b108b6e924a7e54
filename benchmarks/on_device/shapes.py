"""Networks of known shapes with random weights, depths that are forced, and texts of ids."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForTokenClassification,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from tokenexit import ExitModelForSeq2SeqLM, ExitModelForTokenClassification, policies
from tokenexit.policies import Policy

LABELS = ["O", *(f"{begin}-{kind}" for kind in ("A", "B", "C", "D") for begin in "BI")]
WORDS = 1000
"""Different words of texts."""

SHARES = (0.42, 0.38, 0.13, 0.07)
"""Of words that leave at a sixth, a third, two thirds of the depth, and at the top: 35 % on
average."""

RATE = 0.56
"""Of random exits at a sixth, a third and two thirds of the depth: a third on average."""

BERT = {"base": (30_522, 768, 12, 12, 3072), "small": (WORDS + 8, 32, 4, 4, 48)}
T5 = {"base": (32_128, 768, 12, 12, 3072), "small": (200, 32, 4, 4, 48)}
BART = {"base": (50_265, 1024, 12, 16, 4096), "small": (200, 32, 4, 4, 48)}


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        source: Tokens of a source.
        most: Tokens written for each.
        seconds: Spent on timed passes, about.
        passes: Of them, at most.
    """

    source: int
    most: int
    seconds: float
    passes: int


FULL, SMALL = Size(64, 48, 2.5, 40), Size(6, 5, 0.3, 3)


def exits_of(depth: int) -> tuple[int, ...]:
    """Layers at a sixth, a third and two thirds of the depth."""
    found = {max(1, round(depth * share)) for share in (1 / 6, 1 / 3, 2 / 3)}
    return tuple(sorted(found - {depth}))


def bert(small: bool, device: torch.device, dtype: torch.dtype) -> ExitModelForTokenClassification:
    """A tagger of BERT's shape."""
    vocabulary, width, layers, heads, inner = BERT["small" if small else "base"]
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        num_labels=len(LABELS),
    )
    torch.manual_seed(0)
    network = BertForTokenClassification(config).to(device=device, dtype=dtype).eval()
    return ExitModelForTokenClassification.from_transformers(
        network, _words(), LABELS, exit_layers=exits_of(layers)
    ).eval()


def _words() -> PreTrainedTokenizerFast:
    """A tokenizer whose every word is an id."""
    known = {"[PAD]": 0, "[UNK]": 1, **{f"w{number}": number + 5 for number in range(WORDS)}}
    made = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")


def sentences(count: int, seed: int = 1) -> list[list[str]]:
    """Texts of 36 words on average, between 5 and 100, as news has them."""
    draw = random.Random(seed)
    lengths = [min(max(round(draw.gammavariate(3.2, 11.3)), 5), 100) for _ in range(count)]
    return [[f"w{draw.randrange(WORDS)}" for _ in range(length)] for length in lengths]


def leaving(depth: int) -> Policy:
    """Each word type leaves at a layer of its own, ``SHARES`` of them at each."""
    draw = random.Random(2)
    layers = [*exits_of(depth), depth]
    below = len(layers) - 1
    shares = [*SHARES[:below], sum(SHARES[below:])]
    table = {number + 5: draw.choices(layers, shares)[0] for number in range(WORDS)}
    return policies.AssignedDepth(depth, table)


def seq2seq(
    shape: str, small: bool, device: torch.device, dtype: torch.dtype
) -> ExitModelForSeq2SeqLM:
    """A generator of T5's or BART's shape, which writes as many tokens as it is told."""
    torch.manual_seed(0)
    size = "small" if small else "base"
    network: Any = _t5(*T5[size]) if shape == "t5-base" else _bart(*BART[size])
    for told in (network.config, network.generation_config):
        told.eos_token_id = told.forced_eos_token_id = told.forced_bos_token_id = None
    network = network.to(device=device, dtype=dtype).eval()
    layers = network.config.num_hidden_layers
    return ExitModelForSeq2SeqLM.from_transformers(
        network, None, exit_layers=exits_of(layers)
    ).eval()


def _t5(vocabulary: int, width: int, layers: int, heads: int, inner: int) -> Any:
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocabulary,
            d_model=width,
            d_kv=width // heads,
            d_ff=inner,
            num_layers=layers,
            num_heads=heads,
            decoder_start_token_id=0,
            pad_token_id=0,
        )
    )


def _bart(vocabulary: int, width: int, layers: int, heads: int, inner: int) -> Any:
    sizes = {"encoder_ffn_dim": inner, "decoder_ffn_dim": inner, "d_model": width}
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=vocabulary,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=heads,
            decoder_attention_heads=heads,
            decoder_start_token_id=2,
            pad_token_id=1,
            **sizes,
        )
    )


def sources(count: int, length: int, vocabulary: int, seed: int = 1) -> list[list[int]]:
    """Sources of one length."""
    draw = random.Random(seed)
    return [[draw.randrange(5, vocabulary) for _ in range(length)] for _ in range(count)]


def policy_of(ours: str, depth: int) -> Policy:
    """Who halts, by the name of what is measured."""
    if ours == "never":
        return policies.Never()
    if ours == "exits":
        return leaving(depth)
    if ours == "third":
        return policies.AssignedDepth(max(1, depth // 3))
    return policies.RandomExit(RATE)
