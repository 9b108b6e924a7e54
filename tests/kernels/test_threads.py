from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tokenexit.kernels import Library, Matrix

ROOT = Path(__file__).parents[2]


def test_several_threads_may_call_at_once(library: Library):
    draw = torch.Generator().manual_seed(0)
    matrix = Matrix(library, torch.randn(900, 256, generator=draw))
    given = [torch.randn(rows, 256, generator=draw) for rows in (1, 3, 40, 100)]
    alone = [matrix(rows) for rows in given]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with ThreadPoolExecutor(4) as pool:
            for _ in range(25):
                for made, expected in zip(pool.map(matrix, given), alone, strict=True):
                    assert torch.equal(made, expected)
    finally:
        torch.set_num_threads(before)


FORK = """
import os, torch
from tokenexit import kernels
library = kernels.library()
torch.set_num_threads(2)
matrix = kernels.Matrix(library, torch.randn(2000, 256))
rows = torch.randn(8, 256)
expected = matrix(rows)
child = os.fork()
if child == 0:  # has none of the parent's threads
    os._exit(0 if torch.equal(matrix(rows), expected) else 7)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert torch.equal(matrix(rows), expected)
raise SystemExit(code)
"""


@pytest.mark.multiproc
@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_a_forked_child_starts_threads_of_its_own(library: Library):
    done = subprocess.run(
        [sys.executable, "-c", FORK], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
