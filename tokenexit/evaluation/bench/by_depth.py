"""Rows that wait for others of their depth, beside fixed batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tokenexit.decoding.by_depth import Text
from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.plain_generator import Source
from tokenexit.evaluation.bench.race import Timed
from tokenexit.evaluation.bench.result import spread
from tokenexit.models.generation.by_depth import corpus_by_depth
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy

NAME = "ours, by depth"


class OurByDepth(Contender):
    """Greedy, with exits; makes batches of its own out of all texts.

    Args:
        model: The generator.
        policy: Who halts.
        pending: What pending tokens give to later ones.
        most: Tokens it may write.
        batch_size: Rows of a round at most.
        max_wait: Rounds after which a row is due; the usual number when None.
    """

    name = NAME
    own_batches = True

    def __init__(
        self,
        model: ExitModelForSeq2SeqLM,
        policy: Policy,
        pending: str,
        most: int,
        batch_size: int,
        max_wait: int | None,
    ) -> None:
        self._model, self._policy, self._pending = model, policy, pending
        self._most, self._size, self._wait = most, batch_size, max_wait
        self.precision = model.precision
        self.told: dict[str, Any] = {}
        """Settings, and the longest wait of the last run."""

    def run(self, batch: Sequence[Source]) -> list[Text]:
        """What was written, and where tokens left."""
        found = corpus_by_depth(
            self._model,
            iter([source.ids for source in batch]),
            self._policy,
            pending=self._pending,
            batch_size=self._size,
            max_wait=self._wait,
            max_new_tokens=self._most,
            num_beams=1,
            do_sample=False,
        )
        assert found is not None
        corpus, _ = found
        texts = list(corpus)
        self.told = {
            "max_wait": corpus.max_wait,
            "slots": corpus.slots,
            "longest_wait": corpus.longest_wait,
            "runtime": "static" if self._model.runtime == "static" else "eager",
        }
        return texts

    def answers(self, batch: Sequence[Source], output: list[Text]) -> Answers:
        """Tokens of each text."""
        pairs = zip(batch, output, strict=True)
        return {source.number: tuple(text.tokens) for source, text in pairs}


def batching_told(one: Timed, full: Timed, fixed: Timed) -> Mapping[str, Any]:
    """How they compare.

    Args:
        one: By depth.
        full: Ours at full depth, in fixed batches.
        fixed: Ours with the same policy, in fixed batches.
    """
    assert isinstance(one.contender, OurByDepth)
    spent, deep, early = (np.array(each.seconds) for each in (one, full, fixed))
    medians = {each.contender.name: float(np.median(each.seconds)) for each in (one, full, fixed)}
    return {
        **one.contender.told,
        **spread("fixed", early / spent),
        **spread("full_depth", deep / spent),
        "fastest": min(medians, key=lambda name: medians[name]),
    }
