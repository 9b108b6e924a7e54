"""Rules of policies as the struct that kernels carry out."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tokenexit.context import ContextGate
from tokenexit.halting.compiled.context import CompiledContext, compiled_context
from tokenexit.halting.compiled.encoder import CompiledEncoder
from tokenexit.halting.compiled.structs import INT, POINTER
from tokenexit.halting.flat import FlatTexts
from tokenexit.policies import Policy
from tokenexit.policies.base import rule_of
from tokenexit.policies.rule import POOLS, SCORES, Network, Rule, nobody

KNOWN = frozenset(
    {"never", "entropy", "max_prob", "margin", "energy", "patience", "depth", "change", "context"}
)
"""Scores that the kernels of encoders compute."""


class RuleStruct(ctypes.Structure):
    """``Rule`` of kernels/source/rule.h."""

    _fields_ = (
        ("score", INT),
        ("low", INT),
        ("patience", INT),
        ("window", INT),
        ("pool", INT),
        ("columns", INT),
        ("asked", POINTER),
        ("thresholds", POINTER),
        ("depths", POINTER),
        ("context", POINTER),
    )


@dataclass(frozen=True, eq=False)
class CompiledRule:
    """A rule, and its arrays.

    Attributes:
        rule: As data.
        asked: ``[L]`` bytes.
        thresholds: ``[L, 1 or C]``.
        context: The gate that it asks, if it does.
    """

    rule: Rule
    asked: np.ndarray
    thresholds: np.ndarray
    context: CompiledContext | None = None

    @cached_property
    def plain(self) -> RuleStruct:
        """What kernels read where no word has a layer assigned; nobody changes it."""
        return self.struct(None)

    def struct(self, depths: np.ndarray | None) -> RuleStruct:
        """What kernels read.

        Args:
            depths: Layer assigned to each word of the batch, ``[W]``, int32, or None.
        """
        rule = self.rule
        return RuleStruct(
            score=SCORES.index(rule.score),
            low=rule.low,
            patience=rule.patience,
            window=rule.window,
            pool=POOLS.index(rule.pool),
            columns=self.thresholds.shape[1],
            asked=self.asked.ctypes.data,
            thresholds=self.thresholds.ctypes.data,
            depths=None if depths is None else depths.ctypes.data,
            context=None if self.context is None else ctypes.addressof(self.context.struct),
        )

    def depths(self, texts: FlatTexts) -> np.ndarray | None:
        """The layer assigned to each word, ``[W]``, or None."""
        if self.rule.depths is None:
            return None
        found = self.rule.depths(torch.from_numpy(texts.item), torch.from_numpy(texts.position))
        return found.to(torch.int32).numpy()


def compiled_rule(
    policy: Policy,
    encoder: CompiledEncoder,
    classes: tuple[str, ...],
    gate: ContextGate | None = None,
) -> CompiledRule | None:
    """What a policy states, if kernels can carry it out.

    Args:
        policy: Who halts.
        encoder: The network.
        classes: Names of its classes.
        gate: The context gate of its heads, if one was fitted.
    """
    before = encoder.last.get("rule")  # usually the same, if built anew by each call
    if before is not None and before[1:3] == (classes, gate) and _same(before[0], policy):
        rule = before[3]
        if rule is None or rule.context is None or rule.context.current:
            return rule
    made = _compiled(policy, encoder, classes, gate)
    encoder.last["rule"] = policy, classes, gate, made
    return made


def _same(one: Policy, other: Policy) -> bool:
    """Whether two policies decide alike; those with fields that do not compare may not."""
    try:
        return one is other or bool(one == other)
    except (ValueError, RuntimeError):  # arrays have no one answer
        return False


def _compiled(
    policy: Policy,
    encoder: CompiledEncoder,
    classes: tuple[str, ...],
    gate: ContextGate | None,
) -> CompiledRule | None:
    if not encoder.scores:
        return None
    asked = tuple(layer in encoder.exits for layer in range(1, encoder.num_layers + 1))
    rule = rule_of(policy, Network(encoder.classes, classes, asked))
    if rule is None or rule.score not in KNOWN or rule.schedule is not None:
        return None
    if rule.score != "context":
        return as_compiled(rule)
    context = compiled_context(gate, encoder, rule.asked)
    return None if context is None else as_compiled(rule, context)


def as_compiled(rule: Rule, context: CompiledContext | None = None) -> CompiledRule:
    """A rule with its arrays."""
    return CompiledRule(
        rule,
        np.array(rule.asked, dtype=np.uint8),
        np.array(rule.thresholds, dtype=np.float32),
        context,
    )


def silent(num_layers: int) -> CompiledRule:
    """The rule that lets nobody out."""
    return as_compiled(nobody([False] * num_layers))
