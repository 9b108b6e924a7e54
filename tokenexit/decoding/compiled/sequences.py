"""Sequences whose layers, vocabulary and rules run in kernels: what they hold and how they move."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.cache import CompiledCache
from tokenexit.decoding.compiled.model import CompiledDecoder
from tokenexit.decoding.compiled.rule import CompiledRule, rule_for
from tokenexit.decoding.compiled.source import CompiledSource
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.layer import PENDING
from tokenexit.decoding.sequences import DecodingSettings, Sequences
from tokenexit.decoding.work import FIELDS, DecodeWork
from tokenexit.errors import UserError
from tokenexit.policies import Policy

Rows = NDArray[np.int32]


class CompiledSequences(Sequences):
    """Memory of sequences, and what kernels are told about it.

    Args:
        model: The decoder.
        exits: Where rows may leave, and what they are scored with there.
        memory: As of ``Decoding``.
        mask: As there.
        settings: How they are written.
    """

    def __init__(
        self,
        model: CompiledDecoder,
        exits: Exits,
        memory: Tensor,
        mask: Tensor | None,
        settings: DecodingSettings,
    ) -> None:
        rows = len(memory)
        super().__init__(model.decoder, exits, settings, rows)
        self.model, self._kernels = model, model.kernels
        self.states = CompiledCache(model, rows, settings.max_steps)
        self.memory = CompiledSource(model, memory, mask)
        self._counts = np.zeros((model.decoder.num_layers, len(FIELDS)), dtype=np.int64)
        self._work.source_lengths = self.memory.lengths.tolist()
        self._from: Rows = np.arange(rows, dtype=np.int32)  # source of each sequence
        self._live_rows: Rows = self._from
        self._rules: tuple[Policy, CompiledRule | None] | None = None
        self._batch = structs.Batch(
            model=model.address,
            cache=structs.address(self.states.struct),
            source=structs.address(self.memory.struct),
            origin=structs.address(self._from),
        )
        self.batch = self.states.batch = structs.address(self._batch)
        self._step_struct = structs.Step(
            pending=PENDING.index(settings.pending), work=structs.address(self._counts)
        )

    def __del__(self) -> None:
        if hasattr(self, "memory"):
            self.states.give_back()
            self.memory.give_back()

    @property
    def length(self) -> int:
        """Steps taken."""
        return self.states.length

    @property
    def counts(self) -> NDArray[np.int64]:
        """What kernels have counted, as ``DecodeWork.counts``."""
        return self._counts

    @property
    def work(self) -> DecodeWork:
        """What has been computed so far."""
        self._work.take(self._counts)
        return self._work

    # --- steps -----------------------------------------------------------------------------

    def step_struct(
        self, rule: CompiledRule, words: Tensor, layers: Tensor | None, logits: Tensor | None
    ) -> structs.Step:
        """What a kernel is asked for."""
        step = self._step_struct
        step.rule = rule.struct
        step.words, step.layers = words.data_ptr(), structs.address(layers)
        step.logits = structs.address(logits)
        self.point_trail()
        return step

    def point_trail(self, steps: int = 1) -> None:
        """Tell kernels where they find and note what a gate remembers, for so many steps more."""
        if self.trail is None:
            return
        self.trail.prepare(self.length + steps)
        step = self._step_struct
        step.depths, step.doubts = map(structs.address, (self.trail.depths, self.trail.doubts))
        step.trail_width, step.trail_reach = self.trail.depths.shape[1], self.trail.reach

    def told(self, told: int) -> None:
        """What a kernel has to say of a step: 1 if all is well."""
        if told == 1:
            return
        if told == 2:
            raise UserError(
                f"A token is not one of the {self.model.struct.num_words} of the vocabulary, "
                "counted from 0."
            )
        raise RuntimeError("The cache has no room for another step.")

    def rule_of(self, policy: Policy) -> CompiledRule | None:
        """The policy for kernels, if it states a rule."""
        if self._rules is None or self._rules[0] is not policy:
            self._rules = policy, rule_for(self.model, self.exits, policy, self.max_steps)
        return self._rules[1]

    def going(self, token_ids: Tensor, live: Tensor | None) -> Rows:
        """The sequences that take this step."""
        wanted = self._wanted(token_ids, live)
        if live is not None and len(self._live_rows) != int(wanted.sum()):
            gone = self._live_rows[~wanted[self._live_rows]]
            self.states.drop(gone)
            self._live_rows = np.flatnonzero(wanted).astype(np.int32)
        return self._live_rows

    def ended(self, going: Rows) -> None:
        """Only some sequences go on; what the others had is given back."""
        self._ended[:] = True
        self._ended[going] = False
        self.states.drop(np.setdiff1d(self._live_rows, going))
        self._live_rows = going

    def forget(self, length: int) -> None:
        """Undo the steps from ``length`` on; the tokens before must have reached the top."""
        self.states.shrink(length)

    # --- sequences -------------------------------------------------------------------------

    def _replace(self, chosen: Any) -> None:
        rows = chosen.astype(np.int32)
        self.states.keep(rows, self.pending == "parallel")
        self._num_rows, self._ended = len(rows), self._ended[rows]
        self._from = self._from[rows]
        self._batch.origin = structs.address(self._from)
        self._live_rows = np.flatnonzero(~self._ended).astype(np.int32)
