"""Run texts through one whole model after the other, each on those that the last let pass.

Texts that pass are pooled over all batches of a model, sorted by length and cut into fresh
batches for the next, which would else run on the few that each batch has left (TangoBERT, Mamou
et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.errors import UserError
from tokenexit.halting import LayerWork, Trace, Work, add_work, encode, pack
from tokenexit.models.cascades.stages import Stages
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.exit_encoder import ExitEncoder
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.vocabulary import check_windows
from tokenexit.models.inputs import read_parts
from tokenexit.models.progress import tracked
from tokenexit.policies import Policy, State, index_state
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.never import Never
from tokenexit.scores import log_probabilities
from tokenexit.signals import Signals

Texts = Sequence[Sequence[str]]
Targets = Sequence[Sequence[int]] | None


@torch.inference_mode()
def run_cascade(model: Stages, read: Reading, policy: Policy, batch_size: int) -> Trace:
    """Classify texts.

    A model at which nobody can leave whatever it says is not run: ``never`` runs the last one
    alone, ``assigned_depth`` the one it names.

    Args:
        model: The cascade.
        read: The texts, as its models read them.
        policy: Who is done after which model.
        batch_size: Texts a batch.

    Returns:
        One entry a text. Its layers are models, its work that of all layers of all models.
    """
    depth, count = len(model.stages), len(read.last)
    log_probs = np.zeros((count, len(model.labels)), dtype=np.float32)
    exits = np.full(count, depth)
    waiting = torch.arange(count)
    state: State = policy.init(count, model.device)
    first = _first_asked(policy, depth)
    work: list[LayerWork] = []
    for number, stage in enumerate(model.stages, start=1):
        if number < first or not len(waiting):
            work += [LayerWork()] * stage.backbone.num_layers
            continue
        windows = read.by(number, waiting.tolist())
        backbone = stage.inference_backbone
        hidden, done = top_states(stage, backbone, windows, batch_size)
        scored: list[int] = []
        signals = _signals(model, number, backbone, hidden, windows, scored)
        halt = signals.none().logical_not()
        if number < depth:
            halt, state = policy.step(signals, state)
        left = halt.nonzero()[:, 0]
        if len(left):
            leaving = waiting[left.cpu()].numpy()
            log_probs[leaving] = log_probabilities(signals.logits_of(left)).cpu().numpy()
            exits[leaving] = number
            state = index_state(state, ~halt)
            waiting = waiting[~halt.cpu()]
        work += [*done[:-1], done[-1] + LayerWork(head=sum(scored))]
    prediction = log_probs.argmax(axis=-1)
    return Trace(
        text=np.arange(count),
        position=np.zeros(count, dtype=np.int64),
        exit_layer=exits,
        prediction=prediction,
        confidence=np.exp(np.take_along_axis(log_probs, prediction[:, None], axis=-1)[:, 0]),
        gold=read.gold.numpy(),
        log_probs=log_probs,
        lengths=np.array([p.sentence.length for p in read.last], dtype=np.int64),
        work=tuple(work),
        num_layers=depth,
    )


@torch.inference_mode()
def _logits(model: Stages, read: Reading, batch_size: int) -> list[Tensor]:
    """What each model says of every text, ``[N, C]`` each."""
    count = len(read.last)
    logits = []
    for number, stage in enumerate(model.stages, start=1):
        windows = read.by(number, list(range(count)))
        backbone = stage.inference_backbone
        hidden, _ = top_states(stage, backbone, windows, batch_size)
        logits.append(_signals(model, number, backbone, hidden, windows, []).logits.float().cpu())
    return logits


def cascade_exits(model: Stages, read: Reading, batch_size: int) -> ExitTable:
    """What every model says of every text, in ordinary tensors."""
    count = len(read.last)
    return ExitTable(
        logits=torch.stack(_logits(model, read, batch_size)),
        gate=None,
        window=torch.arange(count),
        position=torch.zeros(count, dtype=torch.long),
        item_id=_items(read.last),
        gold=read.gold,
        text=np.arange(count),
        mine=np.ones(count, dtype=bool),
        exit_layers=model.settings.exit_layers,
        num_layers=len(model.stages),
        classes=model.labels,
    )


def top_states(
    stage: ExitEncoder,
    backbone: Backbone,
    windows: Sequence[TextWindow],
    batch_size: int,
) -> tuple[Tensor, Work]:
    """Run texts to the top of one model, those of like length together.

    Returns:
        Their states there, ``[N, H]``, and the work done, the head's not yet.
    """
    check_windows(stage, windows)
    heads = stage.inference_heads
    order = sorted(range(len(windows)), key=lambda n: -windows[n].sentence.length)
    states, places, work = [], [], []
    for start in tracked(range(0, len(order), batch_size), "texts"):
        chunk = order[start : start + batch_size]
        batch = pack([windows[n].sentence for n in chunk], stage.device)
        top = _Top()
        work.append(
            encode(backbone, heads, batch, top, classes=stage.labels, reducer=stage.reducer)
        )
        states.append(top.hidden)
        places.append(torch.tensor(chunk)[batch.order])
    if not states:
        width, layers = stage.backbone.hidden_size, stage.backbone.num_layers
        return torch.zeros(0, width, device=stage.device), (LayerWork(),) * layers
    back = torch.cat(places).argsort().to(stage.device)
    return torch.cat(states)[back], reduce(add_work, work)


class _Top:
    """A visitor that lets nobody out and keeps the states at the top."""

    def __init__(self) -> None:
        self.hidden = torch.zeros(0)

    def arrive(self, signals: Signals, words: Tensor) -> None:
        self.hidden = signals.hidden

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Everybody, at the top."""


