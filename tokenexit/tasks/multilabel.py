"""Several labels a text, or none: micro F1.

To the engine a class is a set of labels, so that a text still has one answer. A set is named by
its labels, sorted, with a bar between: ``Chemical|Disease``; the empty one is ``none``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tokenexit.data.labels import UNLABELLED, Cell, ReadLabel, class_label
from tokenexit.data.table import shown
from tokenexit.data.tagged import TaggedSplit, check_labels
from tokenexit.data.texts import TextSplit
from tokenexit.demo import label_sets as demo
from tokenexit.errors import UserError
from tokenexit.halting import Trace
from tokenexit.heads.label_sets import LabelSetsOutput, Sets, subsets
from tokenexit.policies import Policy
from tokenexit.policies.best_of_two import BestOfTwo
from tokenexit.policies.context_gate import ContextGate
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.pcee import PCEE
from tokenexit.tasks.base import TASKS
from tokenexit.tasks.labelled import Answers, Rows
from tokenexit.tasks.scoring.gold import FIRST_UNSEEN, UNKNOWN
from tokenexit.tasks.scoring.kinds import KindCount, count_kinds
from tokenexit.tasks.texts import TextTask

if TYPE_CHECKING:
    import pyarrow as pa

BAR, NONE = "|", "none"
ALL_SETS = 8
"""Up to so many labels every set of them is a class; of more, the sets of the training texts."""
MOST_LABELS, MOST_SETS = 50, 512


def name_of(labels: Iterable[str]) -> str:
    """Name of a set of labels."""
    return BAR.join(sorted(set(labels))) or NONE


def labels_of(name: str) -> list[str]:
    """Labels of a set, by its name."""
    return [] if name == NONE else name.split(BAR)


def singles(names: Iterable[str]) -> list[str]:
    """All labels that are in sets, sorted."""
    return sorted({label for name in names for label in labels_of(name)})


def read_set(cell: Cell) -> str:
    """The set that a value stands for: a list of labels, or text with bars between them.

    An empty list or text is the empty set; nothing at all (null) is no answer.

    Raises:
        UserError: Neither, or a label that cannot be told from a set.
    """
    if cell.value is None:
        return UNLABELLED
    given = cell.value
    if isinstance(given, str):
        return name_of(part for part in map(str.strip, given.split(BAR)) if part not in ("", NONE))
    if not isinstance(given, list | tuple):
        raise UserError(
            f"{cell.where}: {shown(given)} is no set of labels. Give a list of them, or text with "
            f"{BAR} between them."
        )
    labels = [class_label(replace(cell, value=label)) for label in given]
    for label in labels:
        if BAR in label or label in (NONE, UNLABELLED):
            raise UserError(
                f"{cell.where}: the label {label!r} would be taken for a set ({BAR} stands between "
                f"labels, {NONE} for no label); rename it, or drop it."
            )
    return name_of(labels)


@dataclass(frozen=True)
class LabelSetSplit(TextSplit):
    """Texts with a set of labels each; ``tags`` hold its name."""

    read_label: ClassVar[ReadLabel] = staticmethod(read_set)

    def unseen_codes(self, unseen: Sequence[str], labels: Sequence[str]) -> list[int]:
        """A bit for each of the model's labels, and one for all others."""
        own = singles(labels)
        place = {label: number for number, label in enumerate(own)}
        sets = [{place.get(label, len(own)) for label in labels_of(name)} for name in unseen]
        return [sum(1 << bit for bit in bits) for bits in sets]


@dataclass(frozen=True)
class LabelledText:
    """One text with its labels.

    Attributes:
        labels: Those it has, sorted; perhaps none.
        confidence: Probability of just this set.
        exit_layer: Layer at which the text left the network, from 1.
        text: The text, or both of a pair.
    """

    labels: list[str]
    confidence: float
    exit_layer: int
    text: str | list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)


