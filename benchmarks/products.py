"""Products of the kernels beside torch's, in billions of multiplications a second.

    python benchmarks/products.py [--out products.json] [--seconds 1]

For every instruction set and kind of weights: the least of many runs, interleaved with torch's
float32 layer on the same rows, on one thread and by the thread's own clock. Sums that do not stay
in registers, and whatever else makes a kernel slow, show here: a core of 2.9 GHz with AVX-512 VNNI
does 370 in int8 and 93 in fp32 at most.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit import kernels  # noqa: E402
from tokenexit.evaluation.bench.machine import what_ran  # noqa: E402

SHAPES = [(384, 1152), (384, 1536), (1536, 384), (256, 8000)]
ROWS = (1, 8, 32, 512)


def least(runs: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """The shortest of each, interleaved for so long."""
    best = dict.fromkeys(runs, float("inf"))
    until = time.monotonic() + seconds
    for run in runs.values():
        run()
    while time.monotonic() < until or float("inf") in best.values():
        for name, run in runs.items():
            run()  # brings its weights nearer than the others left them
            began = time.thread_time()
            run()
            best[name] = min(best[name], time.thread_time() - began)
    return best


def measure(library: kernels.Library, depth: int, width: int, rows: int, seconds: float) -> dict:
    """Microseconds of one product by each kind and by torch."""
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(width, depth, generator=draw), torch.zeros(width)
    given = torch.randn(rows, depth, generator=draw)
    runs: dict[str, Callable[[], Any]] = {"torch fp32": lambda: F.linear(given, weight, bias)}
    for kind in kernels.KINDS:
        matrix = kernels.Matrix(library, weight, bias, kind)
        runs[kind] = lambda matrix=matrix: matrix(given)
    return {name: best * 1e6 for name, best in least(runs, seconds).items()}


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each line")
    options = parser.parse_args()
    library = kernels.library()
    if library is None:
        raise SystemExit(kernels.status())
    torch.set_num_threads(1)
    lines = []
    with torch.inference_mode():
        for isa in library.isas():
            library.use(isa)
            for depth, width in SHAPES:
                for rows in ROWS:
                    took = measure(library, depth, width, rows, options.seconds)
                    work = rows * depth * width
                    lines.append({"isa": isa, "K": depth, "N": width, "rows": rows, "us": took})
                    told = "   ".join(
                        f"{name} {us:8.1f} us {work / us / 1e3:4.0f} GMAC/s "
                        f"{took['torch fp32'] / us:5.2f}x"
                        for name, us in took.items()
                    )
                    print(f"{isa:8} {depth:4} x {width:4} rows {rows:3}: {told}", flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": what_ran(), "lines": lines}, indent=2) + "\n")


if __name__ == "__main__":
    main()
