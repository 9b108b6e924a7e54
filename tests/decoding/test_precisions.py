"""Generating in few bits, in every family: what holds of float32 holds here."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import kernels, policies
from tokenexit.decoders import DECODERS
from tokenexit.decoding.compiled import CompiledDecoding

FAMILIES = [name for name, _ in DECODERS.items()]
GREEDY: dict[str, Any] = {"max_new_tokens": 8, "return_dict_in_generate": True}
MARGIN = policies.Margin(0.3)


@pytest.fixture(scope="module", params=[f"{name}-int8" for name in FAMILIES] + ["t5-bf16"])
def low(request: pytest.FixtureRequest, build: Any) -> Any:
    """Products by torch's operators: those of kernels have tests of their own."""
    family, precision = request.param.split("-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "library", lambda: None)
        model = copy.deepcopy(build(family, dtype=torch.float32))
        yield model.use(precision=precision)


def test_torch_decodes(low: Any, sources: Any) -> None:
    assert not isinstance(low.start(**sources.inputs), CompiledDecoding)


def test_pending_tokens_are_copied_now_or_later(low: Any, sources: Any) -> None:
    lazy, eager = (
        low.generate(**sources.inputs, policy=MARGIN, pending=pending, **GREEDY)
        for pending in ("lazy", "eager")
    )
    assert len(lazy.exit_layers.unique()) > 1
    assert torch.equal(lazy.sequences, eager.sequences)
    assert torch.equal(lazy.exit_layers, eager.exit_layers)


def test_no_source_depends_on_others(low: Any, sources: Any) -> None:
    together = low.generate(**sources.inputs, policy=MARGIN, **GREEDY)
    for row in range(len(sources.mask)):
        alone = low.generate(**sources.alone(row).inputs, policy=MARGIN, **GREEDY)
        length = alone.exit_layers.shape[1]
        assert torch.equal(alone.sequences[0], together.sequences[row, : length + 1])
        assert torch.equal(alone.exit_layers[0], together.exit_layers[row, :length])


def test_a_shortlist_scores_as_the_vocabulary_does(low: Any) -> None:
    decoder = low.inference_decoder
    rows = torch.randn(5, decoder.hidden_size)
    ids = torch.randint(decoder.vocab_size, (5, 3))
    with torch.inference_mode():
        whole = decoder.vocabulary(rows).gather(-1, ids)
        assert_close(decoder.vocabulary(rows, ids), whole, atol=2e-2, rtol=2e-2)


def test_beams_and_verifying_run(low: Any, sources: Any) -> None:
    full = low.generate(**sources.inputs, policy="never", **GREEDY)
    verified = low.generate(**sources.inputs, policy=MARGIN, pending="verify", **GREEDY)
    assert torch.equal(verified.sequences, full.sequences)
    assert low.generate(**sources.inputs, policy=MARGIN, num_beams=3, **GREEDY).exit_layers.any()
