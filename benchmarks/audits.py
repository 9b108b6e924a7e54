r"""Audits: how far apart false alarms are, how soon a change is found, and what watching costs.

    python benchmarks/audits.py --run RUN --data D --out benchmarks/results/audits.json

Streams of audited texts are drawn, of each of which it is known how often exits differ from full
depth. *Between false alarms* is counted at the share that is allowed, where they are most frequent.
*Found after* is the median number of audited texts from a change to the alarm, after many good ones
in which false alarms start the detector anew. *Cost* is processor time of serving with an audit
over that without, text by text in turn on a real run, with its own policy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit.audit import Audit, Detector  # noqa: E402
from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402

ALLOWED = 0.05
GOOD = 2000
"""Good texts before a change."""
LONGEST = 100_000
CHANGES = ((0.025, 0.075), (0.025, 0.10), (0.05, 0.10), (0.025, 0.15), (0.025, 0.25))
"""Shares of audited texts that differ, before and after."""


def run_lengths(
    detector: Detector, streams: int, share: float, longest: int, *, seed: int = 0,
    before: float | None = None, good: int = 0,
) -> np.ndarray:  # fmt: skip
    """Numbers until the alarm, of each stream; ``longest`` where none sounds.

    The same sums as the class, of all streams at once; a test holds the two together.

    Args:
        detector: Which detector.
        streams: How many streams.
        share: Of texts that differ.
        longest: After so many texts a stream ends.
        seed: Of the draw.
        before: The share in the first ``good`` texts, which are not counted.
        good: How many these are.
    """
    rng, stakes = np.random.default_rng(seed), np.array(detector.stakes)[:, None]
    sums, found = np.zeros((len(stakes), streams)), np.full(streams, longest)
    running = np.arange(streams)
    for place in range(good + longest):
        share_now = before if before is not None and place < good else share
        numbers = (rng.random(len(running)) < share_now) * 1.0
        sums = (sums + 1 / len(stakes)) * (1 + stakes * (numbers - detector.centre))
        over = sums.sum(axis=0) >= detector.threshold
        if place < good:
            sums[:, over] = 0.0  # a false alarm starts anew
            continue
        found[running[over]] = place - good + 1
        sums, running = sums[:, ~over], running[~over]
        if not len(running):
            break
    return found


def simulated(streams: int, seed: int) -> dict[str, Any]:
    """What the usual detector does."""
    one = Detector.of_more(ALLOWED)
    alarms = run_lengths(one, streams, ALLOWED, LONGEST, seed=seed)
    found = [
        {
            "before": before, "after": after, "good": GOOD,
            "found_after": float(np.median(run_lengths(
                one, streams, after, LONGEST, seed=seed + 1, before=before, good=GOOD
            ))),
        }
        for before, after in CHANGES
    ]  # fmt: skip
    return {
        "allowed": ALLOWED, "per_false_alarm": one.threshold, "streams": streams,
        "between_false_alarms": float(alarms.mean()), "changes": found,
    }  # fmt: skip


def costs(run: str, data: str, rate: float, rounds: int, block: int) -> dict[str, Any]:
    """Processor time of serving with an audit over that without, on a run's test texts."""
    from tokenexit.workflows.commands import open_model

    opened = open_model(run, device="cpu")
    split = opened.split(data, "test", False)
    texts = [" ".join(text) if isinstance(text, list) else text for text in opened.texts(split)]
    audit = Audit(opened.model, rate=rate, allowed=ALLOWED)
    list(opened.model.predict_iter(texts[:64], batch_size=32))  # warm
    plain, watched = [], []
    for number in range(rounds):
        some = [texts[(number * block + place) % len(texts)] for place in range(block)]

        def without(some: Sequence[str] = some) -> None:
            list(opened.model.predict_iter(some, batch_size=32))

        def beside(some: Sequence[str] = some) -> None:
            list(audit.serve(some))

        pair = [(plain, without), (watched, beside)]
        for times, serve in pair if number % 2 else pair[::-1]:
            start = time.process_time()
            serve()
            times.append(time.process_time() - start)
    told = audit.report
    ratios = [one / other for one, other in zip(watched, plain, strict=True)]
    return {
        "run": Path(run).name, "rate": rate, "texts": rounds * block,
        "audited": told["audited"], "layers_saved": told["layers_saved"],
        "cost": sum(watched) / sum(plain) - 1, "median_of_rounds": statistics.median(ratios) - 1,
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """As lines."""
    shown = found["simulated"]
    lines = [
        f"between false alarms, at {shown['allowed']:.0%} allowed: "
        f"{shown['between_false_alarms']:,.0f} audited texts"
    ]
    lines += [
        f"{one['before']:.1%} -> {one['after']:.1%} after {one['good']} good texts: found after "
        f"{one['found_after']:.0f} (median)"
        for one in shown["changes"]
    ]
    lines += [
        f"{one['run']}, {one['rate']:.0%} of {one['texts']} texts audited at "
        f"{one['layers_saved']:.2f}x fewer layers: {one['cost']:+.1%} time"
        for one in found.get("costs", ())
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, measure, or show what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--run", nargs="*", default=[], help="folders of runs to time")
    parser.add_argument("--data", nargs="*", default=[], help="their data")
    parser.add_argument("--rate", type=float, default=0.01, help="share that is audited")
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=24, help="measurements of each kind")
    parser.add_argument("--block", type=int, default=512, help="texts of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--table", help="show a file that was written")
    given = parser.parse_args(argv)
    if given.table:
        print(table(json.loads(Path(given.table).read_text("utf-8"))))
        return
    found: dict[str, Any] = {"simulated": simulated(given.streams, given.seed), "costs": []}
    for run, data in zip(given.run, given.data, strict=True):
        found["costs"].append(costs(run, data, given.rate, given.rounds, given.block))
    if given.out:
        write_text(Path(given.out), to_json(found, indent=2) + "\n")
    print(table(found))


if __name__ == "__main__":
    with friendly_errors():
        main()
