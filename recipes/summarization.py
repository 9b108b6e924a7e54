"""Summarisation with exits: train, calibrate, evaluate, report.

Without arguments it runs offline on generated data. See ``python recipes/summarization.py --help``.
"""

from __future__ import annotations

import sys

from _text import OBJECTIVE, main

DEFAULTS = {"train": {"epochs": 3, "batch_size": 16, "objective": OBJECTIVE}}

if __name__ == "__main__":
    main("summarization", sys.argv[1:], DEFAULTS)
