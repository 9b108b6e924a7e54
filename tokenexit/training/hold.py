"""Whether words that halt in training leave, or are held where they are.

Leaving saves work, and the host has to be told who leaves before it can go on: on a GPU it waits
at every exit for whatever is still to be computed. Held words cost what words cost that stay, and
nobody waits. One thing differs: where all words of a step have left, the layers above get no
gradient, and of held words one of zero, by which decay and momentum still move them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tokenexit.gates import ExitGate
from tokenexit.objectives import BatchLoss


def holds(
    loss: BatchLoss,
    device: torch.device,
    num_layers: int,
    classes: Sequence[str] | int,
    exits: Sequence[int],
    gate: ExitGate | None = None,
) -> bool:
    """Whether who halts is held.

    Never on a CPU, where nobody waits. Elsewhere wherever the policy is a rule, which looks at a
    row's neighbours in no other way than windows and sentences do; not for context gates,
    which do, nor beside a gate whose loss is no sum over rows.

    Args:
        loss: With the policy that decides, if there is one.
        device: Where the batch is computed.
        num_layers: Depth of the network.
        classes: Their names, or how many there are where they have none.
        exits: Layers with an exit, the top excluded.
        gate: What is trained beside it.
    """
    policy = loss.deciding
    if device.type == "cpu" or policy is None:
        return False
    if gate is not None and type(gate).loss is not ExitGate.loss:
        return False
    names = () if isinstance(classes, int) else tuple(classes)
    count = classes if isinstance(classes, int) else len(classes)
    rule = policy.as_rule(num_layers, count, names, exits)
    return rule is not None and rule.score != "context"
