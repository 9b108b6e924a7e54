"""Who is told when rows arrive at an exit, and says which of them halt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tokenexit.policies import Policy, State, index_state
from tokenexit.signals import Signals


class Visitor(Protocol):
    """Decides at each exit. Inference asks a policy; training computes losses as well."""

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Rows arrive.

        Args:
            signals: What may be seen of them.
            words: Their numbers in the batch, ``[N]``.

        Returns:
            Who halts, ``[N]`` bool, or None for nobody. Not looked at on the top layer.
        """
        ...

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """The decision of the last ``arrive`` has been carried out.

        Args:
            halted: Places, among the rows that arrived, of those that left.
            staying: Places of those that go on.
        """
        ...


@dataclass(frozen=True, eq=False)
class Decisions:
    """Where each word of a batch left, and what was predicted there.

    Attributes:
        logits: Class scores of each word at its exit, ``[W, C]``.
        exit_layers: Layer of each word's exit, ``[W]``, long.
    """

    logits: Tensor
    exit_layers: Tensor


class PolicyVisitor:
    """Runs a policy over one batch and collects each word's scores where it left.

    Args:
        policy: Who halts.
        num_words: Words in the batch, ``W``.
        device: Where the batch is computed.
        score: Scores words that leave; the exit's own head unless told otherwise
            (``restore`` scores frozen states with the top head).
        state: What the policy remembers of the words from exits before; its own start when None.

    Attributes:
        state: The same of those that have not left.
    """

    def __init__(
        self,
        policy: Policy,
        num_words: int,
        device: torch.device | str,
        score: Callable[[Signals], Tensor] | None = None,
        state: State = None,
    ) -> None:
        self._policy = policy
        self._score = score
        self.state: State = policy.init(num_words, device) if state is None else state
        self._arrived: tuple[Signals, Tensor] | None = None
        self._words: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._layers: list[tuple[int, int]] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Ask the policy; at the top everybody leaves without being asked."""
        self._arrived = (signals, words)
        if signals.layer == signals.num_layers:
            return None
        halt, self.state = self._policy.step(signals, self.state)
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Note the scores of those that left, keep the state of those that stay."""
        assert self._arrived is not None
        signals, words = self._arrived
        everybody = len(halted) == len(words)
        self._words.append(words if everybody else words[halted])
        if self._score is not None:
            self._logits.append(self._score(signals if everybody else signals.select(halted)))
        else:
            self._logits.append(signals.logits if everybody else signals.logits_of(halted))
        self._layers.append((signals.layer, len(halted)))
        self.state = None if everybody else index_state(self.state, staying)

    def decisions(self) -> Decisions:
        """Everything collected, in the order of words; no classes where there was no word."""
        if not self._words:
            return Decisions(torch.zeros(0, 0), torch.zeros(0, dtype=torch.long))
        layers = torch.cat([torch.full((count,), layer) for layer, count in self._layers])
        words, logits = torch.cat(self._words), torch.cat(self._logits)
        order = words.argsort()
        return Decisions(logits=logits[order], exit_layers=layers.to(words.device)[order])
