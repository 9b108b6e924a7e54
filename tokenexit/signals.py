"""What a policy may see of the rows that are still computing, at one layer.

Shapes are written with these letters everywhere in the package: ``N`` rows (words when
tagging, sentences when classifying, sequences at a decoding step), ``H`` the width of the
network, ``C`` classes, ``S`` sequences of the batch, ``L`` layers, ``T`` token rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tokenexit.errors import UserError


@dataclass(frozen=True, eq=False)
class Signals:
    """The rows that arrived at one exit, in order of ``(sequence, position)``.

    ``logits``, ``gate`` and ``previous_hidden`` are computed when a policy first reads them
    and never otherwise: a vocabulary head can cost more than several layers.

    Attributes:
        layer: Depth just computed, counted from 1.
        num_layers: Depth of the whole network.
        hidden: States as the exit heads see them, ``[N, H]``.
        sequence: Which sequence of the batch each row belongs to, ``[N]``, long.
        position: Place of each row in its sequence, from 0, ``[N]``, long.
        item_id: Vocabulary id of each row's (first) token, ``[N]``, long.
        num_sequences: Number of sequences in the batch (a bound on ``sequence``).
        extent: Length of the longest sequence in rows (a bound on ``position``).
        classes: Names of the classes, where they have names.
        step: Decoding step of each row from 0, ``[N]``, long; None outside decoding.
        num_steps: Largest number of steps of this generation, for schedules over time; None
            outside decoding or where nobody knows.
        target: Gold class of each row, ``[N]``, long, -100 where unknown; None at
            inference. For training and analysis only.
        head: Computes ``[N, C]`` logits from ``hidden``, and from ``past`` where there is one.
        shortlist_head: Computes logits ``[N, K]`` of chosen classes ``[N, K]`` from ``hidden``;
            None where scoring a few costs no less than scoring all.
        candidates: The only classes that ``logits`` is about, ``[N, K]``, long; all when None.
        context: Judges these rows by a context gate, from what they remember: how likely each is
            wrong, ``[N]``, and what they remember now; None if none was fitted.
        last_depths: Share of the layers that the last tokens of each row's text took, ``[N, K]``,
            the newest first, 0 where there are none; None where no context gate looks at them.
        last_doubts: How likely wrong the context gate last took each of them to be, ``[N, K]``.
        gate_head: Computes the learned gate ``[N]`` from these signals; None if not trained.
        depth_head: Computes log-probabilities of the depth needed, ``[N, L]``, from ``hidden``;
            None if not trained.
        previous: Fetches the same rows' states at the exit before; None at the first exit.
        past: The same rows' states at all exits before, ``[N, E, H]``, the first first; None
            where no head reads them.
        first: The same rows as the top's head would see them, ``[N, H]``: their first tokens;
            None where ``hidden`` is that, or nobody asks.
        exit_head: The head as a module, below the top of an encoder, for objectives that train
            more of it than its logits.
        labelled: Tells which rows have a gold class, ``[K]``, without asking the device; None
            where only the device knows.
        gone: Which rows have halted and are shown for their places alone, ``[N]`` bool: they
            count as sure, and what is decided of them has no effect. None where all rows are
            still there, as everywhere but in training on a GPU.
    """

    layer: int
    num_layers: int
    hidden: Tensor
    sequence: Tensor
    position: Tensor
    item_id: Tensor
    num_sequences: int
    extent: int
    head: Callable[..., Tensor]
    classes: tuple[str, ...] = ()
    step: Tensor | None = None
    target: Tensor | None = None
    gate_head: Callable[[Signals], Tensor] | None = None
    previous: Callable[[], Tensor] | None = None
    num_steps: int | None = None
    shortlist_head: Callable[[Tensor, Tensor], Tensor] | None = None
    candidates: Tensor | None = None
    depth_head: Callable[[Tensor], Tensor] | None = None
    past: Tensor | None = None
    first: Tensor | None = None
    exit_head: Any = None
    context: Callable[[Signals, Any], tuple[Tensor, Any]] | None = None
    last_depths: Tensor | None = None
    last_doubts: Tensor | None = None
    labelled: Callable[[], Tensor] | None = None
    gone: Tensor | None = None

    def __len__(self) -> int:
        return int(self.hidden.shape[0])

    @cached_property
    def logits(self) -> Tensor:
        """Class scores of this exit's head, ``[N, C]``, or ``[N, K]`` of the candidates."""
        if self.candidates is None:
            return self._score(self.hidden, self.past)
        assert self.shortlist_head is not None
        return self.shortlist_head(self.hidden, self.candidates)

    @cached_property
    def known(self) -> Tensor:
        """Rows with a gold class, ``[K]`` long, in order; for training alone."""
        if self.labelled is not None:
            return self.labelled()
        assert self.target is not None
        return (self.target != -100).nonzero().squeeze(-1)

    @property
    def for_top(self) -> Tensor:
        """States as the top's head reads them, ``[N, H]``."""
        return self.hidden if self.first is None else self.first

    @cached_property
    def gate(self) -> Tensor:
        """The learned gate, ``[N]``: of BERxiT, the probability that this exit is *wrong*.

        Raises:
            UserError: The model was trained without a gate.
        """
        if self.gate_head is None:
            raise UserError(
                "This policy reads the learned gate, and the model has none: train it with "
                "heads.gate=true, or choose a policy that reads the exit's own confidence."
            )
        return self.gate_head(self)

    @cached_property
    def depth(self) -> Tensor:
        """Predicted log-probability of each layer to be the first that suffices, ``[N, L]``.

        Raises:
            UserError: The model was trained without such a head.
        """
        if self.depth_head is None:
            raise UserError(
                "This policy reads a predicted depth, and the model has no head for it: train a "
                "text generator with depth=true, or choose a policy that reads the exit's own "
                "confidence."
            )
        return self.depth_head(self.hidden)

    @cached_property
    def previous_hidden(self) -> Tensor | None:
        """The same rows' states at the exit before, ``[N, H]``; None at the first exit."""
        return None if self.previous is None else self.previous()

    def logits_of(self, rows: Tensor) -> Tensor:
        """Class scores of some rows, ``[K, C]``; computed for these only, unless all are known."""
        known = self.__dict__.get("logits")
        if known is not None:
            return known[rows]
        return self._score(self.hidden[rows], None if self.past is None else self.past[rows])

    def _score(self, hidden: Tensor, past: Tensor | None) -> Tensor:
        return self.head(hidden) if past is None else self.head(hidden, past)

    def select(self, rows: Tensor) -> Signals:
        """The same signals for some rows only.

        Args:
            rows: Row numbers or a boolean mask, ``[K]`` or ``[N]``.
        """
        part = replace(
            self,
            hidden=self.hidden[rows],
            sequence=self.sequence[rows],
            position=self.position[rows],
            item_id=self.item_id[rows],
            step=None if self.step is None else self.step[rows],
            target=None if self.target is None else self.target[rows],
            previous=None if self.previous is None else lambda: self.previous_rows(rows),
            candidates=None if self.candidates is None else self.candidates[rows],
            past=None if self.past is None else self.past[rows],
            first=None if self.first is None else self.first[rows],
            last_depths=None if self.last_depths is None else self.last_depths[rows],
            last_doubts=None if self.last_doubts is None else self.last_doubts[rows],
            labelled=None,
            gone=None if self.gone is None else self.gone[rows],
        )
        for name in ("logits", "gate", "depth", "previous_hidden"):
            value = self.__dict__.get(name)
            if value is not None:
                part.__dict__[name] = value[rows]
        return part

    def detached(self) -> Signals:
        """The same signals without gradients: what learns from them leaves the network alone."""
        part = replace(
            self,
            hidden=self.hidden.detach(),
            previous=None if self.previous is None else self._previous_detached,
            past=None if self.past is None else self.past.detach(),
        )
        if "logits" in self.__dict__:
            part.__dict__["logits"] = self.logits.detach()
        return part

    def apart(self) -> Signals:
        """The name of before for ``detached``."""
        warnings.warn("Signals.apart is called detached now.", DeprecationWarning, stacklevel=2)
        return self.detached()

    def _previous_detached(self) -> Tensor:
        assert self.previous_hidden is not None
        return self.previous_hidden.detach()

    def previous_rows(self, rows: Tensor) -> Tensor:
        """States at the exit before of some rows, ``[K, H]``."""
        assert self.previous_hidden is not None
        return self.previous_hidden[rows]

    def none(self) -> Tensor:
        """A decision that lets nobody out, ``[N]`` bool."""
        return torch.zeros(len(self), dtype=torch.bool, device=self.hidden.device)
