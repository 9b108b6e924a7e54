"""The checks of a context gate's parts: what it reads of a row, and what it is taught."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.context.features import FEATURES, Feature, Shape
from tokenexit.context.seen import Seen
from tokenexit.context.targets import TARGETS, Target
from tokenexit.policies import index_state
from tokenexit.testing.contract import NamedContract, require, require_close
from tokenexit.testing.traces import NAMES, Trace, make_trace

SHAPE = Shape(4, history=2, projection=4, exits=(1, 2, 3, 4, 5), num_layers=6, width=5, reach=2)
FEATURE = NamedContract(FEATURES, str)


def check_feature(feature: str | type[Feature]) -> None:
    """Check that a feature of context gates keeps its promises."""
    FEATURE.check(feature)


def seen(trace: Trace, layer: int, rows: Tensor) -> Seen:
    """Rows at a layer, with four numbers of each state."""
    signals = trace.signals(layer, rows)
    return Seen(signals, signals.hidden[:, :1].expand(-1, 4))


@FEATURE.promise
def is_as_wide_as_it_says(name: str) -> None:
    """It gives ``width`` finite float32 numbers a row, of no rows none."""
    require(FEATURES.get(name).__doc__, "give the class a docstring.")
    for rows in (torch.arange(11), torch.arange(0)):
        feature, state = FEATURES.get(name)(SHAPE), None
        for layer in range(1, 6):
            numbers, state = feature.look(seen(make_trace(), layer, rows), state)
            require(
                numbers.shape == (len(rows), feature.width) and numbers.dtype == torch.float32,
                f"at layer {layer} it gave {numbers.dtype} of shape {list(numbers.shape)} for "
                f"{len(rows)} rows; its width is {feature.width}: return float32 [N, width].",
            )
            require(numbers.isfinite().all(), f"at layer {layer} some numbers are not finite.")


@FEATURE.promise
def says_whether_it_reads_logits(name: str) -> None:
    """``of_logits`` says whether the exit's head has to be computed."""
    feature, rows = FEATURES.get(name)(SHAPE), seen(make_trace(), 1, torch.arange(11))
    feature.look(rows, None)
    read = "logits" in rows.signals.__dict__
    require(
        read == feature.of_logits, f"of_logits is {feature.of_logits}, and it reads them: {read}."
    )


@FEATURE.promise
def state_may_be_indexed(name: str) -> None:
    """Numbers of a sequence do not change when another has left."""
    feature, trace = FEATURES.get(name)(SHAPE), make_trace(lengths=(4, 3, 5))
    everybody = torch.arange(12)
    some = everybody[trace.sequence != 1]
    _, state = feature.look(seen(trace, 1, everybody), None)
    wanted, _ = feature.look(seen(trace, 2, everybody), state)
    found, _ = feature.look(seen(trace, 2, some), index_state(state, some))
    require_close(found, wanted[some], "numbers differ once another sequence has left")


TARGET = NamedContract(TARGETS, str)


def check_target(target: str | type[Target]) -> None:
    """Check that a target of context gates keeps its promises."""
    TARGET.check(target)


@TARGET.promise
def says_which_exits_are_wrong(name: str) -> None:
    """It says of each exit below the top which rows are wrong, and weighs rows from 0 up."""
    target, trace = TARGETS.get(name)(), make_trace()
    said, gold = trace.logits.argmax(-1), trace.target
    for rows in (slice(None), slice(0)):
        wrong = target.wrong(said[:, rows], gold[rows])
        wanted = (5, len(gold[rows]))
        require(
            wrong.dtype == torch.bool and wrong.shape == wanted,
            f"wrong() gave {wrong.dtype} of shape {list(wrong.shape)}, not torch.bool of "
            f"{list(wanted)}: exits below the top by rows.",
        )
    weight = target.weight(said, gold, NAMES)
    require(
        weight is None or (weight.shape == gold.shape and (weight >= 0).all()),
        "weight() gives None or one number from 0 up for each row.",
    )
    same = said[-1:].expand_as(said)
    require(
        not target.wrong(same, same[-1]).any(),
        "exits that say what the top says, rightly, are called wrong.",
    )
