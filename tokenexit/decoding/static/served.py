"""What ``runtime="static"`` serves of generators, and what is said of the rest."""

from __future__ import annotations

import torch
from torch import nn

from tokenexit.backbones.reduced import Reduced
from tokenexit.backbones.twin import anybody_listens, unheard
from tokenexit.decoders import Decoder
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.static.decide import KNOWN
from tokenexit.decoding.static.form import Asked
from tokenexit.errors import UserError
from tokenexit.policies import Policy
from tokenexit.policies.any_of import AnyOf
from tokenexit.policies.assigned_depth import AssignedDepth


def check_decoder(decoder: Decoder, *beside: nn.Module | None) -> None:
    """Refuse a network that cannot be computed on fixed shapes, or not be captured.

    Args:
        decoder: What would compute.
        beside: Gates beside it.

    Raises:
        UserError: Says why.
    """
    parts = (decoder.model, *(part for part in beside if part is not None))
    modules = [module for part in parts for module in part.modules()]
    device = next(decoder.model.parameters()).device.type
    if not decoder.capturable:
        raise _refused(f"models of type {decoder.config.model_type!r}")
    if any(isinstance(module, Reduced) for module in modules):
        raise _refused("states that are rounded to few bits, as by a reduced precision on a CPU")
    if any(".quantized." in type(module).__module__ for module in modules):
        raise _refused("dynamic quantisation, whose scale depends on all rows of a batch")
    if anybody_listens() or not all(map(unheard, modules)):
        raise _refused("modules with hooks, which would fall silent once captured")
    check_no_autocast(device)


def check_no_autocast(device: str) -> None:
    """Refuse what would change the types of memory.

    Raises:
        UserError: Says what to do.
    """
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        raise _refused("torch.autocast; choose a precision by use(precision=...) in its place")


def asked_of(
    policy: Policy, decoder: Decoder, exits: Exits, window: bool, num_steps: int | None
) -> Asked:
    """What a policy states, if it can be decided on the device.

    Args:
        policy: Who leaves; or, for drafts, any of one policy and one layer for all.
        decoder: The network.
        exits: Where rows may leave.
        window: See ``Form``.
        num_steps: Largest number of steps of the generation.

    Raises:
        UserError: It cannot, or what it reads is not there.
    """
    layers, top, judge = decoder.num_layers, decoder.num_layers, policy
    if isinstance(policy, AnyOf) and len(policy.policies) == 2:
        first, second = policy.policies
        if isinstance(second, AssignedDepth) and not second.by_item:
            judge = first
            top = min((n for n in exits.layers if n >= second.depth), default=layers)
    rule = judge.as_rule(layers, decoder.vocab_size, exits=exits.layers)
    if rule is None or rule.score not in KNOWN or len(rule.thresholds[0]) > 1:
        raise _refused(f"the policy {policy!r}, which is no rule of one score and a threshold")
    if rule.score == "gate" and exits.gate is None:
        raise UserError(
            "This policy reads the learned gate, and the model has none: train it with "
            "heads.gate=true, or choose a policy that reads the exit's own confidence."
        )
    if rule.score == "context" and exits.context is None:
        raise UserError(
            "This policy reads a context gate, and the model has none: fit one with "
            "`tokenexit fit-gate RUN --data D`, or choose a policy that reads the exit's own "
            "confidence."
        )
    return Asked(rule, top, window, num_steps, next(decoder.model.parameters()).device)


def _refused(what: str) -> UserError:
    return UserError(f'runtime="static" does not serve {what}: choose runtime="eager".')