@TASKS.register("multilabel")
class Multilabel(TextTask):
    """Each text gets any number of labels.

    Heads and the top have a sigmoid for each label (``heads.label_sets``), cut where the label's
    F1 on the validation split is best: a label of which a model knows little is then said often,
    at the price of exact matches. Up to ``ALL_SETS`` labels every set can be answered; with
    more, the empty set, each label alone, and the sets of the training texts.
    """

    title = "multi-label text classification"
    metric = "micro_f1"
    f1 = True
    kept = "f1 kept"
    figures = ("micro_f1", "macro_f1", "exact_match")
    split: ClassVar[type[TextSplit]] = LabelSetSplit
    usual: ClassVar[Mapping[str, Any]] = {"heads": {"name": "label_sets", "pool": "mean"}}
    shown: ClassVar[str] = "result.labels, result.confidence, result.exit_layer"

    def labels(self, split: TextSplit) -> tuple[str, ...]:
        """Names of the sets that can be answered, by size.

        Raises:
            UserError: No label at all, or too many.
        """
        seen = {tag for tags in split.tags or [] for tag in tags} - {UNLABELLED}
        own = singles(seen)
        if not own:
            raise UserError(f"{split.origin}: no text has a label, so there is nothing to learn.")
        if len(own) > ALL_SETS:
            chosen = sorted(seen | {NONE, *own}, key=lambda name: (len(labels_of(name)), name))
        else:
            chosen = [name_of(own[number] for number in one) for one in subsets(len(own))]
        if len(own) > MOST_LABELS or len(chosen) > MOST_SETS:
            raise UserError(
                f"{split.origin} has {len(own)} labels in {len(chosen)} sets; at most "
                f"{MOST_LABELS} labels and {MOST_SETS} sets are served. Leave out rare labels."
            )
        return tuple(chosen)

    def listed(self, labels: Sequence[str]) -> list[str]:
        """The labels that sets are made of."""
        return singles(labels)

    def heads(
        self, config: Mapping[str, Any] | None, labels: Sequence[str]
    ) -> Mapping[str, Any] | None:
        """Heads with a sigmoid for each label unless others are asked for."""
        config = {"name": "label_sets"} if config is None else config
        if not isinstance(config, Mapping) or config.get("name") != "label_sets":
            return config
        return {**config, "sets": numbered(labels)}

    def output(self, last: nn.Module, labels: Sequence[str]) -> nn.Module:
        """The same at the top."""
        if type(last) is not nn.Linear or last.bias is None:
            raise UserError(
                f"The model's own head ends in {type(last).__name__}; texts with several labels "
                "need one that ends in a linear layer with a bias. Give the encoder alone: "
                "model.base_model."
            )
        return LabelSetsOutput(last, numbered(labels))

    def scored(self, rows: Rows) -> dict[str, float]:
        """See ``LabelledTask``."""
        found, true = (members(one, rows.labels) for one in (rows.prediction, rows.gold))
        right, both = (found & true).sum(axis=0), found.sum(axis=0) + true.sum(axis=0)
        there = both > 0
        return {
            "micro_f1": float(2 * right.sum() / max(both.sum(), 1)),
            "macro_f1": float((2 * right[there] / both[there]).mean()) if there.any() else 0.0,
            "exact_match": float((found == true).all(axis=1).mean()) if len(rows.gold) else 0.0,
        }

    def quick(self, rows: Rows) -> float:
        """See ``LabelledTask``."""
        return self.scored(rows)["micro_f1"]

    def by_kind(self, rows: Rows) -> list[KindCount]:
        """See ``LabelledTask``; of each label, whatever set it is in."""
        found, true = (members(one, rows.labels) for one in (rows.prediction, rows.gold))
        own = singles(rows.labels)
        return count_kinds(own, found[:, :-1], true[:, :-1])

    def parts(self, rows: Rows, texts: int) -> NDArray[np.float64]:
        """See ``LabelledTask``."""
        found, true = (members(one, rows.labels) for one in (rows.prediction, rows.gold))
        sums = (2 * (found & true).sum(axis=1), found.sum(axis=1) + true.sum(axis=1))
        counts = [np.bincount(rows.text, one, texts) for one in sums]
        return np.stack(counts, axis=1).astype(np.float64)

    def named(self, rows: Rows) -> tuple[list[Any], list[Any]]:
        """One name of a set a text."""
        return rows.names(rows.prediction).tolist(), rows.names(rows.gold).tolist()

    def families(self, labels: Sequence[str], context: bool = False) -> list[Policy]:
        """All labels together (entropy), the slowest one alone, and sureness of the whole set."""
        gated: list[Policy] = [ContextGate()] if context else []
        return [*gated, Entropy(), BestOfTwo(), PCEE(Entropy(), 2), Margin()]

    def answers(self, trace: Trace, labels: Sequence[str], texts: Sequence[Any]) -> list[Any]:
        """The labels of each text."""
        rows = zip(trace.prediction, trace.confidence, trace.exit_layer, texts, strict=True)
        return [
            LabelledText(labels_of(labels[int(found)]), round(float(sure), 6), int(layer), text)
            for found, sure, layer, text in rows
        ]

    def said(self, answer: Any) -> tuple[str, float | None]:
        """Its labels, if any."""
        return ", ".join(answer.labels) or "no label", answer.confidence

    def said_fields(self) -> dict[str, pa.DataType]:
        """A list of labels, and how sure it is."""
        import pyarrow as pa

        return {"labels": pa.list_(pa.string()), "confidence": pa.float64()}

    def check_known(self, splits: Mapping[str, TaggedSplit], labels: Sequence[str]) -> None:
        """Say which labels, not which sets, training does not have."""
        apart = {name: one_by_one(split) for name, split in splits.items()}
        super().check_known(apart, singles(labels))

    def check_answers(self, split: TaggedSplit, labels: Sequence[str], on_unknown: str) -> None:
        """See ``LabelledTask``; an unseen set of known labels can be scored.

        Raises:
            UserError: Its texts have no sets of labels, or unknown ones.
        """
        if not isinstance(split, LabelSetSplit):
            raise UserError(
                f"{split.origin} holds no sets of labels: give data of the model's own kind "
                "(tokenexit.data.texts.read_texts(..., kind=LabelSetSplit) reads it)."
            )
        check_labels(one_by_one(split.labelled()), singles(labels), on_unknown)

    def write_demo(self, folder: Path) -> None:
        """See ``Task``."""
        demo.write(folder)


def numbered(names: Sequence[str]) -> Sets:
    """Sets by the numbers of their labels, as heads take them."""
    place = {label: number for number, label in enumerate(singles(names))}
    sets = [tuple(place[label] for label in labels_of(name)) for name in names]
    return len(place) if sets == subsets(len(place)) else [list(one) for one in sets]


def one_by_one(split: TaggedSplit) -> TaggedSplit:
    """The same texts with their labels as so many tags."""
    apart = [[label for tag in tags for label in labels_of(tag)] for tags in split.tags or []]
    return TaggedSplit(split.tokens, apart, split.origin)


def members(classes: Answers, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which labels each row has, ``[W, L + 1]``; the last column is for those unknown."""
    own = singles(labels)
    table = np.array([[label in labels_of(name) for label in own] + [False] for name in labels])
    classes = classes.astype(np.int64)
    code = np.where(classes == UNKNOWN, 1 << len(own), np.maximum(FIRST_UNSEEN - classes, 0))
    bits = (code[:, None] >> np.arange(len(own) + 1)) & 1
    unknown = (classes < 0)[:, None]
    return np.where(unknown, bits > 0, table[np.maximum(classes, 0)]).astype(bool)
