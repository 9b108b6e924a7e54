"""Decoding whose layers, vocabulary and rules run in kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.climb import climb, verify
from tokenexit.decoding.compiled.greedy import greedy
from tokenexit.decoding.compiled.sequences import CompiledSequences
from tokenexit.decoding.outcome import Step
from tokenexit.policies import Policy


class CompiledDecoding(CompiledSequences):
    """As ``Decoding``, of a decoder that has been laid out for kernels.

    A policy that states a rule is carried out inside a step; others are asked layer by layer.
    """

    _greedy = staticmethod(greedy)

    def _step(self, token_ids: Tensor, policy: Policy, live: Tensor | None) -> Step:
        rows = self.going(token_ids, live)
        self.check_length()
        rule = self.rule_of(policy)
        self.states.prepare(len(rows))
        self._kernels.match_threads()
        if rule is None:
            return climb(self, token_ids, rows, policy)
        whole = len(rows) == self._num_rows
        shape = self._num_rows, self.model.struct.vocabulary
        logits = torch.empty(shape) if whole else torch.zeros(shape)
        layers = torch.zeros(self._num_rows, dtype=torch.long)
        words = token_ids.to(torch.long, copy=True).contiguous()
        step = self.step_struct(rule, words, layers, logits)
        depths = rule.depths(words, self.length)
        step.rule.depths = structs.address(depths)
        self.told(
            self._kernels.decode_step(
                self.batch, structs.address(step), rows.ctypes.data, len(rows)
            )
        )
        return Step(logits, layers)

    def _verify(self, token_ids: Tensor) -> Tensor:
        rows = self.going(token_ids, None)
        self.check_length()
        self.states.prepare(len(rows))
        self._kernels.match_threads()
        return verify(self, token_ids, rows)
