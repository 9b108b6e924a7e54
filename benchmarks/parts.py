"""Where the time of a run goes: kernels, layers, heads, decisions, planning, Python.

    python benchmarks/parts.py runs/ewt --data DATA/uner_en_ewt --precision int8 --limit 128
    python benchmarks/parts.py runs/e2e --data DATA/e2e_nlg --batch-size 1 --policy margin:0.9

For each batch size two tables. *Parts*: clocks around functions of the engine that ran, each
charged for what it does itself; compiled kernels that do a whole batch in one call are run again
step by step with the same exits, and what the steps do not explain is the decision. *Ladder*:
nobody asked, everybody asked and nobody leaving, the policy; so what asking costs, and what leaving
saves, without any clock inside. Rungs take turns; the least of the passes is shown, and what the
clocks inside add to it. With one thread, time is that of the thread: others on the machine matter
little.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from clock import Clock, Now  # noqa: E402
from engines import Engine, engine_of  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402
from tokenexit.policies import Policy, from_config  # noqa: E402
from tokenexit.policies.never import Never  # noqa: E402
from tokenexit.workflows.commands import open_model  # noqa: E402

NEVER, ASKED, POLICY = "nobody asked", "asked, nobody leaves", "the policy"


def rungs(policy: Policy) -> dict[str, Policy]:
    """Nobody asked, everybody asked in vain where the policy has a threshold, the policy."""
    found: dict[str, Policy] = {NEVER: Never()}
    spec = policy.threshold_spec()
    if spec is not None:
        # Beyond the strict end, where nobody is sure enough.
        found[ASKED] = policy.with_threshold(0.0 if spec.strict < spec.loose else spec.strict)
    return {**found, POLICY: policy}


def ladder(engine: Engine, policy: Policy, repeats: int, now: Now) -> dict[str, float]:
    """Seconds of a pass over all texts on each rung, least of the passes."""
    chosen = rungs(policy)
    least = dict.fromkeys(chosen, float("inf"))
    for number in range(repeats + 1):
        for name in list(chosen)[:: 1 if number % 2 else -1]:
            start = now()
            engine.run(chosen[name])
            if number:
                least[name] = min(least[name], now() - start)
    return least


def parts(
    engine: Engine, policy: Policy, repeats: int, now: Now
) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and calls of each part in the quickest pass over all texts."""
    clock, found, calls = Clock(now), {}, {}
    try:
        engine.watch(clock)
        for _ in range(repeats + 1):
            with clock.running():
                engine.run(policy)
            if not found or sum(clock.seconds.values()) < sum(found.values()):
                found, calls = dict(clock.seconds), dict(clock.calls)
    finally:
        clock.stop()
    return found | engine.steps(policy, repeats, found, now), calls


def profile(engine: Engine, policy: Policy, repeats: int, now: Now) -> dict[str, Any]:
    """Everything about one batch size, in microseconds a text."""
    per_text = 1e6 / engine.texts
    rungs = ladder(engine, policy, repeats, now)
    found, calls = parts(engine, policy, repeats, now)
    whole = sum(spent for name, spent in found.items() if not name.startswith("  "))
    return {
        "batch_size": engine.batch_size,
        "texts": engine.texts,
        "ladder": {name: spent * per_text for name, spent in rungs.items()},
        "parts": {name: spent * per_text for name, spent in found.items()},
        "calls": calls,
        "clock_adds": whole / rungs[POLICY] - 1,
    }


def shown(found: dict[str, Any]) -> str:
    """One batch size as text."""
    whole = sum(spent for name, spent in found["parts"].items() if not name.startswith("  "))
    lines = [f"batch {found['batch_size']}, {found['texts']} texts; microseconds a text"]
    for name, spent in found["parts"].items():
        calls = f"{found['calls'][name]} calls" if name in found["calls"] else ""
        lines.append(f"  {name:<34}{spent:10.1f}{100 * spent / whole:7.1f} %  {calls}".rstrip())
    lines.append(f"  {'all of it, with clocks inside':<34}{whole:10.1f}")
    lines.append(f"  clocks inside add {100 * found['clock_adds']:.0f} %")
    base = found["ladder"][NEVER]
    for name, spent in found["ladder"].items():
        lines.append(f"  {name:<34}{spent:10.1f}{100 * spent / base:7.1f} % of nobody asked")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    """Profile a run at some batch sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="run folder")
    parser.add_argument("--data", help="its corpus; by default that of the run")
    parser.add_argument("--split", default="test")
    parser.add_argument("--lang", help="as in tokenexit bench")
    parser.add_argument("--policy", help="the model's own by default")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--limit", type=int, default=64, help="texts")
    parser.add_argument("--repeats", type=int, default=5, help="passes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args(argv)
    torch.set_num_threads(given.threads)
    now = time.perf_counter if given.threads > 1 else time.thread_time
    opened = open_model(given.model)
    split = opened.split(given.data, given.split, lang=given.lang)
    if given.precision != "fp32":
        opened.model.use(precision=given.precision)
    policy = opened.model.policy if given.policy is None else from_config(given.policy)
    found = []
    for size in given.batch_size:
        engine = engine_of(opened.model, split, given.limit, size)
        found.append(profile(engine, policy, given.repeats, now))
        print(shown(found[-1]), end="\n\n", flush=True)
    if given.json is not None:
        told = {"command": " ".join(argv), "policy": policy.to_config(), "profiles": found}
        write_text(given.json, to_json(json.loads(json.dumps(told)), indent=1) + "\n")


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
