"""Text generators under the clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.calibration.clock.counts import (
    ASK,
    LEFT,
    Counts,
    asked_at,
    effective,
    joined,
    kind_of,
)
from tokenexit.calibration.clock.timed import Timed, repeated, sizes, spread
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.generate_texts import encode_texts, pad_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy

PROBED = {"max_new_tokens": 12, "min_new_tokens": None, "min_length": None}
"""Settings under which costs are learned: what a step costs is soon known."""

Batch = list[list[int]]
"""Token ids of each source."""

Layers = list[list[int]]
"""Exit layer of each token of each text."""


class TimedGenerator(Timed):
    """A generator, with the settings that it generates with.

    Args:
        model: The generator.
        texts: Sources.
        batch_size: Sources a batch.
    """

    def __init__(self, model: ExitModelForSeq2SeqLM, texts: Sequence[str], batch_size: int) -> None:
        self.model, self.batch_size = model, batch_size
        self.exit_layers = model.settings.exit_layers
        self.num_layers = model.decoder.num_layers
        self.device = model.device
        self.ids = encode_texts(model, texts)
        self._settings: dict[str, Any] = {
            **model.settings.generation,
            "return_dict_in_generate": True,
        }
        self._beams = int(self._settings.get("num_beams") or 1)
        cost = model.decoder.cost()
        self._share = cost.key_value / (cost.query + cost.key_value + cost.combine)
        if model.settings.pending in ("parallel", "verify"):
            self._share = 1.0  # tokens that skipped a layer go through it after all

    def batches(self) -> list[Batch]:
        """All sources, in their order."""
        step = self.batch_size
        return [self.ids[n : n + step] for n in range(0, len(self.ids), step)]

    def probes(self) -> list[list[Batch]]:
        """Sources as they are, from one to a batch of them."""
        lengths, found = list(map(len, self.ids)), []
        for size in sizes(self.batch_size):
            places = spread(lengths, size * repeated(size))
            ids = [self.ids[place] for place in places]
            found.append([ids[n : n + size] for n in range(0, len(ids), size)])
        return found

    def run(self, batches: Sequence[Batch], policy: Policy) -> list[Generated]:
        """Write texts."""
        return [self._generate(batch, policy, self._settings) for batch in batches]

    def probe(self, batches: Sequence[Batch], policy: Policy) -> list[Generated]:
        """Write a few tokens of each."""
        settings = {k: v for k, v in self._settings.items() if k != "max_length"}
        most = min(int(settings.get("max_new_tokens") or 128), int(PROBED["max_new_tokens"] or 1))
        settings = {**settings, **PROBED, "max_new_tokens": most}
        return [self._generate(batch, policy, settings) for batch in batches]

    def _generate(self, batch: Batch, policy: Policy, settings: dict[str, Any]) -> Generated:
        found = self.model.generate(**pad_sources(self.model, batch), policy=policy, **settings)
        assert isinstance(found, Generated)
        return found

    def tokens(self, batch: Batch) -> int:
        """Tokens of the sources."""
        return sum(map(len, batch))

    def exits(self, done: list[Generated]) -> Layers:
        """Of each token of each text."""
        copies = max(int(self._settings.get("num_return_sequences") or 1), 1)
        rows = [row for one in done for row in one.exit_layers[::copies].cpu().tolist()]
        return [[layer for layer in row if layer] for row in rows]

    def scores(self, done: list[Generated]) -> bool:
        """Whether the vocabulary was scored for more tokens than left."""
        return any(self._scored_more(one) for one in done)

    def _scored_more(self, done: Generated) -> bool:
        scored = done.work.of("head")[:-1] / self.model.decoder.vocab_size
        left = np.bincount(done.exit_layers.cpu().numpy().ravel(), minlength=self.num_layers + 1)
        return bool((scored > self._beams * left[1:-1]).any())

    def counts(self, batches: Sequence[Batch], policy: Policy, exits: Layers) -> Counts:
        """See ``Timed``."""
        parts, start = [], 0
        for batch in batches:
            parts.append(self._counts(batch, policy, exits[start : start + len(batch)]))
            start += len(batch)
        return joined(parts)

    def _counts(self, batch: Batch, policy: Policy, exits: Layers) -> Counts:
        asked, kind = asked_at(policy, self.exit_layers[:-1]), kind_of(policy)
        steps = max(map(len, exits), default=0)
        depth = np.zeros((len(exits), steps), dtype=np.int64)  # 0 after the end of a text
        for row, layers in enumerate(exits):
            depth[row, : len(layers)] = layers
        found: dict[str, list[NDArray[np.float64]]] = {
            "source": [np.array([len(batch) * max(map(len, batch))], dtype=float)],
            "step": [(depth > 0).sum(axis=0).astype(float)],
        }
        for layer in range(1, self.num_layers + 1):
            here = depth >= layer
            asking, leaving = here.sum(axis=0), (depth == layer).sum(axis=0)
            rows = effective(asking, _made(here), self._share)
            found.setdefault("layer", []).append(rows[asking > 0])
            if layer in asked:
                found.setdefault(f"{ASK}{kind}", []).append(asking[asking > 0].astype(float))
            name = f"{LEFT}{kind}" if layer in asked else "head"
            found.setdefault(name, []).append(leaving[leaving > 0].astype(float))
            stays = (leaving > 0) & (leaving < asking)
            found.setdefault("split", []).append((asking - leaving)[stays].astype(float))
        return {name: np.concatenate(each) * self._beams for name, each in found.items()}


def _made(here: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Keys and values that one layer makes in each step: also of tokens that skipped it.

    Args:
        here: Which texts' tokens reach the layer, ``[N, T]``.

    Returns:
        ``[T]``.
    """
    steps = np.arange(here.shape[1])
    last = np.maximum.accumulate(np.where(here, steps, -1), axis=1)
    before = np.concatenate([np.full((len(here), 1), -1), last[:, :-1]], axis=1)
    return np.where(here, steps - before, 0).sum(axis=0)
