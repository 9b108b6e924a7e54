"""What was gained, in three figures and a few plain sentences."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.promises.sentences import promise_sentences
from tokenexit.reporting.difference import difference_lines
from tokenexit.reporting.files import known
from tokenexit.reporting.run import RunData
from tokenexit.reporting.text_figures import text_sentences
from tokenexit.wording.naming import capital, metric_name, milliseconds, percent, score, times


@dataclass(frozen=True)
class Figure:
    """One large number: its name, its value, what it means."""

    name: str
    value: str
    meaning: str


def headline_figures(run: RunData) -> list[Figure]:
    """Quality kept, depth saved, compute left."""
    result = run.headline
    if result is None:
        return []
    whole = f"{capital(metric_name(result.metric))} {score(result.quality, result.metric, 3)}"
    whole += result.within
    full = known(result.quality_full_depth)
    if full is not None:
        whole += f", against {score(full, result.metric, 3)} at {result.full_name}"
    if result.lower_is_better:
        whole += " (lower is better)"
    leaves = f"A {result.unit} leaves" + (" the decoder" if result.generates else "")
    depth = f"{leaves} after {result.mean_exit_layer:.2f} of {result.num_layers} {run.step}s"
    heads = "encoder and exit heads" if result.generates else "exit heads"
    compute = f"of the plain model's multiply-accumulates, {heads} included"
    return [
        Figure("Quality kept", percent(result.relative_quality), f"{whole}."),
        Figure(f"Fewer {run.step}s", times(result.depth_speedup), f"{depth} on average."),
        _time(run) or Figure("Compute left", percent(result.mac_ratio, 0), f"{compute}."),
    ]


def _time(run: RunData) -> Figure | None:
    """Milliseconds a text, of the largest batches that were timed."""
    bench = run.benches[0] if run.benches else None
    if bench is None or bench.policy_ms is None:
        return None
    faster = f"{times(bench.total)} as fast as plain transformers, {bench.batches}"
    return Figure(
        "Time a text",
        milliseconds(bench.policy_ms),
        f"{faster}; exits alone {times(bench.exits)}.",
    )


def headline_sentences(run: RunData) -> list[str]:
    """Where the figures come from and whether the promise held."""
    result = run.headline
    sentences = []
    if result is not None:
        against = f", against {result.full_name}" if result.within else ""
        sentences.append(
            f"Measured{result.within} on the {result.split} split with the policy the model "
            f"keeps{against}."
        )
        if run.is_cascade:
            sentences.append(
                "This is a cascade of complete models: below, a layer stands for a model."
            )
        if result.quality_full_depth == 0 and not result.lower_is_better:
            sentences.append("Full depth scores 0 there, so there was nothing to keep: train more.")
        sentences += text_sentences(result)
        against_full = difference_lines(result).values()
        sentences += [f"Against {result.full_name} that is {told}." for told in against_full]
        if result.oracle is not None:
            sentences.append(
                f"An oracle would let {result.unit}s leave after {result.oracle.exit_layer:.2f} "
                f"{run.step}s; {percent(result.oracle.reached)} of its saving is reached."
            )
    results = (run.metrics or {}).get("splits") or {}
    calibration = run.calibration or (run.exits or {}).get("calibration") or {}
    return [*sentences, *promise_sentences(calibration, results)]
