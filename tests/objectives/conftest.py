"""One batch under an objective, as the loop runs it, and the same from the plain model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit.halting import Sentence
from tokenexit.objectives import Objective, from_config
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.encoder_loss import EncoderLossModule

Gradients = dict[str, Tensor | None]


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """The toy tagger of the training tests, by path: tests are no package."""
    path = Path(__file__).parent.parent / "training" / "toy.py"
    spec = importlib.util.spec_from_file_location("toy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Taught:
    """What one batch gave."""

    loss: Tensor
    by_layer: dict[int, tuple[Tensor, Tensor]]
    gradients: Gradients

    def reached(self, part: str) -> bool:
        """Whether any weight whose name contains ``part`` got a gradient other than zero."""
        found = [g for name, g in self.gradients.items() if part in name]
        assert found, f"no weight is called {part}"
        return any(g is not None and bool(g.any()) for g in found)


def gradients_of(model: Any, loss: Tensor) -> Gradients:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name: None if weight.grad is None else weight.grad.clone()
        for name, weight in model.named_parameters()
    }


@pytest.fixture(scope="session")
def gradients() -> Callable[[Any, Tensor], Gradients]:
    """Gradients of a loss by the name of the weight, None where it has none."""
    return gradients_of


@pytest.fixture(scope="session")
def teach() -> Callable[..., Taught]:
    """Run one batch under an objective and go back through it."""

    def run(
        model: Any,
        objective: Objective | dict[str, Any] | str,
        sentences: list[Sentence],
        *,
        step: int = 0,
        progress: float = 0.9,
        seed: int = 0,
        places: list[int] | None = None,
        equilibrium: bool = False,
    ) -> Taught:
        if not isinstance(objective, Objective):
            objective = from_config(objective)
        words = sum(labelled_words(sentence) for sentence in sentences)
        part = MicroBatch(sentences, places or list(range(len(sentences))), words)
        model.train()
        losses = EncoderLossModule(model, objective, equilibrium)(part, step, progress, seed)
        return Taught(losses.total, losses.by_layer, gradients_of(model, losses.total))

    return run


@pytest.fixture(scope="session")
def plain_logits() -> Callable[..., dict[int, Tensor]]:
    """Logits of every exit from the plain transformers model, one sentence at a time."""

    def run(model: Any, sentences: list[Sentence]) -> dict[int, Tensor]:
        top = model.backbone.num_layers
        rows: dict[int, list[Tensor]] = {layer: [] for layer in model.settings.exit_layers}
        for sentence in sentences:
            ids = torch.tensor([list(sentence.input_ids)])
            out = model.network(ids, output_hidden_states=True)
            first = [word[0] for word in sentence.word_rows]
            for layer, found in rows.items():
                states = out.hidden_states[layer][0, first]
                found.append(
                    out.logits[0, first] if layer == top else model.heads.at(layer)(states)
                )
        return {layer: torch.cat(found) for layer, found in rows.items()}

    return run


@pytest.fixture(scope="session")
def targets_of() -> Callable[[list[Sentence]], Tensor]:
    """Gold classes of all words, in the order of ``plain_logits``."""

    def run(sentences: list[Sentence]) -> Tensor:
        return torch.tensor([target for s in sentences for target in s.targets or ()])

    return run


@pytest.fixture(scope="session")
def summed_loss() -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy summed over labelled words, written out."""

    def run(logits: Tensor, targets: Tensor) -> Tensor:
        known = targets != -100
        chosen = logits[known].log_softmax(dim=-1).gather(1, targets[known][:, None])
        return -chosen.sum()

    return run


@pytest.fixture(scope="session")
def agree() -> Callable[[Gradients, Gradients], None]:
    """Assert that two sets of gradients are equal; none at all is as good as zero."""

    def check(first: Gradients, second: Gradients, tolerance: float = 1e-5) -> None:
        assert first.keys() == second.keys()
        for name, value in first.items():
            other = second[name]
            left = torch.zeros(()) if value is None else value
            right = torch.zeros(()) if other is None else other
            gap = float((left - right).abs().max())
            assert gap <= tolerance, f"{name} differs by {gap}"

    return check
