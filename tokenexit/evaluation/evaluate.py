"""Quality and cost of a model on a split, whatever it does."""

from __future__ import annotations

from typing import Any, overload

from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.evaluation.labelled import check_answers, evaluate_labelled, trace_split
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.halting import Trace
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.kinds import by_kind
from tokenexit.policies import Policy
from tokenexit.results import Result

__all__ = ["Result", "check_answers", "evaluate", "trace_split"]


@overload
def evaluate(
    model: ExitModelForSeq2SeqLM,
    split: PairSplit,
    name: str,
    policy: Policy | None = None,
    **options: Any,
) -> tuple[Result, TextTrace]: ...


@overload
def evaluate(
    model: Labeller, split: TaggedSplit, name: str, policy: Policy | None = None, **options: Any
) -> tuple[Result, Trace]: ...


def evaluate(
    model: Any, split: Any, name: str, policy: Policy | None = None, **options: Any
) -> tuple[Result, Any]:
    """Measure a policy on a split.

    Args:
        model: A tagger, a text classifier, a cascade or a text generator.
        split: Labelled texts, or sources with references.
        name: Name of the split.
        policy: Who halts; the model's own when None.
        options: ``batch_size``, ``oracle``, and what ``evaluate_labelled`` or ``evaluate_texts``
            can be told besides.

    Returns:
        The figures, and the trace they come from.

    Raises:
        UserError: The split has nothing to compare with, or what the model does not know.
    """
    measure = by_kind(model, evaluate_labelled, evaluate_texts)
    return measure(model, split, name, policy, **options)
