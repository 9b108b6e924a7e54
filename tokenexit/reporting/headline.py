"""What was gained, in three figures and a few plain sentences."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.reporting.naming import capital, metric_name, percent, score, target_text, times
from tokenexit.reporting.run import RunData
from tokenexit.reporting.text_figures import text_sentences


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
    if result.full is not None:
        whole += f", against {score(result.full, result.metric, 3)} at full depth"
    leaves = f"A {result.unit} leaves" + (" the decoder" if result.generates else "")
    depth = f"{leaves} after {result.mean_exit_layer:.2f} of {result.num_layers} {run.step}s"
    heads = "encoder and exit heads" if result.generates else "exit heads"
    compute = f"of the plain model's multiply-accumulates, {heads} included"
    return [
        Figure("Quality kept", percent(result.relative), f"{whole}."),
        Figure(f"Fewer {run.step}s", times(result.speedup), f"{depth} on average."),
        Figure("Compute left", percent(result.mac_ratio, 0), f"{compute}."),
    ]


def headline_sentences(run: RunData) -> list[str]:
    """Where the figures come from and whether the promise held."""
    result = run.headline
    sentences = []
    if result is not None:
        sentences.append(f"Measured on the {result.split} split with the policy the model keeps.")
        if run.is_cascade:
            sentences.append(
                "This is a cascade of complete models: below, a layer stands for a model."
            )
        if result.full == 0:
            sentences.append("Full depth scores 0 there, so there was nothing to keep: train more.")
        sentences += text_sentences(result)
    calibration = run.calibration or {}
    target = calibration.get("target") or {}
    if target:
        split = calibration.get("split", "validation")
        sentences.append(
            f"The policy was chosen on {_where(run, split)} to {target_text(target)}"
            + (", and does so there." if calibration.get("reached") else ", which no setting did.")
        )
    asked = target.get("min_quality")
    if result is not None and asked and result.relative is not None and result.split == "test":
        held = result.relative >= asked
        kept = percent(result.relative, 2)
        sentences.append(
            f"On unseen text it keeps {kept}" + (", as promised." if held else ", less than asked.")
        )
    return sentences


def _where(run: RunData, split: str) -> str:
    """The split of the calibration, or how much of it was used."""
    used = ((run.calibration or {}).get("chosen") or {}).get("n_sentences")
    result = run.results.get(split)
    if not used or result is None or not result.sentences or used >= result.sentences:
        return f"the {split} split"
    return f"{used} texts of the {split} split"
