"""A tagger of three narrow layers, and sentences it can learn: the first letter is the class."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from tokenexit.halting import Sentence
from tokenexit.models.fresh.encoder import fresh_encoder, train_tokenizer
from tokenexit.models.words.token_classification import ExitModelForTokenClassification

# The longer words fall into several sub-words.
WORDS = ("ax", "ay", "az", "aw", "bx", "by", "bzwx", "bw", "cx", "cyz", "cz", "cwxyz")
LABELS = ("A", "B", "C")


@lru_cache
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of the words' first two letters."""
    return train_tokenizer([[word[:2] for word in WORDS]] * 3, vocab_size=100)


def tiny_tagger(
    *,
    seed: int = 0,
    layers: int = 3,
    dropout: float = 0.0,
    sharp: float = 1.0,
    gate: bool | dict[str, Any] = False,
    head: str = "linear",
    exit_layers: tuple[int, ...] | None = None,
    double: bool = False,
    scorers: dict[str, Any] | None = None,
    selectors: dict[str, Any] | None = None,
) -> ExitModelForTokenClassification:
    """A fresh tagger.

    Args:
        seed: Of its weights.
        layers: Depth.
        dropout: In the network and in the heads.
        sharp: Factor on the weights of the heads; above 1, some words are surer than others.
        gate: Whether it has a learned gate, or which.
        head: Kind of exit heads.
        exit_layers: Layers with an exit; all when None.
        double: Whether to compute in float64, where sums agree in whatever order.
        scorers: Settings of its scorers of rows, if it has any.
        selectors: Settings of its selectors of heads and neurons, likewise.
    """
    torch.manual_seed(seed)
    shape = {"num_hidden_layers": layers, "hidden_size": 16, "intermediate_size": 24}
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    network = fresh_encoder(
        {
            "model_type": "bert",
            "num_attention_heads": 2,
            "max_position_embeddings": 40,
            "initializer_range": 0.2,
            **shape,
            **drops,
        },
        tiny_tokenizer(),
        len(LABELS),
    )
    beside = {"gate": gate, "scorers": scorers, "selectors": selectors}
    model = ExitModelForTokenClassification.from_transformers(
        network,
        tiny_tokenizer(),
        LABELS,
        exit_layers=exit_layers,
        heads={"name": head, "dropout": dropout, **beside},
    )
    with torch.no_grad():
        for part in (*model.heads.exits.values(), model.backbone.final_head()):
            for weight in part.parameters():
                weight.mul_(sharp)
    return model.double() if double else model


def tiny_sentences(
    model: ExitModelForTokenClassification, count: int, *, seed: int = 0, unlabelled: float = 0.0
) -> list[Sentence]:
    """Random sentences of one to seven words.

    Args:
        model: Whose tokenizer reads them.
        count: How many.
        seed: Of the draw.
        unlabelled: Share of words without a gold class; the first of a sentence has one.
    """
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 8, (count,), generator=random).tolist()
    drawn = [torch.randint(len(WORDS), (n,), generator=random).tolist() for n in lengths]
    texts = [[WORDS[i] for i in chosen] for chosen in drawn]
    gold = [[LABELS.index(word[0].upper()) for word in words] for words in texts]
    for targets in gold:
        for place, lot in enumerate(torch.rand(len(targets), generator=random).tolist()):
            if place and lot < unlabelled:
                targets[place] = -100
    return [piece.sentence for piece in model.encoder.encode(texts, gold)]
