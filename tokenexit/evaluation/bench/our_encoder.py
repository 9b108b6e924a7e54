"""Taggers, classifiers and cascades with exits, as ``predict`` runs them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.halting import Trace
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.cascades.run import Reading, run_cascade
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.run import run
from tokenexit.policies import Policy


@singledispatch
def ours(
    model: Any, name: str, texts: Sequence[Sequence[str]], policy: Policy, batch_size: int
) -> Contender:
    """A model with exits as one of those that are timed.

    Args:
        model: A tagger, a text classifier or a cascade.
        name: What it is called.
        texts: All texts.
        policy: Who halts.
        batch_size: Texts a batch.
    """
    raise TypeError(f"{type(model).__name__} is no model with exits.")


class OurEncoder(Contender):
    """One network with exits."""

    def __init__(self, name: str, model: EncoderModel, policy: Policy) -> None:
        self.name, self._model, self._policy = name, model, policy
        self.precision = model.precision

    def run(self, batch: Sequence[TextWindow]) -> Trace:
        """Where words left, and as what."""
        return run(self._model, batch, self._policy, batch_size=len(batch))

    def answers(self, batch: Sequence[TextWindow], output: Trace) -> Answers:
        """Classes of words or texts."""
        return trace_answers(output, self._model)


class OurTextsByDepth(OurEncoder):
    """A text classifier that makes its batches anew between exits."""

    own_batches = True

    def __init__(self, name: str, model: EncoderModel, policy: Policy, batch_size: int) -> None:
        super().__init__(name, model, policy)
        self._size = batch_size

    def run(self, batch: Sequence[TextWindow]) -> Trace:
        """Where texts left, and as what."""
        return run(self._model, batch, self._policy, batch_size=self._size)


@ours.register
def _(
    model: EncoderModel, name: str, texts: Sequence[Any], policy: Policy, batch_size: int
) -> Contender:
    if model.settings.batching == "by_depth":
        return OurTextsByDepth(name, model, policy, batch_size)
    return OurEncoder(name, model, policy)


class OurCascade(Contender):
    """Whole models one after the other, each of which makes batches of its own.

    Args:
        name: What it is called.
        model: The cascade.
        texts: All texts.
        policy: Who is done after which model.
        batch_size: Texts a batch.
    """

    own_batches = True

    def __init__(
        self,
        name: str,
        model: CascadeForSequenceClassification,
        texts: Sequence[Sequence[str]],
        policy: Policy,
        batch_size: int,
    ) -> None:
        self.name, self._model, self._policy, self._size = name, model, policy, batch_size
        self._reading = Reading(model, texts)
        self.precision = model.precision

    def run(self, batch: Sequence[TextWindow]) -> Trace:
        """After which model texts were done, and as what."""
        return run_cascade(self._model, self._reading, self._policy, self._size)

    def answers(self, batch: Sequence[TextWindow], output: Trace) -> Answers:
        """Classes of texts."""
        return trace_answers(output, self._model.stages[-1])


@ours.register
def _(
    model: CascadeForSequenceClassification,
    name: str,
    texts: Sequence[Any],
    policy: Policy,
    batch_size: int,
) -> Contender:
    return OurCascade(name, model, texts, policy, batch_size)


def trace_answers(trace: Trace, model: EncoderModel) -> Answers:
    """What a run says of its words; see ``plain_encoder.word_answers``."""
    places = zip(trace.text.tolist(), trace.position.tolist(), strict=True)
    if model.scale is None:
        return dict(zip(places, trace.prediction.tolist(), strict=True))
    scores = trace.log_probs[:, 0].tolist()
    return {place: round(score, 2) for place, score in zip(places, scores, strict=True)}