class Reading:
    """Texts as each model reads them; every reading is made once, when first asked for.

    Args:
        model: The cascade.
        texts: One or two strings each.
        targets: Gold class of each text, in a list of one.
    """

    def __init__(self, model: Stages, texts: Texts, targets: Targets = None) -> None:
        texts = list(read_parts(texts, "trace"))
        self._model, self._texts = model, texts
        self._own: dict[tuple[int, int], TextWindow] = {}
        self.last = model.stages[-1].encoder.encode(texts, targets)
        flat = None if targets is None else [target for row in targets for target in row]
        self.gold = torch.tensor([-100] * len(texts) if flat is None else flat, dtype=torch.long)

    def by(self, number: int, rows: list[int]) -> list[TextWindow]:
        """Some texts as stage ``number`` reads them."""
        if self._model.reads_as_last(number):
            return self._model.stages[number - 1].with_depths([self.last[row] for row in rows])
        new = [row for row in rows if (number, row) not in self._own]
        stage = self._model.stages[number - 1]
        windows = stage.with_depths(stage.encoder.encode([self._texts[row] for row in new]))
        self._own |= {(number, row): window for row, window in zip(new, windows, strict=True)}
        return [self._own[number, row] for row in rows]


def _signals(
    model: Stages,
    number: int,
    backbone: Backbone,
    hidden: Tensor,
    windows: Sequence[TextWindow],
    scored: list[int],
) -> Signals:
    """What a policy may see of the texts that reached a model; rows scored are noted."""
    columns = model.columns[number - 1]
    count = len(hidden)

    def head(states: Tensor) -> Tensor:
        scored.append(len(states))
        logits = backbone.classify(states)
        return logits if columns is None else logits[:, columns]

    gold = [p.sentence.targets for p in windows]
    known = [row[0] for row in gold if row]
    return Signals(
        layer=number,
        num_layers=len(model.stages),
        hidden=hidden,
        sequence=torch.arange(count, device=hidden.device),
        position=torch.zeros(count, dtype=torch.long, device=hidden.device),
        item_id=_items(windows).to(hidden.device),
        num_sequences=count,
        extent=1,
        head=head,
        classes=model.labels,
        target=torch.tensor(known, device=hidden.device) if len(known) == count else None,
        previous=_of_another_model,
    )


def _items(windows: Sequence[TextWindow]) -> Tensor:
    known = [(p.sentence.item, p.sentence.input_ids[0]) for p in windows]
    return torch.tensor([first if item is None else item for item, first in known]).long()


def _of_another_model() -> Tensor:
    raise UserError(
        "This policy compares the states of successive exits. Those of a cascade are of different "
        "models and cannot be compared: choose a policy that reads scores, such as max_prob."
    )


def _first_asked(policy: Policy, depth: int) -> int:
    """The first model at which anybody can leave, from 1."""
    if isinstance(policy, AssignedDepth) and not policy.by_item:
        return min(policy.depth, depth)
    return depth if isinstance(policy, Never) else 1
