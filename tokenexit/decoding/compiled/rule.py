"""Policies that kernels carry out by themselves while decoding."""

from __future__ import annotations

import contextlib
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.gate import CompiledGate, compile_gate
from tokenexit.decoding.compiled.model import CompiledDecoder
from tokenexit.decoding.exits import Exits
from tokenexit.gates import LinearGate
from tokenexit.policies import Policy
from tokenexit.policies.rule import Rule, closed

SCORES = (
    "never", "entropy", "max_prob", "margin", "energy", "patience", "depth", "gate", "saturation",
    "context",
)  # fmt: skip
"""The numbers that decode_types.h knows, in its order."""

_LARGEST_TABLE = 1 << 24
"""Bytes of the depths of all tokens at all steps."""

_LONGEST_LIST = 1024
"""Words of a shortlist; scoring more at once is hardly dearer than scoring all."""

_KEPT = 8
"""Rules that a model keeps."""


class CompiledRule:
    """A rule as kernels read it.

    Args:
        model: The decoder whose tokens it lets out.
        exits: Where they may leave.
        rule: What the policy states.
        num_steps: Largest number of steps of the generation, if known.

    Raises:
        UserError: Thresholds change with the steps, and nobody knows how many there will be.
    """

    def __init__(
        self, model: CompiledDecoder, exits: Exits, rule: Rule, num_steps: int | None
    ) -> None:
        self._rule, self._vocabulary = rule, model.struct.num_words
        here = [layer in exits.layers for layer in range(1, len(rule.asked) + 1)]
        self._exits = np.array(here, dtype=np.uint8)
        self._asked = np.array(rule.asked, dtype=np.uint8) & self._exits
        self._thresholds = _thresholds(rule, num_steps)  # [steps, L, C]
        self._gate = _gate(exits) if rule.score == "gate" else None
        self._context: CompiledGate | None = None
        if rule.score == "context" and exits.context is not None:
            self._context = compile_gate(exits.context)
        self.trained = self._gate is not None or self._context is not None
        """Whether it has weights, which may change."""
        self._lock = Lock()
        self._table = np.zeros((0, self._vocabulary), dtype=np.uint8)
        self.struct = structs.Rule(
            score=SCORES.index(rule.score),
            low=rule.low,
            patience=rule.patience,
            classes=self._thresholds.shape[2],
            steps=len(self._thresholds),
            shortlist=rule.shortlist,
            exits=structs.address(self._exits),
            asked=structs.address(self._asked),
            thresholds=structs.address(self._thresholds),
            gate=structs.address(self._gate),
            context=None if self._context is None else structs.address(self._context.struct),
        )

    def depths(self, tokens: Tensor, step: int) -> NDArray[np.int32] | None:
        """Layers assigned to the tokens of one step, ``[R]``; None where the rule assigns none."""
        if self._rule.depths is None:
            return None
        found = self._rule.depths(tokens, torch.full_like(tokens, step))
        return found.to(torch.int32).numpy()

    def table(self, until: int) -> NDArray[np.uint8] | None:
        """The same of all tokens at the steps below ``until``, ``[steps, W]``.

        Raises:
            TooLarge: It would take too much memory.
        """
        if self._rule.depths is None:
            return None
        if until * self._vocabulary > _LARGEST_TABLE:
            raise TooLarge
        with self._lock:
            known = len(self._table)
            if known < until:
                words = torch.arange(self._vocabulary)
                lines = [
                    self._rule.depths(words, torch.full_like(words, step)).clamp(0, 255)
                    for step in range(known, until)
                ]
                made = torch.stack(lines).to(torch.uint8).numpy()
                self._table = np.concatenate([self._table, made])
            return self._table


class TooLarge(Exception):
    """A table that is not worth its memory."""


def rule_for(
    model: CompiledDecoder, exits: Exits, policy: Policy, num_steps: int | None
) -> CompiledRule | None:
    """As ``compile_rule``, kept with the model: threads may share it.

    Raises:
        UserError: As ``CompiledRule``.
    """
    key = policy, exits.layers, num_steps
    try:
        return model.rules[key]
    except (KeyError, TypeError):  # not known yet, or a policy with a part that has no hash
        made = compile_rule(model, exits, policy, num_steps)
    if made is None or not made.trained:
        with contextlib.suppress(TypeError):
            if len(model.rules) >= _KEPT:
                model.rules.clear()
            model.rules[key] = made
    return made


def compile_rule(
    model: CompiledDecoder, exits: Exits, policy: Policy, num_steps: int | None
) -> CompiledRule | None:
    """The policy for kernels; None if it has to be asked in Python.

    Raises:
        UserError: As ``CompiledRule``.
    """
    layers, words = model.decoder.num_layers, model.struct.vocabulary
    rule = policy.as_rule(layers, words, exits=exits.layers)
    if rule is None or rule.shortlist > _LONGEST_LIST or rule.score not in SCORES:
        return None
    if rule.score == "gate" and _gate(exits) is None:
        return None  # which says what is missing
    if rule.score == "context" and (exits.context is None or compile_gate(exits.context) is None):
        return None
    return CompiledRule(model, exits, rule, num_steps)


def _thresholds(rule: Rule, num_steps: int | None) -> np.ndarray:
    """Of every step, ``[steps, L, C]``; one line where they do not change."""
    if rule.schedule is None:
        return np.ascontiguousarray(rule.lines()[None])
    # Without a number of steps the schedule says what is missing.
    now = rule.schedule(torch.arange(num_steps or 1), num_steps).float().numpy()
    lines = np.where(np.array(rule.asked), now[:, None], np.float32(closed(rule.low)))
    return np.ascontiguousarray(lines[..., None], dtype=np.float32)


def _gate(exits: Exits) -> Any:
    """Weights of the learned gate, and its bias behind them, ``[H + 1]``."""
    gate = exits.gate
    if type(gate) is not LinearGate or type(gate.project) is not torch.nn.Linear:
        return None
    parts = [gate.project.weight.detach()[0], gate.project.bias.detach()]
    return torch.cat(parts).float().numpy()
