"""Policies against each other on one trained model: quality, layers, and the clock.

    python recipes/compare_policies.py run=runs/ewt data=DATA output_dir=runs/compare-ewt

Nothing is trained. Each policy is calibrated to the same promise on the validation split, run on
the test split and timed. An interrupted comparison goes on where it stopped.
"""

from __future__ import annotations

import sys

from tokenexit.config import friendly_errors, load_config
from tokenexit.workflows.compare import CompareConfig, compare

if __name__ == "__main__":
    with friendly_errors():
        compare(load_config(CompareConfig, sys.argv[1:], {}))
