"""Sources whose tokens leave the encoder early, as words of a tagger do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders.source_encoder import NoHeads, SourceEncoder
from tokenexit.errors import UserError
from tokenexit.halting import Sentence, Work, encode, pack
from tokenexit.policies import Policy, State, index_state
from tokenexit.policies.base import walk, works_for
from tokenexit.signals import Signals


@dataclass(frozen=True, eq=False)
class EncodedSource:
    """Sources after the encoder.

    Attributes:
        memory: ``[B, S, H]``; zeros at padding.
        exit_layers: Layer at which each token left, ``[B, S]``, long; 0 at padding.
        work: Work of each encoder layer.
    """

    memory: Tensor
    exit_layers: Tensor
    work: Work


def check_source_policy(policy: Policy) -> None:
    """Refuse policies that have no meaning for tokens of a source.

    Raises:
        UserError: Names the part and what it works for.
    """
    for part in walk(policy):
        if "word" not in part.units or part.needs_target:
            raise UserError(
                f"{part!r} has no meaning for tokens of a source: {works_for(part)}"
                f"{' and needs gold labels' * part.needs_target}."
            )


def encode_source(
    encoder: SourceEncoder, input_ids: Tensor, attention_mask: Tensor, policy: Policy
) -> EncodedSource:
    """Run the encoder; every token may leave, and is copied upwards (halt-and-copy).

    Special tokens are tokens like others. Places are counted from the first real token of a
    source, so that padding on the left changes nothing.

    Args:
        encoder: The encoder in pieces.
        input_ids: ``[B, S]``.
        attention_mask: 1 for real tokens, ``[B, S]``.
        policy: Who halts; one that reads no logits.

    Raises:
        UserError: The policy reads logits, gates or gold labels.
    """
    mask = attention_mask.bool()
    given = zip(input_ids.tolist(), mask.tolist(), strict=True)
    sources = [[token for token, real in zip(*row, strict=True) if real] for row in given]
    batch = pack([Sentence(ids, [[row] for row in range(len(ids))]) for ids in sources],
                 input_ids.device)  # fmt: skip
    visitor = _Leaving(policy, batch.num_words, input_ids.device)
    states: list[Tensor] = []
    heads = NoHeads(encoder)
    work = encode(encoder, heads, batch, visitor, states=states)  # type: ignore[arg-type]
    rows = encoder.finish(states[-1])
    # Back from longest first to the order given.
    order = torch.from_numpy(np.argsort(batch.order[batch.row_sequence], kind="stable"))
    order = order.to(rows.device)
    memory = rows.new_zeros(*mask.shape, rows.shape[1])
    layers = torch.zeros(mask.shape, dtype=torch.long, device=rows.device)
    memory[mask], layers[mask] = rows[order], visitor.exit_layers[order]
    return EncodedSource(memory, layers, work)


class _Leaving:
    """Asks a policy and notes where tokens left; nothing is classified."""

    def __init__(self, policy: Policy, num_words: int, device: torch.device) -> None:
        self._policy = policy
        self._state: State = policy.init(num_words, device)
        self._arrived = (0, torch.zeros(0, dtype=torch.long))
        self.exit_layers = torch.zeros(num_words, dtype=torch.long, device=device)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        self._arrived = (signals.layer, words)
        if signals.layer == signals.num_layers:
            return None
        halt, self._state = self._policy.step(signals, self._state)
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        layer, words = self._arrived
        self.exit_layers[words[halted]] = layer
        self._state = index_state(self._state, staying)
