"""What a calibration has found: the choice, and everything it was made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.evaluation.evaluate import Result


@dataclass(frozen=True)
class Candidate:
    """One setting that was tried: simulated, or run by the real engine (``verified``).

    Attributes:
        policy: The setting, as plain data.
        quality_simulated: On stored states.
        depth_speedup_simulated: Likewise.
        ms_foretold: Milliseconds a text, from what operations cost here; None unless asked for.
        quality: Of a real run, as what follows.
        relative_quality: Share of the full-depth quality.
        depth_speedup: Depth over mean exit layer.
        mac_ratio: Multiply-accumulates over the plain model's.
        ms: Milliseconds a text, as measured among the finalists.
        verified: Whether it was run.
    """

    policy: dict[str, Any]
    quality_simulated: float | None = None
    depth_speedup_simulated: float | None = None
    quality: float | None = None
    relative_quality: float | None = None
    depth_speedup: float | None = None
    mac_ratio: float | None = None
    verified: bool = False
    ms_foretold: float | None = None
    ms: float | None = None


@dataclass(frozen=True)
class Calibration:
    """The choice, and everything it was made from.

    Attributes:
        target: ``{"min_quality": q}`` or ``{"speedup": s}``, and ``confidence`` if asked for; or
            ``risk``, with ``delta``, ``risk_of`` and ``min_quality`` as far as given; ``latency``
            alone or beside ``min_quality``.
        split: Where it was measured.
        policy: The choice, as plain data.
        reached: Whether a real run kept the promise.
        quality_full_depth: Quality without exits, in float32.
        chosen: Figures of the choice.
        candidates: Everything that was tried.
        promise: What holds for unseen texts, with the bound, the number of texts and the method;
            None unless ``risk`` was asked for.
        measured: What the choice rests on: ``n_sentences`` of ``texts_in_split``, of which
            ``texts_choosing`` chose among policies, and what was kept and saved on them.
        data_used_for: What the same texts had served for before, such as choosing the epoch.
        precision: Of the model in which everything but the full depth was measured.
        minimise: What was minimised, if the user said: ``macs``, ``layers`` or ``time``.
        full_depth_kept: Quality of full depth in that precision, over that in float32.
        timing: Times of the finalists and where they hold, see ``finals``; None unless asked for.
        cost_model: What operations take on this machine, likewise.
        evidence: What was counted of each text where a guarantee was tested.
    """

    target: dict[str, Any]
    split: str
    policy: dict[str, Any]
    reached: bool
    quality_full_depth: float
    chosen: dict[str, Any]
    candidates: list[Candidate]
    promise: dict[str, Any] | None = None
    measured: dict[str, Any] = field(default_factory=dict)
    data_used_for: list[str] = field(default_factory=list)
    precision: str = "fp32"
    minimise: str | None = None
    full_depth_kept: float = 1.0
    timing: dict[str, Any] | None = None
    cost_model: dict[str, Any] | None = None
    evidence: Evidence | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data, but for costs and evidence, which have files of their own."""
        found = asdict(replace(self, cost_model=None, evidence=None))
        del found["cost_model"], found["evidence"]
        return found

    def for_model(self) -> dict[str, Any]:
        """What is saved with the model itself: the choice without all that was tried."""
        return {k: v for k, v in self.to_json().items() if k not in ("candidates", "chosen")}


def verified(result: Result, foretold: float | None = None) -> Candidate:
    """A real run as a candidate."""
    return Candidate(
        policy=dict(result.policy),
        quality=result.quality,
        relative_quality=result.relative_quality,
        depth_speedup=result.depth_speedup,
        mac_ratio=result.mac_ratio,
        verified=True,
        ms_foretold=foretold,
    )


def measured_of(
    best: Result, texts_in_split: int, texts_choosing: int = 0, figures: bool = False
) -> dict[str, Any]:
    """What a choice rests on, as plain data.

    Args:
        best: Of the choice.
        texts_in_split: Of the whole split.
        texts_choosing: Further texts, which chose among policies.
        figures: Whether to keep all of them: a promise of one's own may be about any.
    """
    found = {
        "n_sentences": best.n_sentences,
        "texts_in_split": texts_in_split,
        "texts_choosing": texts_choosing,
        "relative_quality": best.relative_quality,
        "depth_speedup": best.depth_speedup,
        "metric": best.metric,
        "lower_is_better": best.lower_is_better,
    }
    return {**found, "figures": dict(best.figures)} if figures else found
