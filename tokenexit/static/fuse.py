"""Plans and decisions compiled to fewer kernels, where torch has a compiler that works."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tokenexit.halting import Halted
from tokenexit.policies.rule import Rule
from tokenexit.static.buckets import Shape
from tokenexit.static.joined import Form, arrange, settle
from tokenexit.static.plan import Place, Plan
from tokenexit.static.room import ASKING, READ, Room

logger = logging.getLogger(__name__)


class Fuse:
    """Compiles ``joined``, once for all shapes; until it is asked nothing is compiled.

    Where that fails, as for want of a compiler, it is told once, and whoever asks is told to use
    operators: ``plan`` gives None and ``leave`` False.
    """

    def __init__(self) -> None:
        self.works = True
        self._made: dict[Any, Callable[..., Any]] = {}

    def plan(self, room: Room, shape: Shape) -> Plan | None:
        """What ``plan`` gives, with all that it would compute when asked."""
        given = room.left, room.upto, room.before, room.slot, room.numbers
        found = self._run(arrange, *shape, *given, room.positions, room.row_sentence)
        if found is None:
            return None
        words, asking, read, asking_at, asking_cell, asking_grid, *of_read, mask = found
        places = []
        for kind, listed, known, width in (
            (ASKING, asking, (asking_at, asking_cell, asking_grid), shape.queries),
            (READ, read, of_read, shape.keys),
        ):
            place = Place(room, kind, listed, listed, shape.sentences, width)
            place.__dict__.update(zip(("at", "cell", "grid"), known, strict=True))
            places.append(place)
        made = Plan(words, *places)
        made.__dict__["mask"] = mask
        return made

    def leave(
        self,
        room: Room,
        rule: Rule,
        halted: Halted,
        words: Tensor,
        number: Tensor,
        limit: Tensor,
        segment: int,
    ) -> bool:
        """Let words leave and count who is left, as ``halting`` and ``mark`` do.

        Args:
            room: The memory.
            rule: Who halts.
            halted: What halted rows still give to the others.
            words: That arrived, ``[N]``.
            number: Of each, ``[N]``.
            limit: Threshold of each, ``[N]`` or ``[1]``.
            segment: The one that comes next.
        """
        reach = -1 if rule.pool == "sentence" else rule.window // 2
        form = Form(rule.low, rule.patience, reach, halted == "copy")
        done = self._run(
            settle,
            form,
            *(number, limit, words, room.times_sure, room.left, room.upto, room.before),
            *(room.slot, room.counts.counted[segment], room.row_sentence, room.row_word),
            *(room.word_sentence, room.word_bounds, room.row_bounds),
        )
        return done is not None

    def _run(self, function: Callable[..., Any], *given: Any) -> Any:
        """What a compiled function gives, True for nothing; None where it cannot be compiled."""
        if not self.works:
            return None
        if function not in self._made:
            try:
                made = torch.compile(function, dynamic=True, fullgraph=True)
            except (RuntimeError, ImportError) as error:
                return self._stop(error)
            self._made[function] = made
        from torch._dynamo.exc import TorchDynamoException  # takes a second, and is there by now

        try:
            found = self._made[function](*given)
        except (TorchDynamoException, ImportError) as error:  # of compiling, not of what runs
            return self._stop(error)
        return True if found is None else found

    def _stop(self, error: Exception) -> None:
        """Compile nothing any more, and say why."""
        self.works = False
        self._made.clear()
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        logger.warning(
            'runtime="static" plans by single operators: torch.compile does not work here (%s). '
            "Results are the same.",
            reason,
        )
