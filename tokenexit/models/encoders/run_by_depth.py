"""Texts through a network in batches of like depth: who goes on waits at an exit for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.decoding.by_depth import FullBatches
from tokenexit.decoding.by_depth.kept import Kept
from tokenexit.errors import UserError
from tokenexit.halting import LayerWork, PolicyVisitor, Work, add_work, encode, pack
from tokenexit.halting.packing import Index, PackedBatch
from tokenexit.halting.stretch import Stretch
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.exit_encoder import ExitEncoder
from tokenexit.models.progress import counting_up
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.scores import log_probabilities


class ByDepth:
    """Texts on their way.

    The layers between two exits are a segment; ``FullBatches`` says which one is computed next.

    Args:
        model: A text classifier.
        backbone: Its network, from ``for_inference``.
        windows: One a text.
        policy: Who halts.
        batch_size: Texts a batch.
    """

    def __init__(
        self,
        model: ExitEncoder,
        backbone: Backbone,
        windows: Sequence[TextWindow],
        policy: Policy,
        batch_size: int,
    ) -> None:
        self._backbone, self._heads, self._classes = backbone, model.inference_heads, model.labels
        self._windows, self._policy = windows, policy
        self._device, heads = model.device, model.heads
        asked = () if isinstance(policy, Never) else heads.layers
        self._bounds = (0, *asked, backbone.num_layers)
        segments = len(self._bounds) - 1
        self._schedule = FullBatches(segments, batch_size)
        slots = (segments + 1) * batch_size
        self._free, self._text = list(range(slots)), np.zeros(slots, dtype=np.int64)
        self._states: dict[int, Tensor] = {}
        self._beside = [Kept(slots) for _ in range(segments)]
        self._coming = iter(range(len(windows)))
        self.work: Work = tuple(LayerWork() for _ in range(backbone.num_layers))
        self._left: list[tuple[Index, Tensor, Tensor]] = []

    def run(self, tick: Callable[[int], object]) -> tuple[Tensor, Tensor]:
        """Scores of all texts and the layers at which they left, ``[N, C]`` and ``[N]``.

        Args:
            tick: Is told how many texts have left.
        """
        while self._admit():
            tick(self._round())
        text, logits, layers = zip(*self._left, strict=True)
        order = torch.from_numpy(np.concatenate(text).argsort()).to(self._device)
        return torch.cat(logits)[order], torch.cat(layers)[order]

    def _admit(self) -> bool:
        """Let new texts in before the first segment, unless a batch waits somewhere."""
        while not self._schedule.full and (number := next(self._coming, None)) is not None:
            slot = self._free.pop()
            self._text[slot] = number
            self._schedule.wait(0, [slot])
        return len(self._schedule) > 0

    def _round(self) -> int:
        """Compute a segment for a batch; how many of it left."""
        planned = self._schedule.next()
        rows, segment = np.array(planned.rows), planned.segment
        batch = pack([self._windows[n].sentence for n in self._text[rows]], self._device)
        slots = rows[batch.order]
        stretch = Stretch(self._bounds[segment + 1], self._bounds[segment])
        state = None
        if segment:
            stretch.hidden = torch.cat([self._states.pop(slot) for slot in slots.tolist()])
            beside = self._beside[segment].take(torch.from_numpy(slots).to(self._device))
            state, stretch.previous, stretch.past = beside  # type: ignore[misc]
        visitor = PolicyVisitor(self._policy, len(rows), self._device, state=state)
        given = self._backbone, self._heads, batch, visitor
        done = encode(*given, classes=self._classes, stretch=stretch)
        self.work = add_work(self.work, done)
        return self._part(segment, slots, batch, visitor, stretch)

    def _part(
        self, segment: int, slots: Index, batch: PackedBatch, visitor: PolicyVisitor, on: Stretch
    ) -> int:
        """Keep what goes on, note what left."""
        assert on.staying is not None
        assert on.hidden is not None
        going = slots[on.staying]
        if len(going):
            states = on.hidden.split(batch.lengths[on.staying].tolist())
            self._states.update(zip(going.tolist(), states, strict=True))
            at = torch.from_numpy(going).to(self._device)
            self._beside[segment + 1].put(at, (visitor.state, on.previous, on.past))
            self._schedule.wait(segment + 1, going.tolist())
        gone = np.delete(slots, on.staying)
        if len(gone):
            decided = visitor.decisions()
            self._left.append((self._text[gone], decided.logits, decided.exit_layers))
            self._free.extend(gone.tolist())
        return len(gone)


def run_by_depth(
    model: ExitEncoder,
    backbone: Backbone,
    windows: Sequence[TextWindow],
    policy: Policy,
    batch_size: int,
) -> tuple[dict[str, np.ndarray], Work]:
    """Columns of a trace of texts, in their order, and the work done; see ``run.run``."""
    texts, regression = ByDepth(model, backbone, windows, policy, batch_size), bool(model.scale)
    with counting_up(len(windows), "texts") as tick:
        logits, layers = texts.run(tick)
    scores = logits.float() if regression else log_probabilities(logits)
    gold = [-100 if one.sentence.targets is None else one.sentence.targets[0] for one in windows]
    columns = {
        "text": np.array([window.text for window in windows]),
        "position": np.zeros(len(windows), dtype=np.int64),
        "exit_layer": layers.cpu().numpy(),
        "log_probs": scores.cpu().numpy(),
        "gold": np.array(gold, dtype=np.float32 if regression else np.int64),
    }
    return columns, texts.work


def check_by_depth(model: ExitEncoder) -> None:
    """Refuse what is not computed in such batches.

    Raises:
        UserError: Says what.
    """
    if model.runtime == "static":
        raise UserError(
            'Batches that are made anew between exits are planned on the host, not by "static": '
            'use model.use(runtime="eager"), or model.use_batching("fixed").'
        )
    if model.reducer is not None:
        raise UserError(
            "Texts that go on with others keep all their rows, and the model has a reducer: take "
            'it away, model.use_reducer(None), or use model.use_batching("fixed").'
        )
