"""What a comparison says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One thing that was timed, or that could not be.

    Attributes:
        name: What it is.
        precision: What it computed in.
        ms_per_text: Milliseconds a text (a window of a long one), median of the passes.
        per_second: Texts a second; of generators tokens.
        speedup_median: Time of the plain model, padded, over its own; median of the passes.
        speedup_p10: Its 10th percentile.
        speedup_p90: Its 90th percentile.
        ours_median: Its time over that of ours with the policy, median of the passes.
        ours_p10: Its 10th percentile.
        ours_p90: Its 90th percentile.
        full_depth_median: Its time over that of ours at full depth, median.
        agreement: Share of words or texts labelled as the plain model labels them; of generated
            texts the share of tokens up to the first that differs, mean over texts.
        tokens: Tokens written, of generators.
        same_texts: Share of texts written as by the plain model, of generators.
        reason: Why there are no figures.
    """

    name: str
    precision: str
    ms_per_text: float | None = None
    per_second: float | None = None
    speedup_median: float | None = None
    speedup_p10: float | None = None
    speedup_p90: float | None = None
    ours_median: float | None = None
    ours_p10: float | None = None
    ours_p90: float | None = None
    full_depth_median: float | None = None
    agreement: float | None = None
    tokens: int | None = None
    same_texts: float | None = None
    reason: str | None = None


def spread(name: str, ratios: Any) -> dict[str, float]:
    """Median and 10th and 90th percentile, by name."""
    return {
        f"{name}_median": float(np.median(ratios)),
        f"{name}_p10": float(np.percentile(ratios, 10)),
        f"{name}_p90": float(np.percentile(ratios, 90)),
    }


@dataclass(frozen=True)
class BenchResult:
    """One comparison.

    Attributes:
        kind: What is counted: ``words`` of taggers, ``texts`` of classifiers, ``tokens`` of
            generators.
        baseline: What the times are compared with.
        batch_size: Texts a batch.
        threads: Threads that all compute with.
        device: Where ours and the plain model compute.
        dtype: Of the weights.
        precision: What ours computes in.
        runtime: Who plans ours: ``eager``, ``static`` or ``kernels``.
        repeats: Passes over the texts.
        n_sentences: Texts (windows of long ones).
        policy: Who halts.
        speedup_median: Time of the baseline over ours with the policy, median of the passes.
        speedup_p10: Its 10th percentile.
        speedup_p90: Its 90th percentile.
        full_depth_speedup: Time of the baseline over ours at full depth, median.
        policy_speedup: Time of ours at full depth over ours with the policy, median.
        policy_speedup_p10: Its 10th percentile.
        policy_speedup_p90: Its 90th percentile.
        bound: What the arithmetic allows ``policy_speedup`` to be: multiply-accumulates at full
            depth over those with the policy, heads and propagation counted.
        of_bound: ``policy_speedup / bound``.
        mac_ratio: Our multiply-accumulates over the plain model's on real tokens.
        efficiency: ``speedup_median * mac_ratio``: 1 when saved work is saved time.
        mean_exit_layer: Average depth of a word, text or token with the policy.
        num_layers: The whole depth.
        padding: Share of padding in the baseline's batches.
        rows: Everything that was timed, the baseline first.
        ran: What computed: machine, instruction set, versions.
        pending: When generating, what pending tokens give to later ones.
        tokens: When generating, tokens written by the baseline, ours at full depth, and ours with
            the policy.
        batching: When generating, how rows that waited for others of their depth fared, if asked
            for: settings, ``fixed_*`` and ``full_depth_*`` (time of ours in fixed batches with the
            policy, and at full depth, over that by depth), and the ``fastest`` of the three.
    """

    kind: str
    baseline: str
    batch_size: int
    threads: int
    device: str
    dtype: str
    precision: str
    runtime: str
    repeats: int
    n_sentences: int
    policy: dict[str, Any]
    speedup_median: float
    speedup_p10: float
    speedup_p90: float
    full_depth_speedup: float
    policy_speedup: float
    policy_speedup_p10: float
    policy_speedup_p90: float
    bound: float
    of_bound: float
    mac_ratio: float
    efficiency: float
    mean_exit_layer: float
    num_layers: int
    padding: float
    rows: tuple[Row, ...]
    ran: Mapping[str, Any]
    pending: str | None = None
    tokens: tuple[int, int, int] | None = None
    batching: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data; what is not known of a row is left out."""
        data = asdict(self)
        data["rows"] = [{k: v for k, v in row.items() if v is not None} for row in data["rows"]]
        return {k: v for k, v in data.items() if v is not None}
