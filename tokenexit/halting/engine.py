"""The encoder engine: the layer loop on active rows only.

All token rows of the batch live in one flat matrix. At each exit the words that arrived are
shown to a visitor; those it halts keep their state, which later layers still read (``copy``)
or not (``drop``, ``restore``). A sentence whose words have all halted leaves altogether. Beside
that a reducer may take rows out of the middle of a text; see ``reduction``. Embeddings may stand
for the lower layers; see ``embedding``.

One device-to-host transfer is made per exit where somebody may halt: the decision. All index
arithmetic follows from it on the host. With ``compact=False`` none is made: words that halt are
held where they are. ``reference.encode_dense`` is the same in obvious code, and needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.context import ContextGate
from tokenexit.errors import unknown_name
from tokenexit.halting.attention import attend
from tokenexit.halting.embedding import enter
from tokenexit.halting.layout import FILL, FILL_LAUNCHED
from tokenexit.halting.packing import Mask, PackedBatch
from tokenexit.halting.received import Received
from tokenexit.halting.reduction import Reduction
from tokenexit.halting.rows import HALTED, Halted, LiveRows
from tokenexit.halting.selecting import Selecting, check_beside
from tokenexit.halting.stretch import Stretch
from tokenexit.halting.trace import LayerWork, Work
from tokenexit.halting.visitor import Visitor
from tokenexit.halting.weighing import Weighing
from tokenexit.heads import ExitHeads
from tokenexit.reducers import Reducer, RowWeights
from tokenexit.reducers.base import OF_ATTENTION
from tokenexit.selectors import Choose
from tokenexit.signals import Signals

Skip = Callable[[int], Tensor | None]
"""Sequences that leave out a layer (from 1), ``[S]`` bool, or None (training only)."""


class Fork(Protocol):
    """Splits a state between an exit head and the rest of the network (training only)."""

    def __call__(self, layer: int, hidden: Tensor, /) -> tuple[Tensor, Tensor]:
        """States after ``layer``: once for the head, once for the next layer."""
        ...


def encode(
    backbone: Backbone,
    heads: ExitHeads,
    batch: PackedBatch,
    visitor: Visitor,
    *,
    halted: Halted = "copy",
    absorb: bool = True,
    classes: Sequence[str] = (),
    fork: Fork | None = None,
    skip: Skip | None = None,
    states: list[Tensor] | None = None,
    compact: bool = True,
    reducer: Reducer | None = None,
    without: Collection[int] = (),
    weights: RowWeights | None = None,
    stretch: Stretch | None = None,
    choose: Choose | None = None,
) -> Work:
    """Run a packed batch, letting words leave as the visitor says.

    Args:
        backbone: The network.
        heads: Exit heads below the top.
        batch: Sentences, packed.
        visitor: Who decides.
        halted: What halted rows still give to the others.
        absorb: Whether sentences with few active rows may read unprojected states. Equal up
            to rounding; never used while gradients are recorded.
        classes: Names of the classes, for policies that ask.
        fork: Splits states between head and network, to weigh gradients.
        skip: Which sequences leave out a layer (from 1), ``[S]`` bool, or None: layer dropout,
            for training. Their states pass through; the layer is computed for them all the same.
        states: If given, receives the states of all token rows after each layer, ``[T, H]``
            (rows that have left: their last state), for analysis and tests.
        compact: Whether words that halt leave. Otherwise they are computed on and held where
            they are, and shown to the visitor as ``gone``: more work, and no host that waits for
            a decision. For training on a GPU; with ``copy`` only.
        reducer: Takes rows out between layers or within them; with ``compact`` only. Where it
            keeps everybody nothing is changed, to the last bit unless it reads the attention.
        without: Layers (from 1) that are not computed: states go past them as they are.
        stretch: Which layers, where texts go on with others between them; it is told who does. With
            ``copy`` and without reducer.
        weights: Weighs rows instead of taking them out, for training; in the place of a reducer.
        choose: What of a layer each text computes, by the heads' selectors; ``backbone.selected``
            says it otherwise, if anything does.

    Returns:
        The work done at each layer.

    Raises:
        UserError: ``halted`` is unknown, the reducer would drop words, or widths are selected where
            rows are weighed or the attention is read.
    """
    if halted not in HALTED:
        raise unknown_name("rule for halted states", halted, HALTED)
    assert compact or (halted == "copy" and reducer is None), "held rows are always read"
    assert reducer is None or weights is None, "rows are taken out or weighed"
    num_layers = backbone.num_layers
    absorb = absorb and not torch.is_grad_enabled()
    absorb = absorb and all(backbone.absorbable(index) for index in range(num_layers))
    # Its products depend on how many sentences there are; rounded rows promise no such thing.
    eager = backbone.eager and not backbone.rounds
    entered = None if stretch is None else stretch.entered()
    entered = entered or enter(backbone, heads.embeddings, batch, eager)
    embedded = entered.hidden
    launched = torch.is_grad_enabled() and embedded.device.type != "cpu"
    fill = FILL_LAUNCHED if launched else FILL
    rows = LiveRows(batch, embedded, halted, alike=backbone.rounds, fill=fill)
    reduction = None
    if reducer is not None:
        reduction = Reduction(reducer, batch, num_layers, heads.scorers)
    weighing = None
    if weights is not None:
        weighing = Weighing(weights, batch, embedded, num_layers, heads.scorers)
    selecting = None
    if choose is not None or backbone.selected is not None:
        check_beside(reducer, weights)
        selecting = Selecting(backbone, heads, batch, choose)
    previous = None if stretch is None else stretch.seen_before()
    past = None if stretch is None else stretch.past
    reads_past = heads.reads_past
    scored_by_top = halted == "restore" and heads.pool != "first"
    work = [*entered.work, *(LayerWork() for _ in range(num_layers - entered.layers))]
    if states is not None:
        states.extend(embedded for _ in range(entered.layers))
    last = num_layers if stretch is None else stretch.last
    for layer in range(entered.layers + 1, last + 1):
        if len(rows.words) == 0:
            break
        top = layer == num_layers
        asked = None if layer in without else reduction
        if asked is not None:
            asked.before(layer, rows)
        within = asked if asked is not None and asked.asks(layer, "within") else None
        if top and within is not None and within.of_first_rows:
            within = None  # the rows that stay are all that is read
        if weighing is not None and layer not in without:
            weighing.before(layer, rows)
        first_do = backbone.row_by_row and (selecting is None or selecting.of_first_rows)
        if weighing is None and top and states is None and within is None and first_do:
            rows.only_first_rows()
        if layer not in without:
            left_out = None if skip is None else skip(layer)
            how = absorb, eager, left_out, within, weighing, selecting
            work[layer - 1] = _run_layer(backbone, layer - 1, rows, *how)
        if reduction is not None:
            work[layer - 1] += reduction.work[layer]
        if states is not None:
            _record(states, rows, embedded)
        if not top and layer not in heads.layers:
            continue
        hidden = rows.hidden
        if fork is not None and not top:
            hidden, rows.hidden = fork(layer, rows.hidden)
        pooled = rows.first_states
        if not top and heads.pool != "first":
            pooled = rows.mean_states
            if weighing is not None and weighing.gone_count_nothing:
                pooled = partial(pooled, weights=weighing.of(rows).to(hidden.dtype))
        seen = backbone.finish(pooled(hidden))
        counts = {"head": 0, "gate": 0, "context": 0}
        head = heads.at(layer) if layer in heads.layers else backbone.classify
        signals = Signals(
            layer=layer,
            num_layers=num_layers,
            hidden=seen,
            sequence=rows.word_sequence,
            position=rows.word_position,
            item_id=rows.word_item,
            num_sequences=batch.num_sequences,
            extent=batch.extent,
            head=partial(counted, head, counts, "head"),
            classes=tuple(classes),
            target=rows.target,
            labelled=None if rows.word_target is None else rows.known,
            gone=rows.gone,
            gate_head=None if heads.gate is None else partial(counted, heads.gate, counts, "gate"),
            previous=previous,
            past=None if top else past,
            first=backbone.finish(rows.first_states(hidden)) if scored_by_top and not top else None,
            exit_head=None if top else head,
            context=None if heads.context is None else partial(judged, heads.context, counts),
        )
        halt = visitor.arrive(signals, rows.word_tensor)
        gone: Mask | None = None
        if top:
            gone = np.ones(len(rows.words), dtype=bool)
        elif halt is not None and compact:
            gone = halt.cpu().numpy()  # the one transfer
        elif halt is not None:
            rows.hold(halt)
        stay: Tensor | None = None
        if gone is not None and gone.any():
            left, stay = rows.retire(gone)
            visitor.leave(left, stay)
        previous = partial(of_staying, seen, stay)
        if reads_past and not top:
            past = with_newest(past, seen, stay)
        work[layer - 1] += LayerWork(**counts)
    if stretch is not None:
        stretch.pause(rows, previous, past)
    return tuple(work)


def _run_layer(
    backbone: Backbone,
    index: int,
    rows: LiveRows,
    absorb: bool,
    eager: bool,
    left_out: Tensor | None,
    within: Reduction | None,
    weighing: Weighing | None,
    selecting: Selecting | None,
) -> LayerWork:
    """One layer on the active rows; those of sequences that leave it out stay as they are."""
    reads = "nothing" if within is None else within.reducer.reads
    told = reads in OF_ATTENTION
    absorb = absorb and not told and weighing is None
    rows.plan(backbone.hidden_size, backbone.num_heads, absorb)
    if not rows.num_active:
        return LayerWork()
    if selecting is not None:
        new, work = selecting.layer(index, rows, eager)
        _write(rows, rows.asking()[0], new, left_out)
        return work
    active, places = rows.asking()
    states, positions, asking = rows.read_by(active, places)
    received = Received(states, asking, reads == "first") if told else None
    keys: Tensor | None = None
    if weighing is not None:
        keys = weighing.keys(rows)
        if weighing.listens(index + 1):
            received = weighing.listen(rows, states, asking)
    at = states, places, positions, rows.layout
    seen = {"asking": asking, "received": received, "weights": keys}
    read = attend(backbone, index, active, *at, eager=eager, **seen)
    work = rows.layout.work(rows.num_active)
    if reads == "first" and not eager:
        work += LayerWork(ranked=work.projected)
    if within is not None:
        cut = within.cut(index + 1, rows, received)
        if cut is not None:
            rows.thin(cut.stay, within.reducer.fate, cut.slots)
            active, read = cut.of(active), cut.of(read)
            work += LayerWork(spared=work.active - rows.num_active)
    if weighing is None:
        new = backbone.combine(index, active, read)
    else:
        new = weighing.combine(backbone, index + 1, rows, active, read, received)
    _write(rows, active, new, left_out)
    return work


def _write(rows: LiveRows, active: Tensor, new: Tensor, left_out: Tensor | None) -> None:
    """Replace the states of active rows, but of those that are held or leave the layer out."""
    held = rows.held()
    if held is not None:
        new = torch.where(held[:, None], active, new)
    if left_out is not None:
        here = left_out[rows.asking_sequence()]
        new = torch.where(here[:, None], active, new)
    rows.write(new)


def _record(states: list[Tensor], rows: LiveRows, embedded: Tensor) -> None:
    after = (states[-1] if states else embedded).to(rows.hidden.dtype, copy=True)
    after[torch.from_numpy(rows.original).to(after.device)] = rows.hidden
    states.append(after)


def counted(
    head: Callable[..., Tensor], counts: dict[str, int], key: str, rows: Any, *past: Tensor
) -> Tensor:
    """Run a head and note how many rows it scored."""
    counts[key] += len(rows)
    return head(rows, *past)


def judged(
    gate: ContextGate, counts: dict[str, int], signals: Signals, memory: Any
) -> tuple[Tensor, Any]:
    """Ask a context gate, and note about how many rows."""
    counts["context"] += len(signals)
    return gate.step(signals, memory)


def of_staying(states: Tensor, stay: Tensor | None) -> Tensor:
    """The states of words that go on, by their places; all of them where nobody left."""
    return states if stay is None else states.index_select(0, stay)


def with_newest(past: Tensor | None, seen: Tensor, stay: Tensor | None) -> Tensor:
    """States at all exits so far, the newest last, of words that go on."""
    newest = seen[:, None]
    return of_staying(newest if past is None else torch.cat([past, newest], dim=1), stay)
