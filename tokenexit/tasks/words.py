"""What all tasks share whose words get a class each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenexit.data.bio import is_bio
from tokenexit.data.corpus import WORDS
from tokenexit.policies import Policy
from tokenexit.policies.context_gate import ContextGate
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.pcee import PCEE
from tokenexit.policies.per_class import PerClass
from tokenexit.policies.window import Window
from tokenexit.tasks.labelled import LabelledTask, Rows
from tokenexit.tasks.view import Piece, View

if TYPE_CHECKING:
    import pyarrow as pa


class WordTask(LabelledTask):
    """A task whose words get a class each."""

    unit = "word"
    holder = "sentence"
    policy_unit = "word"
    loader = "ExitModelForTokenClassification"
    kind = "tagger"
    made = "a tagger"
    pipeline = "token-classification"
    reads = WORDS
    example = "Ada Lovelace was born in London ."
    given = "sentence"
    shown = "list(zip(result.words, result.labels, result.exit_layers))"

    def answer_fields(self, labels: Sequence[str], pairs: bool = False) -> dict[str, pa.DataType]:
        """See ``Task``; entities where there are labels of entities."""
        import pyarrow as pa

        text, texts = pa.string(), pa.list_(pa.string())
        fields = {
            "words": texts,
            "labels": texts,
            "exit_layers": pa.list_(pa.int32()),
            "confidences": pa.list_(pa.float64()),
            "text": text,
            "offsets": pa.list_(pa.list_(pa.int64())),
        }
        if any(label[:2] in ("B-", "I-") for label in labels):
            kinds = {"type": text, "text": text, "score": pa.float64()}
            places = dict.fromkeys(("start", "end", "start_char", "end_char"), pa.int64())
            fields["entities"] = pa.list_(pa.struct(list({**kinds, **places}.items())))
        return fields

    def view(self, answer: Any) -> View:
        """Each word with its label, ``O`` left out."""
        pieces = [
            Piece(word, layer, None if label == "O" else label, score)
            for word, layer, label, score in zip(
                answer.words, answer.exit_layers, answer.labels, answer.confidences, strict=True
            )
        ]
        return View(self.in_a_line(answer), pieces)

    def in_a_line(self, answer: Any) -> str:
        """What was found in a text, for people; by default how often which label."""
        found = Counter(answer.labels).most_common()
        return ", ".join(f"{count} {label}" for label, count in found)

    def named(self, rows: Rows) -> tuple[list[Any], list[Any]]:
        """One list of names a text."""
        cuts = np.flatnonzero(np.diff(rows.text)) + 1
        said, true = (
            [part.tolist() for part in np.split(rows.names(one), cuts)]
            for one in (rows.prediction, rows.gold)
        )
        return said, true

    def families(self, labels: Sequence[str], context: bool = False) -> list[Policy]:
        """The margin and entropy alone, over a window, twice in a row, per class for ``O``.

        The margin saved most where policies were compared (``recipes/results/policies``); the
        others cost one simulation each, and another corpus may prefer them.
        """
        gated: list[Policy] = [ContextGate()] if context else []
        usual = [*gated, Margin(), Entropy(), Window(Entropy(), 3), PCEE(Entropy(), 2)]
        if not (is_bio(labels) and "O" in labels):
            return usual
        # 'O' is most of the text and easy; a lost entity is what costs quality.
        apart = [PerClass(Entropy(0.1), {"O": Entropy(0.1 * ratio)}) for ratio in (0.3, 3.0)]
        return [*usual, *apart, Window(PerClass(Entropy(0.1), {"O": Entropy(0.03)}), 3)]
