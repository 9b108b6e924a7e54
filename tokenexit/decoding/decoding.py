"""Decoding step by step, for people who write their own decoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.block import Block
from tokenexit.decoding.border import ordinary
from tokenexit.decoding.cache import DecoderCache, Index
from tokenexit.decoding.exits import Exits, check_policy
from tokenexit.decoding.layer import PENDING, Pending, propagate, run_layer
from tokenexit.decoding.outcome import Outcome, Rows, Step
from tokenexit.decoding.source import Source
from tokenexit.decoding.work import DecodeWork
from tokenexit.errors import UserError, unknown_name
from tokenexit.policies import Policy, from_config, index_state
from tokenexit.policies.never import Never
from tokenexit.signals import Signals

PolicyLike = Policy | Mapping[str, Any] | str


class Decoding:
    """Sequences being generated, one token at a time.

    Made by ``ExitModelForSeq2SeqLM.start``. The sequences are ``R`` rows, at first one a source;
    ``fork`` makes several of each, ``reorder`` replaces rows by others.

    Args:
        decoder: The network.
        exits: Where rows may leave, and what they are scored with there.
        memory: Encoder states, ``[B, S, H]``.
        mask: 1 for real source tokens, ``[B, S]``, or None.
        policy: Who halts.
        pending: What tokens that left early give to later ones.
        max_steps: Steps that will be taken at most; schedules over time need it.
    """

    def __init__(
        self,
        decoder: Decoder,
        exits: Exits,
        memory: Tensor,
        mask: Tensor | None,
        policy: Policy,
        *,
        pending: Pending = "lazy",
        max_steps: int | None = None,
    ) -> None:
        if pending not in PENDING:
            raise unknown_name("rule for pending tokens", pending, PENDING)
        check_policy(policy)
        self.decoder, self.exits, self.policy = decoder, exits, policy
        self.pending: Pending = pending
        self.max_steps = max_steps
        self.source = Source(decoder, memory, mask)
        self.cache = DecoderCache(decoder, len(memory), memory.device)
        self.work = DecodeWork(decoder.num_layers, source_lengths=self.source.lengths.tolist())
        # Rows that have ended may leave the storage: which row lies at each place there.
        self._resident: Index = np.arange(len(memory))
        self._origin: Index = np.arange(len(memory))
        self._lanes = 1
        self._num_rows = len(memory)
        self._ended = np.zeros(len(memory), dtype=bool)

    @property
    def num_rows(self) -> int:
        """Sequences, ``R``."""
        return self._num_rows

    @property
    def length(self) -> int:
        """Steps taken."""
        return self.cache.length

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
            step = self._step(token_ids, policy, live)
        return Step(ordinary(step.logits), ordinary(step.exit_layers))

    def _step(self, token_ids: Tensor, policy: PolicyLike | None, live: Tensor | None) -> Step:
        chosen = self.policy
        if policy is not None:
            chosen = from_config(policy)
            check_policy(chosen)
        rows = self._live(token_ids, live)
        self._grow()
        places = np.full(len(rows), self.length - 1)
        mine = self._resident[rows]
        whole = len(mine) == self._num_rows and bool((mine[1:] > mine[:-1]).all())
        tokens = token_ids.contiguous() if whole else token_ids[_tensor(mine, token_ids.device)]
        block = self._block(rows, places)
        at = torch.full((len(rows),), self.length - 1, device=tokens.device)
        try:
            return self._climb(block, self.decoder.embed(tokens, at), tokens, chosen)
        except Exception:
            self.cache.shrink(self.length - 1)  # whoever tries again finds no half a token
            raise

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

    def _verify(self, token_ids: Tensor) -> Tensor:
        rows = self._live(token_ids, None)
        self._grow()
        places = np.full(len(rows), self.length - 1)
        newest = block = self._block(rows, places)
        at = torch.full((len(rows),), self.length - 1, device=token_ids.device)
        hidden, bias = self.decoder.embed(token_ids, at), block.bias_of(self.decoder)
        for index in range(self.decoder.num_layers):
            block, hidden, bias = self._joined(index, newest, block, hidden, bias)
            hidden = run_layer(
                self.decoder, index, hidden, block, self.cache, self.source, bias, self.work
            )
        head = self.exits.heads(self.decoder.num_layers, self.work)["head"]
        return head(hidden).unflatten(0, (len(rows), -1))

    def forget(self, length: int) -> None:
        """Undo the steps from ``length`` on; the tokens before must have reached the top."""
        self.cache.shrink(length)

    def _grow(self) -> None:
        most = self.decoder.max_length
        if most is not None and self.length >= most:
            raise UserError(
                f"The model has places for {most} tokens, and a text would become longer: set "
                f"max_new_tokens, or max_length to {most} at most."
            )
        self.cache.grow()

    def _climb(self, block: Block, hidden: Tensor, tokens: Tensor, policy: Policy) -> Step:
        """Up the layers, until everybody has left."""
        outcome = Outcome(self._num_rows, self._resident)
        state = policy.init(len(tokens), tokens.device)
        newest, bias = block, block.bias_of(self.decoder)
        exits = () if isinstance(policy, Never) else self.exits.layers
        rows = Rows.of(tokens, self.length - 1)
        previous: Callable[[], Tensor] | None = None
        for layer in range(1, self.decoder.num_layers + 1):
            if self.pending == "parallel":
                block, hidden, bias = self._joined(layer - 1, newest, block, hidden, bias)
            hidden = run_layer(
                self.decoder, layer - 1, hidden, block, self.cache, self.source, bias, self.work
            )
            top = layer == self.decoder.num_layers
            if not top and layer not in exits:
                continue
            # Of several tokens of a sequence the newest asks to leave.
            seen = hidden if block is newest else hidden[block.last]
            signals = self._signals(layer, seen, rows, previous)
            if top:
                outcome.add(newest.rows, layer, signals.logits)
                self._leave(layer, block, hidden)
                break
            halt, state = policy.step(signals, state)
            gone = halt.cpu().numpy()  # the one transfer
            if not gone.any():
                previous = partial(_same, seen)
                continue
            if gone.all():
                outcome.add(newest.rows, layer, signals.logits)
                self._leave(layer, block, hidden)
                break
            left, stay = (_tensor(np.flatnonzero(m), halt.device) for m in (gone, ~gone))
            outcome.add(newest.rows[gone], layer, signals.logits_of(left))
            mine = np.isin(block.rows, newest.rows[gone])
            self._leave(layer, self._part(block, mine), hidden[_tensor(mine, halt.device)])
            hidden = hidden[_tensor(~mine, halt.device)]
            whole, block = block is newest, self._part(block, ~mine)
            newest = block if whole else self._part(newest, ~gone)
            if not whole:  # else the newest tokens all stand at one place, as before
                bias = block.bias_of(self.decoder)
            rows, state = rows.take(stay), index_state(state, stay)
            previous = partial(torch.index_select, seen, 0, stay)
        return outcome.step()

    def _signals(
        self, layer: int, seen: Tensor, rows: Rows, previous: Callable[[], Tensor] | None
    ) -> Signals:
        return Signals(
            layer=layer,
            num_layers=self.decoder.num_layers,
            hidden=seen,
            sequence=rows.sequence,
            position=rows.position,
            item_id=rows.item_id,
            num_sequences=rows.count,
            extent=1,
            step=rows.step,
            num_steps=self.max_steps,
            previous=previous,
            **self.exits.heads(layer, self.work),
        )

    def _leave(self, layer: int, block: Block, hidden: Tensor) -> None:
        """Tokens go no further; what later tokens need of them is kept."""
        if layer == self.decoder.num_layers:
            return
        self.cache.leave(block.where, hidden)
        if self.pending == "eager":
            propagate(self.decoder, layer, hidden, block.where, block.rows, self.cache, self.work)

    def _joined(
        self, index: int, newest: Block, block: Block, hidden: Tensor, bias: Tensor | None
    ) -> tuple[Block, Tensor, Tensor | None]:
        """The block with all pending tokens that have to go through the next layer with it."""
        filled = self.cache.filled[index][newest.rows]
        counts = newest.places - filled + 1
        if int(counts.sum()) == len(block):
            return block, hidden, bias
        rows = np.repeat(newest.rows, counts)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts - filled, counts)
        self.cache.leave(block.where, hidden)
        wider = self._block(rows, places)
        return wider, self.cache.states(self.cache.flat(rows, places)), wider.bias_of(self.decoder)

    def _block(self, rows: Index, places: Index) -> Block:
        return Block(rows, places, self.cache, self._origin, self._lanes)

    def _part(self, block: Block, mask: np.ndarray) -> Block:
        return self._block(block.rows[mask], block.places[mask])

    # --- sequences -------------------------------------------------------------------------

    @torch.inference_mode()
    def reorder(self, index: Tensor) -> None:
        """Replace every sequence by another, as beam search does.

        Args:
            index: Which sequence each one becomes a copy of, ``[R]``, long.
        """
        self._replace(self._checked(index))

    @torch.inference_mode()
    def fork(self, count: int) -> None:
        """Make ``count`` copies of every sequence, side by side: ``R`` becomes ``R * count``."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UserError(f"fork makes 1 or more sequences of each, not {count!r}.")
        self._replace(np.repeat(np.arange(self._num_rows), count))

    def _checked(self, index: Tensor) -> Index:
        chosen = torch.as_tensor(index).cpu().numpy()
        whole = chosen.ndim == 1 and chosen.dtype.kind in "iu"
        if not whole or ((chosen < 0) | (chosen >= self._num_rows)).any():
            raise UserError(
                f"reorder takes a list of sequences from 0 to {self._num_rows - 1}, not {index!r}."
            )
        return chosen.astype(np.int64)

    def _replace(self, chosen: Index) -> None:
        place = np.full(self._num_rows, -1)
        place[self._resident] = np.arange(len(self._resident))
        stored = place[chosen]
        self._num_rows, self._ended = len(chosen), self._ended[chosen]
        self._store(stored[stored >= 0], np.flatnonzero(stored >= 0))

    def _store(self, kept: Index, resident: Index) -> None:
        """Keep, repeat or reorder what is stored, and say which sequences that is."""
        same = len(kept) == len(self.cache) and bool((kept == np.arange(len(kept))).all())
        if not same:
            self.cache.keep(_tensor(kept, self.cache.device))
        self._resident = resident
        self._origin = self._origin[kept]
        order = np.unique(self._origin)
        if len(order) < len(self.source):
            self.source.keep(_tensor(order, self.cache.device))
            self._origin = np.searchsorted(order, self._origin)
        self._sort_by_source()
        lanes = len(kept) // max(len(self.source), 1)
        even = np.repeat(np.arange(len(self.source)), lanes)
        self._lanes = lanes if np.array_equal(even, self._origin) else 0

    def _sort_by_source(self) -> None:
        """Rows of one source lie together; copies across sources are put in order."""
        if (np.diff(self._origin) >= 0).all():
            return
        order = np.argsort(self._origin, kind="stable")
        self.cache.keep(_tensor(order, self.cache.device))
        self._origin, self._resident = self._origin[order], self._resident[order]

    def _live(self, token_ids: Tensor, live: Tensor | None) -> Index:
        """Stored places of the sequences that take this step."""
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
        going = np.flatnonzero(wanted[self._resident])
        if 2 * len(going) <= len(self._resident):
            self._store(going, self._resident[going])
            going = np.arange(len(going))
        return going


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values).to(device)


def _same(hidden: Tensor) -> Tensor:
    return hidden
