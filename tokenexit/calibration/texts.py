"""Choosing a policy for a generator: real runs only, because one other word changes the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.guarantee_texts import certify_texts
from tokenexit.calibration.sampling import drawn, warn_of_few
from tokenexit.calibration.search import (
    Calibration,
    check_family,
    fastest,
    measured_of,
    promised,
    verified,
)
from tokenexit.data.pairs import PairSplit
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.evaluation.quality import USUAL_OF_TEXTS
from tokenexit.evaluation.text_metrics import check_parts, relative_bound
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.metrics import build_metric
from tokenexit.models.generate import check_policy
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.decay import Decay
from tokenexit.policies.every_kth import EveryKth
from tokenexit.policies.learned_gate import LearnedGate
from tokenexit.policies.margin import Margin
from tokenexit.policies.never import Never

RUNS = 6
"""Settings of a family that are run: its dial is halved so often."""


def default_text_families(model: ExitModelForSeq2SeqLM) -> list[Policy]:
    """The margin at every second layer, and at every layer; a gate that was trained besides.

    A vocabulary costs more than a layer does, so asking half as often wins on the clock; the margin
    is the confidence that did (``recipes/results/policies/e2e``).
    """
    families: list[Policy] = [EveryKth(Margin(0.9), 2), Decay(Margin(0.9))]
    return [*families, LearnedGate(0.1)] if model.gate is not None else families


def calibrate_texts(
    model: ExitModelForSeq2SeqLM,
    split: PairSplit,
    config: CalibrateConfig,
    *,
    name: str = "validation",
    families: Sequence[Policy] | None = None,
    batch_size: int = 32,
    design: PairSplit | None = None,
) -> Calibration:
    """Choose a policy for a generator. The model is not changed.

    Each family's dial is searched by bisection, from strict to loose, with real runs on the
    whole split, or on ``config.limit`` texts of it.

    Args:
        model: The generator.
        split: Sources with references that the model was not trained on; ``risk`` alone needs no
            references.
        config: The promise; quality is the model's metric, BLEU unless it has another.
        name: Name of the split.
        families: Policies whose knobs are turned; ``default_text_families`` when None.
        batch_size: Texts a batch.
        design: For ``risk``: further texts that choose the family, see ``certify``.

    Raises:
        UserError: A family has no knob, looks at gold labels or has no meaning for tokens that
            are generated.
    """
    policies = list(families or default_text_families(model))
    for policy in policies:
        check_family(policy)
        check_policy(policy)
    metric = build_metric(model.settings.metric or USUAL_OF_TEXTS, "texts")
    if config.confidence is not None:
        check_parts(metric)
    count = len(split) + (0 if design is None else len(design))
    part, design = drawn(split, design, config.limit)
    warn_of_few(config, len(part))
    if config.promise is not None:
        found = certify_texts(
            model,
            part,
            policies,
            config.promise,
            min_quality=config.min_quality,
            settings=config.grid,
            name=name,
            batch_size=batch_size,
            design=design,
        )
        return promised(found, config, name, count)
    kind, goal = config.target
    full, deep = evaluate_texts(model, part, name, Never(), batch_size=batch_size)

    references = part.references or [[target] for target in part.targets or ()]

    def keeps(result: Result, trace: TextTrace) -> bool:
        if kind == "speedup":
            return result.depth_speedup >= goal
        if config.confidence is None:
            return result.relative_quality >= goal
        sure = config.confidence
        return relative_bound(metric, trace.texts, deep.texts, references, sure) >= goal

    measured: list[Result] = []
    kept: list[Result] = []
    for policy in policies:
        knob = policy.dial()
        assert knob is not None
        # Probabilities, too, evenly: margins at which generators may leave are far from one.
        knob = replace(knob, near_one=False)
        strict, loose = 0.0, 1.0
        for _ in range(RUNS):
            middle = (strict + loose) / 2
            setting = policy.at(knob.value(middle))
            result, trace = evaluate_texts(
                model, part, name, setting, full=deep, batch_size=batch_size
            )
            measured.append(result)
            good = keeps(result, trace)
            kept += [result] * good
            # Looser while the quality holds; stricter while the speed does.
            if good == (kind == "min_quality"):
                strict = middle
            else:
                loose = middle
    if kind == "min_quality":
        best = min([full, *kept], key=lambda r: r.mac_ratio)
    else:
        sign = -1 if metric.lower_is_better else 1
        best = max(kept, key=lambda r: sign * r.quality) if kept else fastest(measured, goal)
    return Calibration(
        measured=measured_of(best, count),
        target={kind: goal} | ({"confidence": config.confidence} if config.confidence else {}),
        split=name,
        policy=dict(best.policy),
        reached=kind == "min_quality" or bool(kept),
        quality_full_depth=full.quality,
        chosen=best.to_json(),
        candidates=[verified(result) for result in [full, *measured]],
    )
