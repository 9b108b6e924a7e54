"""From a run to its result."""

from __future__ import annotations

from typing import Any

from tokenexit.evaluation.reference import reference_precision
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.halting import Trace
from tokenexit.policies import Policy
from tokenexit.results import Result, kept, lower_is_better
from tokenexit.tasks import Task


def result_of(
    model: Any,
    task: Task,
    trace: Trace | TextTrace,
    policy: Policy,
    *,
    metric: str,
    quality: float,
    full: float,
    **more: Any,
) -> Result:
    """The result of a run.

    Args:
        model: What ran.
        task: What it does.
        trace: The run.
        policy: Who halted.
        metric: Which figure ``quality`` is.
        quality: With exits.
        full: At full depth.
        more: What else there is to tell: split, texts, cost, figures.
    """
    mean, lower = trace.mean_exit_layer, lower_is_better(metric)
    return Result(
        task=task.name,
        n_rows=len(trace),
        metric=metric,
        quality=quality,
        quality_full_depth=full,
        relative_quality=kept(quality, full, lower),
        mean_exit_layer=mean,
        num_layers=trace.num_layers,
        depth_speedup=trace.num_layers / mean if mean else 1.0,
        exit_histogram=trace.histogram,
        policy=policy.to_config(),
        lower_is_better=lower,
        precision=model.precision,
        products=model.products,
        runtime=model.runtime_used,
        full_depth_precision=reference_precision(model),
        unit=task.unit,
        **more,
    )
