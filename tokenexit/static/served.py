"""What ``runtime="static"`` serves, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tokenexit.backbones import Backbone
from tokenexit.backbones.twin import anybody_listens, unheard
from tokenexit.errors import UserError
from tokenexit.heads import ExitHeads
from tokenexit.policies import Policy
from tokenexit.policies.rule import Rule
from tokenexit.static.decide import KNOWN


def check_network(backbone: Backbone, heads: ExitHeads) -> None:
    """Refuse a network that cannot be computed on fixed shapes, or not be captured.

    Raises:
        UserError: Says why.
    """
    kind = backbone.config.model_type
    modules = (*backbone.model.modules(), *heads.modules())
    device = next(backbone.model.parameters()).device.type
    if not backbone.capturable:
        raise _refused(f"models of type {kind!r}")
    if backbone.rounds:
        raise _refused("states that are rounded to few bits, as by a reduced precision on a CPU")
    if not backbone.row_by_row:
        raise _refused("dynamic quantisation, whose scale depends on all rows of a batch")
    if anybody_listens() or not all(map(unheard, modules)):
        raise _refused("modules with hooks, which would fall silent once captured")
    if torch.is_autocast_enabled(device):
        raise _refused("torch.autocast; choose a precision by use(precision=...) in its place")


def static_rule(
    policy: Policy, backbone: Backbone, heads: ExitHeads, classes: Sequence[str]
) -> Rule:
    """What a policy states, if it can be decided on the device.

    Raises:
        UserError: It cannot.
    """
    rule = policy.as_rule(backbone.num_layers, len(classes), classes, heads.layers)
    if rule is None or rule.score not in KNOWN or rule.schedule is not None:
        raise _refused(f"the policy {policy!r}, which is no rule of one score and a threshold")
    return rule


def _refused(what: str) -> UserError:
    return UserError(f'runtime="static" does not serve {what}: choose runtime="eager".')
