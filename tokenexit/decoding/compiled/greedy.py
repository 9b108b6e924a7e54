"""Greedy search in kernels: as many steps a call as there is room for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.cache import BLOCK
from tokenexit.decoding.compiled.rule import TooLarge
from tokenexit.decoding.compiled.sequences import CompiledSequences
from tokenexit.decoding.held_back import held_back

if TYPE_CHECKING:
    from tokenexit.decoding.search import Stopping

_STEPS = 4 * BLOCK
"""Steps a call: enough that calling costs nothing."""


def greedy(
    decoding: CompiledSequences,
    prompt: Tensor,
    process: Iterable[Any],
    stopping: Stopping,
    pad: Tensor | None,
) -> tuple[Tensor, list[Tensor]] | None:
    """See ``Sequences.greedy``; None where somebody wants to see each step."""
    rule = decoding.rule_of(decoding.policy)
    held = held_back(process)
    if rule is None or held is None or not stopping.simple or not stopping.most:
        return None
    try:
        table = rule.table(stopping.most)
    except TooLarge:
        return None
    banned = held.words.int().numpy()
    ends = np.array(stopping.end_tokens if stopping.pads else [], dtype=np.int32)
    rows = decoding.going(prompt[:, -1], None).copy()
    words = prompt[:, -1].to(torch.long, copy=True).contiguous()
    step = decoding.step_struct(rule, words, None, None)
    step.rule.depths, step.rule.table = None, structs.address(table)
    step.banned, step.num_banned = structs.address(banned), len(banned)
    run = structs.Run(
        live=len(rows),
        num_ends=len(ends),
        stop_at=stopping.most - 1,  # the last token is not read
        free_from=held.until,
        padding=0 if pad is None else int(pad),
        ends=structs.address(ends),
        rows=structs.address(rows),
    )
    tokens, layers = [prompt], []
    while run.live and decoding.length < run.stop_at:
        decoding.check_length()
        found, left = _some_steps(decoding, step, run)
        tokens.append(found)
        layers += left.unbind(dim=1)
        if 0 < run.live < len(rows):
            rows = rows[: run.live].copy()
            run.rows = structs.address(rows)
            decoding.ended(rows.copy())
    return torch.cat(tokens, dim=1), layers


def _some_steps(
    decoding: CompiledSequences, step: structs.Step, run: structs.Run
) -> tuple[Tensor, Tensor]:
    """Tokens and exit layers of the next steps, ``[R, n]`` each."""
    most = min(_STEPS, run.stop_at - decoding.length)
    longest = decoding.decoder.max_length
    if longest is not None:
        most = min(most, longest - decoding.length)
    decoding.states.prepare(run.live, most)
    decoding.point_trail(most)
    tokens = torch.empty(decoding.num_rows, most, dtype=torch.long)
    layers, live = torch.empty_like(tokens), torch.empty(decoding.num_rows, dtype=torch.long)
    step.layers = live.data_ptr()
    run.most, run.steps = most, 0
    run.tokens, run.layers = tokens.data_ptr(), layers.data_ptr()
    model = decoding.model
    model.kernels.match_threads()
    decoding.told(
        model.kernels.decode_greedy(decoding.batch, structs.address(step), structs.address(run))
    )
    return tokens[:, : run.steps], layers[:, : run.steps]
