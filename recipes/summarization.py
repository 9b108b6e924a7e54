"""Summarisation with exits: train, calibrate, evaluate, report.

Without arguments it runs offline on generated data. See ``python recipes/summarization.py --help``.
"""

from __future__ import annotations

from _run import main

if __name__ == "__main__":
    main("summarization")
