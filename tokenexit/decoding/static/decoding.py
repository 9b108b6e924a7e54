"""Decoding whose steps are planned on the device."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from tokenexit.decoding.outcome import Step
from tokenexit.decoding.static import upwards
from tokenexit.decoding.static.climb import climb
from tokenexit.decoding.static.greedy import greedy
from tokenexit.decoding.static.segment import check
from tokenexit.decoding.static.sequences import StaticSequences
from tokenexit.decoding.static.sizes import width_for
from tokenexit.errors import UserError
from tokenexit.policies import Policy
from tokenexit.static.buckets import power


class StaticDecoding(StaticSequences):
    """As ``Decoding``, of a decoder whose steps are planned on the device."""

    _greedy = staticmethod(greedy)

    def _step(self, token_ids: Tensor, policy: Policy, live: Tensor | None) -> Step:
        wanted = self._wanted(token_ids, live)
        asked = self.asked(policy)
        self.prepare(token_ids, live)
        layers = climb(self, asked, wanted)
        logits = self.room.logits[: self._num_rows].clone()
        if not wanted.all():
            logits.masked_fill_(~self.room.live[: self._num_rows, None], 0.0)
        return Step(logits, torch.from_numpy(layers))

    def _verify(self, token_ids: Tensor) -> Tensor:
        if self.pending != "parallel":
            raise UserError(
                "verify takes pending tokens through the layers they skipped: start with "
                'pending="parallel".'
            )
        self._wanted(token_ids, None)
        self.prepare(token_ids, None)
        missing = self.steps + 1 - self.filled
        new, count = int(missing[-1].max()), power(int(missing.max()))
        width, room, rows = width_for(self.length + 1), self.room, self._num_rows
        upwards.ready(self, 1, self.network.layers)
        work = partial(check, self.network, room, width, count)
        try:
            self.run(("check", width, count), work)
        except Exception:
            self.undo()
            raise
        upwards.checked(self)
        self.stepped()
        places = (room.place[:rows, None] - room.numbers[:new].flip(0)).clamp_min(0)
        seen = room.states[torch.arange(rows, device=places.device)[:, None], places]
        return self.exits.score(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
