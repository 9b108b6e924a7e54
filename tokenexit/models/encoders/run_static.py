"""Run an encoder over texts with the work planned on the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenexit.backbones import Backbone
from tokenexit.errors import UserError
from tokenexit.halting import Halted, LayerWork, Work, add_work, pack
from tokenexit.models.encoders.columns import columns_of
from tokenexit.models.encoders.embedded import without_static as without_static_layers
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.exit_encoder import ExitEncoder, without_static
from tokenexit.models.encoders.run_by_depth import check_by_depth
from tokenexit.models.encoders.selected import check_selected
from tokenexit.models.progress import tracked
from tokenexit.policies import Policy
from tokenexit.policies.rule import Rule
from tokenexit.static import StaticEncoder, check_network, static_rule
from tokenexit.static.buckets import room_for
from tokenexit.static.choose import usual


def planned(
    model: ExitEncoder,
    backbone: Backbone,
    windows: Sequence[TextWindow],
    policy: Policy,
    batch_size: int,
) -> tuple[StaticEncoder, Rule] | None:
    """What plans on the device, where that was asked for; else None.

    ``auto`` is what ``static.choose`` has measured, and eager wherever ``static`` does not serve.

    Args:
        model: The model.
        backbone: Its network, from ``for_inference``.
        windows: From its encoder.
        policy: Who halts.
        batch_size: Windows a batch.

    Raises:
        UserError: ``static`` was asked for and does not serve the model, the policy or the size.
    """
    asked = model.runtime
    if asked == "auto":
        asked = usual(model.device.type, batch_size)
    if asked != "static":
        return None
    try:
        check_selected(model.widths, None, "", static=True)
        if model.reducer is not None:
            raise without_static(model.reducer)
        if not model.own_embeddings:
            raise without_static_layers()
        if model.settings.batching is not None:
            check_by_depth(model)
        check_network(backbone, model.heads)
        rule = static_rule(policy, backbone, model.heads, model.labels)
        for start in range(0, len(windows), batch_size):
            room_for(sum(p.sentence.length for p in windows[start : start + batch_size]))
    except UserError:
        if model.runtime == "auto":
            return None
        raise
    return model.static(backbone), rule


def run_static(
    model: ExitEncoder,
    encoder: StaticEncoder,
    rule: Rule,
    windows: Sequence[TextWindow],
    batch_size: int,
    halted: Halted,
) -> tuple[list[dict[str, np.ndarray]], Work]:
    """Columns of the words that windows answer for, batch by batch, and the work done."""
    work: Work = (LayerWork(),) * len(rule.asked)
    parts: list[dict[str, np.ndarray]] = []
    for start in tracked(range(0, len(windows), batch_size), "texts"):
        chunk = windows[start : start + batch_size]
        batch = pack([window.sentence for window in chunk])
        done = encoder.encode(batch, rule, halted)
        work = add_work(work, done.work)
        if halted == "restore":  # the top head scored every word, wherever it left
            more = LayerWork(head=batch.num_words)
            work = (*work[:-1], work[-1] + more)
        parts.append(columns_of(batch, done.decisions, chunk, model.scale is not None))
    return parts, work
