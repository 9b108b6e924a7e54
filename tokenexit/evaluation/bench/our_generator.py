"""Generators with exits, as ``generate`` runs them."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.plain_generator import Source, written
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.generate_texts import pad_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy


class OurGenerator(Contender):
    """Greedy, with exits.

    Args:
        name: What it is called.
        model: The generator.
        policy: Who halts.
        pending: What pending tokens give to later ones.
        most: Tokens it may write.
    """

    def __init__(
        self, name: str, model: ExitModelForSeq2SeqLM, policy: Policy, pending: str, most: int
    ) -> None:
        self.name, self._model, self._policy = name, model, policy
        self._pending, self._most = pending, most
        self.precision = model.precision

    def run(self, batch: Sequence[Source]) -> Generated:
        """What was written, and where tokens left."""
        inputs = pad_sources(self._model, [source.ids for source in batch])
        found = self._model.generate(
            inputs["input_ids"],
            inputs["attention_mask"],
            policy=self._policy,
            pending=self._pending,
            max_new_tokens=self._most,
            num_beams=1,
            do_sample=False,
            return_dict_in_generate=True,
        )
        assert isinstance(found, Generated)
        return found

    def answers(self, batch: Sequence[Source], output: Generated) -> Answers:
        """Tokens of each text."""
        return written(self._model, batch, output.sequences[:, 1:].tolist())
