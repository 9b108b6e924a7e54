"""Legal tag sequences from scores of mixed depth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tokenexit.data.bio import legal_transitions


class LegalDecoder:
    """Viterbi over the transitions that the BIO scheme allows.

    Neighbouring words may have left at different layers, whose heads know nothing of each
    other; the best *legal* sequence under their log-probabilities never contains an I-X that
    nothing began.

    Args:
        labels: Label names in the order of the classes.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        start, matrix = legal_transitions(labels)
        self._start = np.where(np.array(start), 0.0, -np.inf)
        self._matrix = np.where(np.array(matrix), 0.0, -np.inf)

    def all(self, log_probs: NDArray[np.floating], text: NDArray[np.int64]) -> NDArray[np.int64]:
        """Best legal classes for many texts, laid end to end.

        Args:
            log_probs: ``[W, C]``.
            text: Number of the text of each word, ``[W]``.
        """
        greedy = log_probs.argmax(axis=-1)
        if not len(greedy):
            return greedy
        first = np.diff(text, prepend=text[0] - 1) != 0
        legal = np.where(first, self._start[greedy] == 0, True)
        legal[1:] &= first[1:] | (self._matrix[greedy[:-1], greedy[1:]] == 0)
        starts = np.flatnonzero(first)
        for place in np.unique(np.searchsorted(starts, np.flatnonzero(~legal), "right") - 1):
            stop = starts[place + 1] if place + 1 < len(starts) else len(greedy)
            words = slice(starts[place], stop)
            greedy[words] = self(log_probs[words])
        return greedy

    def __call__(self, log_probs: NDArray[np.floating]) -> NDArray[np.int64]:
        """Best legal classes for one text, ``[n, C] -> [n]``."""
        if len(log_probs) == 0:
            return np.zeros(0, dtype=np.int64)
        greedy = log_probs.argmax(axis=-1)
        if self._start[greedy[0]] == 0 and (self._matrix[greedy[:-1], greedy[1:]] == 0).all():
            return greedy  # nothing can be better, and rounded sums could tell ties apart wrongly
        best = log_probs[0] + self._start
        back = np.zeros(log_probs.shape, dtype=np.int64)
        for place in range(1, len(log_probs)):
            reach = best[:, None] + self._matrix
            back[place] = reach.argmax(axis=0)
            best = reach.max(axis=0) + log_probs[place]
        path = [int(best.argmax())]
        for place in range(len(log_probs) - 1, 0, -1):
            path.append(int(back[place, path[-1]]))
        return np.array(path[::-1], dtype=np.int64)


@lru_cache(maxsize=32)
def legal_decoder(labels: tuple[str, ...]) -> LegalDecoder:
    """The decoder of a label set, made once."""
    return LegalDecoder(labels)
