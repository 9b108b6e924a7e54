"""The oracle of a tagger or a classifier, from what every exit says at full depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.exits import read_exits
from tokenexit.halting import Trace
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.oracle import Account, Rows, account, oracle_layers
from tokenexit.tasks import labelled_task


@dataclass(frozen=True, eq=False)
class WordOracle:
    """What full depth knows of each word, in order of text and position, ``[W]``.

    Attributes:
        layers: Layer at which the oracle lets it leave.
        top: Class that the top names, before labels are chosen as a scheme allows.
    """

    layers: NDArray[np.int64]
    top: NDArray[np.int64]

    def rows(self, trace: Trace) -> Rows:
        """A run on the same texts beside it."""
        return Rows(trace.exit_layer, self.layers, trace.log_probs.argmax(axis=-1) != self.top)

    def account(self, trace: Trace, labels: tuple[str, ...]) -> Account | None:
        """What an evaluation says of a run; words are grouped by the class that the top names."""
        return account(self.rows(trace), [labels[n] for n in self.top], trace.num_layers)

    def columns(self, trace: Trace) -> dict[str, NDArray[np.int64]]:
        """What is saved beside the words of a run."""
        said = trace.log_probs.argmax(axis=-1)
        return {"oracle_layer": self.layers, "top_class": self.top, "exit_class": said}


def oracle_words(model: Labeller, split: TaggedSplit, batch_size: int = 32) -> WordOracle:
    """Run a split to full depth once, over all processes; see ``oracle.oracle_layers``.

    Args:
        model: The tagger or classifier.
        split: Its texts; labels are not looked at.
        batch_size: Texts a batch.

    Raises:
        UserError: It predicts numbers, which no exit names again exactly; or there is no word.
    """
    if not labelled_task(model.settings.task).countable:
        raise UserError(
            "A regression predicts numbers, and no exit gives the number of the top: there is "
            "no oracle of it. Leave it out (--no-oracle)."
        )

    def named(table: ExitTable) -> NDArray[np.int64]:
        return table.logits.argmax(dim=-1).numpy()

    found = read_exits(model, split, batch_size, named).said
    return WordOracle(oracle_layers(found, model.settings.exit_layers), found[-1])
