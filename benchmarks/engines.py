"""Engines as ``parts.py`` sees them: what to run, and which functions belong to which part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from clock import Clock, Now
from torch import Tensor

from tokenexit import kernels
from tokenexit.backbones import Inference
from tokenexit.halting import PolicyVisitor
from tokenexit.halting.compiled.steps import run_visitor
from tokenexit.halting.flat import lay
from tokenexit.halting.rows import LiveRows
from tokenexit.kernels.signatures import signatures
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.run import run
from tokenexit.models.generation.generate_texts import encode_texts, pad_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.signals import Signals

WHOLE_BATCH = "kernel encoder_run"
FUNCTIONS = {
    "looking whether the model changed": [(Inference, "get")],
    "packing": [
        ("tokenexit.models.encoders.run", "pack"),
        ("tokenexit.models.encoders.run_compiled", "lay"),
    ],
    "attention": [("tokenexit.halting.engine", "attend")],
    "plan": [(LiveRows, "plan")],
    "decision": [(PolicyVisitor, "arrive")],
    "trace": [
        ("tokenexit.models.encoders.run", "_trace"),
        ("tokenexit.models.encoders.run", "columns_of"),
        ("tokenexit.models.encoders.run_compiled", "_place"),
        ("tokenexit.models.encoders.run_compiled", "_answered"),
    ],
}
"""Functions of Python by part; a module by its name."""

BACKBONE = {"embed": "embedding", "queries": "products", "keys_values": "products"}
BACKBONE |= {"combine": "products", "classify": "heads"}
DECODER = {"encode": "source encoder", "embed": "embedding", "vocabulary": "vocabulary"}
DECODER |= dict.fromkeys(
    ("self_projections", "self_query", "self_keys_values", "after_self", "cross_query",
     "cross_keys_values", "after_cross", "feed_forward"), "products",
)  # fmt: skip
STEPS = {
    "encoder_enter": "  embedding, layout",
    "encoder_step": "  layers",
    "encoder_seen": "  heads",
    "encoder_score": "  heads",
    "encoder_retire": "  plan",
}
"""What one call for a whole batch does, step by step."""


class Engine(ABC):
    """A model with the texts it is timed on.

    Attributes:
        texts: How many.
        batch_size: How many at once.
    """

    texts: int
    batch_size: int

    @abstractmethod
    def run(self, policy: Policy) -> Any:
        """One pass over all texts."""

    def watch(self, clock: Clock) -> None:
        """Charge every function to its part."""
        for part, functions in FUNCTIONS.items():
            for owner, name in functions:
                clock.watch(import_module(owner) if isinstance(owner, str) else owner, name, part)
        library = kernels.library()
        for name in () if library is None else signatures():
            clock.watch(library, name, f"kernel {name}")

    def steps(
        self, policy: Policy, repeats: int, found: dict[str, float], now: Now
    ) -> dict[str, float]:
        """What a whole batch in one call is made of, if there was such a call."""
        return {}


class Tagger(Engine):
    """A tagger or classifier."""

    def __init__(self, model: EncoderModel, texts: Sequence[Any], batch_size: int) -> None:
        self._model, self.batch_size = model, batch_size
        self._pieces = [
            piece
            for piece in model.encoder.encode(texts)
            # Of texts in pieces some words are computed twice and told once.
            if piece.keep == (0, len(piece.sentence.word_rows))
        ]
        self.texts = len(self._pieces)

    def run(self, policy: Policy) -> Any:
        """Batch by batch, as a program that gets its texts one batch at a time."""
        size = self.batch_size
        for start in range(0, self.texts, size):
            run(self._model, self._pieces[start : start + size], policy, batch_size=size)

    def watch(self, clock: Clock) -> None:
        """With the pieces of the network, where torch runs them."""
        super().watch(clock)
        for name, part in BACKBONE.items():
            clock.watch(type(self._model.inference_backbone), name, part)

    @torch.inference_mode()
    def steps(
        self, policy: Policy, repeats: int, found: dict[str, float], now: Now
    ) -> dict[str, float]:
        """The same layers with the same exits, one call each."""
        backbone, heads = self._model.inference_backbone, self._model.inference_heads
        compiled = self._model.compiled(backbone)
        if compiled is None or WHOLE_BATCH not in found:
            return {}
        parts = [
            self._pieces[i : i + self.batch_size] for i in range(0, self.texts, self.batch_size)
        ]
        laid = [lay([piece.sentence for piece in part]) for part in parts]
        exits = [
            torch.from_numpy(run(self._model, part, policy, batch_size=len(part)).exit_layer)
            for part in parts
        ]
        asks = not isinstance(policy, Never)
        clock = Clock(now)
        try:
            for name, part in STEPS.items():
                clock.watch(compiled.library, name, part)
            told: dict[str, float] = {}
            for _ in range(repeats + 1):
                with clock.running():
                    for texts, layers in zip(laid, exits, strict=True):
                        again = _Again(layers, asks)
                        run_visitor(compiled, backbone, heads, texts, again)
                spent = {part: clock.seconds[part] for part in dict.fromkeys(STEPS.values())}
                if not told or sum(spent.values()) < sum(told.values()):
                    told = spent
        finally:
            clock.stop()
        return {**told, "  decision, and what else": found[WHOLE_BATCH] - sum(told.values())}


class _Again:
    """A visitor that lets each word leave where it left before."""

    def __init__(self, layers: Tensor, asks: bool) -> None:
        self._layers, self._asks = layers, asks

    def arrive(self, signals: Signals, words: Tensor) -> Tensor:
        if self._asks:
            assert signals.logits is not None
        return self._layers[words] == signals.layer

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Nothing is kept."""


class Writer(Engine):
    """A generator."""

    def __init__(self, model: ExitModelForSeq2SeqLM, texts: Sequence[str], batch_size: int) -> None:
        self._model, self.batch_size = model, batch_size
        self._ids = encode_texts(model, texts)
        self.texts = len(self._ids)
        self._most = int(model.settings.generation.get("max_new_tokens", 128))

    def run(self, policy: Policy) -> Any:
        """Batch by batch, greedy."""
        for start in range(0, self.texts, self.batch_size):
            inputs = pad_sources(self._model, self._ids[start : start + self.batch_size])
            self._model.generate(**inputs, policy=policy, max_new_tokens=self._most)  # type: ignore[arg-type]

    def watch(self, clock: Clock) -> None:
        """With the pieces of the network, where torch runs them."""
        super().watch(clock)
        for name, part in DECODER.items():
            clock.watch(type(self._model.inference_decoder), name, part)


def engine_of(model: Any, split: Any, limit: int, batch_size: int) -> Engine:
    """The engine of a model, with the first texts of a split."""
    if isinstance(model, ExitModelForSeq2SeqLM):
        return Writer(model, split.sources[:limit], batch_size)
    network = model if isinstance(model, EncoderModel) else model.stages[-1]
    return Tagger(network, split.tokens[:limit], batch_size)
