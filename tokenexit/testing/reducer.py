"""The check of a reducer."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from tokenexit.policies import State, index_state
from tokenexit.reducers import REDUCERS, Reducer, Rows, from_config
from tokenexit.testing.contract import Contract, instances, require, require_raises

NUM_LAYERS = 6
LENGTHS = (7, 5, 5, 1)
REDUCER: Contract[Reducer] = Contract("reducer")


def check_reducer(reducer: str | Reducer | type[Reducer]) -> None:
    """Check that a reducer keeps its promises.

    It is a reducer, or a registered class or its name, whose ``examples`` are all checked. An
    ``AssertionError`` says which it breaks, and how to mend it.
    """
    for example in instances(reducer, REDUCERS):
        REDUCER.hold(example, repr(example))


def shown(reducer: Reducer, layer: int, chosen: Tensor) -> Rows:
    """Some of the rows of four texts at a layer, always the same.

    Args:
        reducer: Who will see them, and attention if it reads that.
        layer: From 1.
        chosen: Their numbers, ``[R]``, of ``sum(LENGTHS)``.
    """
    draw = torch.Generator().manual_seed(layer)
    text = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
    position = torch.cat([torch.arange(length) for length in LENGTHS])
    attention = torch.rand(2, len(text), generator=draw)
    received = own = by_first = score = None
    if reducer.reads == "scores":
        score = torch.randn(len(text), generator=draw)[chosen]
    if reducer.reads == "attention":
        received, own = (attention.sum(dim=0)[chosen], attention[0][chosen])
    if reducer.reads == "first":
        by_first = attention[0][chosen]
    return Rows(
        layer=layer,
        num_layers=NUM_LAYERS,
        text=text[chosen],
        lengths=torch.tensor(LENGTHS),
        position=position[chosen],
        item_id=torch.randint(5, 30, (len(text),), generator=draw)[chosen],
        pinned=position[chosen] == 0,
        hidden=torch.randn(len(text), 8, generator=draw)[chosen],
        received=received,
        own=own,
        by_first=by_first,
        score=score,
        depth=torch.randint(1, NUM_LAYERS + 1, (len(text),), generator=draw)[chosen],
    )


def through(reducer: Reducer, rows: Tensor) -> list[Tensor]:
    """Which of some rows are left after each layer, by their numbers."""
    state: State = index_state(reducer.init(sum(LENGTHS)), rows)
    seen = shown(reducer, 1, rows)
    longest = int(seen.lengths[seen.text].max())
    left = []
    for layer in range(1, NUM_LAYERS + 1):
        if reducer.asked(layer, NUM_LAYERS, longest):
            seen = shown(reducer, layer, rows)
            keep, state = reducer.keep(seen, state)
            stay = keep | seen.pinned
            rows, state = rows[stay], index_state(state, stay)
        left.append(rows)
    return left


@REDUCER.promise
def decides_about_every_row(reducer: Reducer) -> None:
    """``keep`` gives one bool a row, and changes nothing that it was shown."""
    rows = shown(reducer, 2, torch.arange(sum(LENGTHS)))
    before = {key: value.clone() for key, value in vars(rows).items() if torch.is_tensor(value)}
    keep, _ = reducer.keep(rows, reducer.init(len(rows)))
    require(
        keep.dtype == torch.bool and keep.shape == rows.text.shape,
        f"it gave {keep.dtype} of shape {list(keep.shape)}, not torch.bool of {len(rows)} rows.",
    )
    for key, value in before.items():
        require(torch.equal(value, getattr(rows, key)), f"it changed rows.{key}: copy it first.")


@REDUCER.promise
def weighs_every_row(reducer: Reducer) -> None:
    """``weigh`` gives one number a row, finite and none below 0."""
    rows = shown(reducer, 2, torch.arange(sum(LENGTHS)))
    _, state = reducer.keep(rows, reducer.init(len(rows)))
    weight = reducer.weigh(rows, state)
    require(
        weight.shape == rows.text.shape and bool(weight.isfinite().all() and (weight >= 0).all()),
        f"weigh gave {weight}: give one number from 0 for each of {len(rows)} rows.",
    )


@REDUCER.promise
def texts_do_not_look_at_each_other(reducer: Reducer) -> None:
    """What is said of a row does not depend on who shares its batch."""
    text = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
    together = through(reducer, torch.arange(len(text)))
    for number in range(len(LENGTHS)):
        alone = through(reducer, (text == number).nonzero().squeeze(-1))
        for layer, (left, found) in enumerate(zip(together, alone, strict=True), 1):
            require(
                torch.equal(left[text[left] == number], found),
                f"after layer {layer} other rows of text {number} are left when it is alone.",
            )


@REDUCER.promise
def is_plain_data(reducer: Reducer) -> None:
    """It is frozen, and the same again after a trip through JSON."""
    require(type(reducer).__doc__, "give the class a docstring.")
    require(
        from_config(reducer.to_json()) == reducer,
        f"from_config makes another of it: {from_config(reducer.to_json())!r}.",
    )
    field = dataclasses.fields(reducer)[0].name  # type: ignore[arg-type]
    require_raises(
        dataclasses.FrozenInstanceError,
        lambda: setattr(reducer, field, None),
        "its fields can be set: declare it with @dataclass(frozen=True).",
    )


@REDUCER.promise
def a_stricter_threshold_keeps_more(reducer: Reducer) -> None:
    """At its strict end the threshold keeps no fewer rows of any text."""
    spec = reducer.threshold_spec()
    if spec is None:
        return
    rows = torch.arange(sum(LENGTHS))
    loose, strict = (
        through(reducer.with_threshold(value), rows) for value in (spec.loose, spec.strict)
    )
    for layer, (few, many) in enumerate(zip(loose, strict, strict=True), 1):
        require(
            len(few) <= len(many),
            f"after layer {layer} the strict end keeps {len(many)} rows "
            f"and the loose one {len(few)}: swap the two ends.",
        )
