"""Where rows may leave the decoder, and what is known of them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypedDict

from torch import Tensor, nn

from tokenexit.context import ContextGate
from tokenexit.decoders import Decoder
from tokenexit.decoding.outcome import Rows
from tokenexit.decoding.trail import Trail, last_tokens
from tokenexit.decoding.work import DecodeWork
from tokenexit.errors import UserError
from tokenexit.gates import LinearGate
from tokenexit.policies import Policy
from tokenexit.policies.base import walk, works_for
from tokenexit.signals import Signals


def check_generator_policy(policy: Policy) -> None:
    """Refuse policies that have no meaning for generated tokens.

    Raises:
        UserError: Names the part and what it works for.
    """
    for part in walk(policy):
        if "token" not in part.units:
            raise UserError(f"{part!r} has no meaning for generated tokens: {works_for(part)}.")
        if part.needs_target:
            raise UserError(f"{part!r} looks at gold labels; it serves analysis only.")


class Heads(TypedDict):
    """The heads of one exit, by their names in ``Signals``."""

    head: Callable[[Tensor], Tensor]
    shortlist_head: Callable[[Tensor, Tensor], Tensor]
    gate_head: Callable[[Signals], Tensor] | None
    depth_head: Callable[[Tensor], Tensor] | None
    context: Callable[[Signals, Any], tuple[Tensor, Any]] | None


class Exits:
    """Exits that share the model's own final norm and vocabulary head.

    Args:
        decoder: The network.
        layers: Exit layers from 1, the top excluded.
        gate: Learned gate, or None; it sees finished states.
        depth: Predicts the depth needed, ``[N, H] -> [N, L]``, or None; as the gate.
        context: Context gate, or None; as the gate.
    """

    def __init__(
        self,
        decoder: Decoder,
        layers: Sequence[int],
        gate: LinearGate | None = None,
        depth: nn.Module | None = None,
        context: ContextGate | None = None,
    ) -> None:
        self._decoder = decoder
        self._vocabulary_size = decoder.vocab_size
        self.layers = tuple(layers)
        self.gate, self.depth, self.context = gate, depth, context

    def score(self, hidden: Tensor) -> Tensor:
        """Vocabulary logits of states, ``[N, H] -> [N, V]``."""
        return self._decoder.vocabulary(self._decoder.finish(hidden))

    def heads(self, layer: int, work: DecodeWork, trail: Trail | None = None) -> Heads:
        """The heads of one exit as ``Signals`` wants them; whatever they score is counted.

        Args:
            layer: From 1.
            work: Where it is counted.
            trail: Where it is noted what a context gate says; None where none looks back.
        """
        return {
            "head": partial(self._vocabulary, layer, work),
            "shortlist_head": partial(self._shortlist, layer, work),
            "gate_head": None if self.gate is None else partial(self._wrong, layer, work),
            "depth_head": None if self.depth is None else partial(self._needed, layer, work),
            "context": None if self.context is None else partial(self._judged, layer, work, trail),
        }

    def signals(
        self,
        rows: Rows,
        layer: int,
        hidden: Tensor,
        work: DecodeWork,
        trail: Trail | None = None,
        **more: Any,
    ) -> Signals:
        """What policies see of the sequences that arrived at an exit.

        Args:
            rows: The sequences.
            layer: The exit, from 1.
            hidden: Their states, ``[N, H]``.
            work: See ``heads``.
            trail: What became of their last tokens; None where none looks back.
            more: What else ``Signals`` takes.
        """
        heads, last = self.heads(layer, work, trail), last_tokens(trail, rows.sequence)
        return rows.signals(layer, self._decoder.num_layers, hidden, **heads, **last, **more)

    def _vocabulary(self, layer: int, work: DecodeWork, hidden: Tensor) -> Tensor:
        size = self._vocabulary_size
        work.scored(layer - 1, len(hidden) * size, size)
        return self.score(hidden)

    def _shortlist(self, layer: int, work: DecodeWork, hidden: Tensor, ids: Tensor) -> Tensor:
        work.scored(layer - 1, ids.numel(), ids.numel())
        return self._decoder.vocabulary(self._decoder.finish(hidden), ids)

    def _wrong(self, layer: int, work: DecodeWork, signals: Signals) -> Tensor:
        assert self.gate is not None
        work.gated(layer - 1, len(signals))
        # It learns apart from the network.
        return self.gate.score(self._decoder.finish(signals.hidden).detach())

    def _needed(self, layer: int, work: DecodeWork, hidden: Tensor) -> Tensor:
        depth: Any = self.depth
        work.gated(layer - 1, len(hidden) * self._decoder.num_layers)
        return depth(self._decoder.finish(hidden).detach())

    def _judged(
        self, layer: int, work: DecodeWork, trail: Trail | None, signals: Signals, memory: Any
    ) -> tuple[Tensor, Any]:
        assert self.context is not None
        work.judged(layer - 1, len(signals) * self.context.macs)
        finished = self._decoder.finish(signals.hidden).detach()
        return judge(self.context, signals, finished, memory, trail)


def judge(
    gate: ContextGate, signals: Signals, finished: Tensor, memory: Any, trail: Trail | None = None
) -> tuple[Tensor, Any]:
    """Show a context gate finished states, and logits only if it asks for them.

    Args:
        gate: Judges the rows.
        signals: The rows that arrived.
        finished: Their states as the vocabulary reads them, ``[N, H]``.
        memory: What they remember of the exit before.
        trail: Where it is noted what the gate says.

    Returns:
        How likely each is wrong, ``[N]``, and what they remember now.

    Raises:
        UserError: It looks at the last tokens, and nobody keeps them: all are taught at once.
    """
    if trail is None and gate.config.steps:
        raise UserError(
            "This context gate looks at what became of the last tokens, and where whole targets "
            "are taught at once nothing has yet: train with another policy, or fit a gate without "
            "last_depths and last_doubts."
        )
    shown = replace(
        signals,
        hidden=finished,
        head=lambda _: signals.logits,
        shortlist_head=lambda _, __: signals.logits,
    )
    wrong, memory = gate.step(shown, memory)
    if trail is not None:
        trail.note(signals.sequence, wrong)
    return wrong, memory
