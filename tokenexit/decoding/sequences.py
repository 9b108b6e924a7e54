"""Sequences being generated: what people who write their own decoders call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.border import ordinary
from tokenexit.decoding.cache import Index
from tokenexit.decoding.exits import Exits, check_generator_policy
from tokenexit.decoding.layer import PENDING, Pending
from tokenexit.decoding.outcome import Step
from tokenexit.decoding.trail import Trail
from tokenexit.decoding.work import DecodeWork
from tokenexit.errors import UserError, unknown_name
from tokenexit.policies import Policy, PolicyLike, from_config


@dataclass(frozen=True, eq=False)
class DecodingSettings:
    """How sequences are written.

    Args:
        policy: Who halts.
        pending: What tokens that left early give to later ones.
        max_steps: Steps that will be taken at most; schedules over time need it.

    Raises:
        UserError: There is no such rule, or the policy has no meaning for generators.
    """

    policy: Policy
    pending: Pending = "lazy"
    max_steps: int | None = None

    def __post_init__(self) -> None:
        if self.pending not in PENDING:
            raise unknown_name("rule for pending tokens", self.pending, PENDING)
        check_generator_policy(self.policy)


class Sequences(ABC):
    """Sequences being generated, one token at a time.

    They are ``R`` rows, at first one a source; ``fork`` makes several of each, ``reorder``
    replaces rows by others. Subclasses compute the layers.

    Args:
        decoder: The network.
        exits: Where rows may leave, and what they are scored with there.
        settings: How they are written.
        rows: Sources.
    """

    uneven = False
    """Whether each sequence may undo steps of its own."""

    _greedy: ClassVar[Callable[..., tuple[Tensor, list[Tensor]] | None] | None] = None
    """Carries out ``greedy``, if anything does."""

    def __init__(
        self, decoder: Decoder, exits: Exits, settings: DecodingSettings, rows: int
    ) -> None:
        self.decoder, self.exits, self.policy = decoder, exits, settings.policy
        self.pending: Pending = settings.pending
        self.max_steps = settings.max_steps
        self._num_rows = rows
        self._ended = np.zeros(rows, dtype=bool)
        self._work = DecodeWork(decoder.num_layers)
        self.trail = Trail.of(exits.context, rows, decoder.num_layers)
        """What a context gate remembers of the tokens so far; None where it does not."""

    @property
    def num_rows(self) -> int:
        """Sequences, ``R``."""
        return self._num_rows

    @property
    def work(self) -> DecodeWork:
        """What has been computed so far."""
        return self._work

    @property
    @abstractmethod
    def length(self) -> int:
        """Steps taken."""

    # --- steps -----------------------------------------------------------------------------

    def step(
        self,
        token_ids: Tensor,
        *,
        policy: PolicyLike | None = None,
        live: Tensor | None = None,
    ) -> Step:
        """Read one token of every sequence and score the next.

        Args:
            token_ids: ``[R]``, long.
            policy: Who halts in this step; the decoding's own policy when None.
            live: Sequences that go on, ``[R]`` bool; all when None. One that is left out once
                has ended and must be left out from then on.

        Raises:
            UserError: A wrong number of tokens, a sequence that had ended is live, more tokens
                than the model has places for, or a policy that has no meaning here.
        """
        with torch.inference_mode():
            step = self._step(token_ids, self._chosen(policy), live)
        return Step(ordinary(step.logits), ordinary(step.exit_layers))

    def _chosen(self, policy: PolicyLike | None) -> Policy:
        if policy is None:
            return self.policy
        chosen = from_config(policy)
        check_generator_policy(chosen)
        return chosen

    @abstractmethod
    def _step(self, token_ids: Tensor, policy: Policy, live: Tensor | None) -> Step: ...

    def verify(self, token_ids: Tensor) -> Tensor:
        """Read one token of every sequence at full depth, together with all pending ones.

        For ``pending="parallel"``, where pending tokens go the way they skipped.

        Args:
            token_ids: ``[R]``, long.

        Returns:
            Logits after each token that was not at the top before, the newest last,
            ``[R, n, V]``; all sequences have as many.
        """
        with torch.inference_mode():
            logits = self._verify(token_ids)
        return ordinary(logits)

    @abstractmethod
    def _verify(self, token_ids: Tensor) -> Tensor: ...

    def greedy(
        self, prompt: Tensor, process: Any, stopping: Any, pad: Tensor | None
    ) -> tuple[Tensor, list[Tensor]] | None:
        """What ``search`` finds, where it can be found without a look at every step; else None.

        Args:
            prompt: ``[R, n]``; all but the last token have been read.
            process: transformers' list of processors.
            stopping: When rows end.
            pad: What rows write after their end.
        """
        if self._greedy is None:
            return None
        with torch.inference_mode():
            return self._greedy(self, prompt, process, stopping, pad)

    @abstractmethod
    def forget(self, length: int) -> None:
        """Undo the steps from ``length`` on; the tokens before must have reached the top."""

    def forget_each(self, lengths: Index) -> None:
        """The same from a length of its own on, ``[R]``; only where they are ``uneven``."""
        raise UserError("Sequences of this decoding are all equally long.")

    def check_length(self) -> None:
        """Refuse another step where the model has no place for it.

        Raises:
            UserError: Says how to stay within the model's length.
        """
        most = self.decoder.max_length
        if most is not None and self.length >= most:
            raise UserError(
                f"The model has places for {most} tokens, and a text would become longer: set "
                f"max_new_tokens, or max_length to {most} at most."
            )

    # --- sequences -------------------------------------------------------------------------

    @torch.inference_mode()
    def reorder(self, index: Tensor) -> None:
        """Replace every sequence by another, as beam search does.

        Args:
            index: Which sequence each one becomes a copy of, ``[R]``, long.
        """
        self._chosen_rows(self._checked(index))

    @torch.inference_mode()
    def fork(self, count: int) -> None:
        """Make ``count`` copies of every sequence, side by side: ``R`` becomes ``R * count``."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UserError(f"fork makes 1 or more sequences of each, not {count!r}.")
        self._chosen_rows(np.repeat(np.arange(self._num_rows), count))

    def _chosen_rows(self, chosen: Index) -> None:
        self._replace(chosen)
        if self.trail is not None:
            self.trail.keep(chosen)

    def _checked(self, index: Tensor) -> Index:
        chosen = torch.as_tensor(index).cpu().numpy()
        whole = chosen.ndim == 1 and chosen.dtype.kind in "iu"
        if not whole or ((chosen < 0) | (chosen >= self._num_rows)).any():
            raise UserError(
                f"reorder takes a list of sequences from 0 to {self._num_rows - 1}, not {index!r}."
            )
        return chosen.astype(np.int64)

    @abstractmethod
    def _replace(self, chosen: Index) -> None: ...

    def _wanted(self, token_ids: Tensor, live: Tensor | None) -> np.ndarray:
        """The sequences that take this step, ``[R]`` bool; the others have ended."""
        for name, given in (("token_ids", token_ids), ("live", live)):
            if given is not None and tuple(given.shape) != (self._num_rows,):
                raise UserError(
                    f"There are {self._num_rows} sequences, so step takes {name} of shape "
                    f"[{self._num_rows}], not {list(given.shape)}."
                )
        wanted = ~self._ended if live is None else live.cpu().numpy().astype(bool)
        if live is None and self._ended.any():
            raise UserError("Some sequences have ended: say with live which ones go on.")
        if (wanted & self._ended).any() or not wanted.any():
            raise UserError("A sequence that has ended cannot take another step.")
        self._ended |= ~wanted
        return wanted
