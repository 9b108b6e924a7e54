"""What the oracle is: the one place that says it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def oracle_layers(named: NDArray[np.integer], exit_layers: Sequence[int]) -> NDArray[np.int64]:
    """The layer at which the oracle lets each row leave.

    A row (a word, a text to classify, a token of a generated text) leaves at the first exit from
    which on every exit names what the top names. An exit that agrees by chance, below one that
    does not, is no exit of the oracle's.

    All exits are read in one pass at full depth, in the precision that the model was told: nobody
    halts, so no state differs from the plain network's. What an exit names is its class of
    highest score, before labels are chosen as a scheme of theirs allows. A token of a generated
    text is read along what the full depth wrote (teacher forcing): all tokens before it are the
    full depth's, and what is named is the entry of the vocabulary of highest score, whatever
    ``generate`` forbids or searches.

    So the oracle loses nothing against full depth, if leaving changed nothing for others. It
    knows nothing of gold labels: where the top is wrong, it waits for the same mistake.

    Args:
        named: What each exit names, ``[E, N]``; the last exit is the top.
        exit_layers: Layer of each exit, from 1, ``[E]``.

    Returns:
        Layers, ``[N]``.
    """
    agrees = named == named[-1]
    agrees[-1] = True
    steady = np.logical_and.accumulate(agrees[::-1], axis=0)[::-1]
    return np.asarray(exit_layers, dtype=np.int64)[steady.argmax(axis=0)]
