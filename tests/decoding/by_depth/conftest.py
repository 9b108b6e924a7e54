"""Corpora of sources, and what rows that wait for others write from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tokenexit.models.generation.by_depth import corpus_by_depth

LENGTHS = (9, 4, 7, 2, 3, 5, 8, 1, 6, 4, 10, 2, 7)


@pytest.fixture(scope="session")
def corpus(make_sources: Any) -> Any:
    """Thirteen sources of unlike lengths."""
    return make_sources(LENGTHS, seed=11)


@pytest.fixture(scope="session")
def one_by_one(ends: Any) -> Callable[..., list[tuple[list[int], list[int]]]]:
    """Tokens and exit layers of each text, as ``generate`` writes them in one batch."""

    def call(model: Any, sources: Any, policy: Any, **settings: Any) -> Any:
        found = model.generate(
            **sources.inputs, policy=policy, return_dict_in_generate=True, num_beams=1, **settings
        )
        prompt = found.sequences.shape[1] - found.exit_layers.shape[1]
        texts = []
        for tokens, layers in zip(found.sequences[:, prompt:], found.exit_layers, strict=True):
            kept = layers > 0
            texts.append((tokens[kept].tolist(), layers[kept].tolist()))
        return texts

    return call


@pytest.fixture(scope="session")
def by_depth() -> Callable[..., Any]:
    """The same written by depth, and the corpus that was written."""

    def call(
        model: Any, sources: Any, policy: Any, *, pending: str = "lazy", **settings: Any
    ) -> Any:
        rows = zip(sources.input_ids, sources.mask, strict=True)
        ids = [row[mask.bool()].tolist() for row, mask in rows]
        settings = {"batch_size": 3, "num_beams": 1, **settings}
        found = corpus_by_depth(model, iter(ids), policy, pending=pending, **settings)
        assert found is not None
        corpus, lanes = found
        texts = list(corpus)
        assert [text.number for text in texts] == list(range(len(ids)))
        assert not torch.is_inference_mode_enabled()
        return [(text.tokens, text.exit_layers) for text in texts], corpus, lanes

    return call
