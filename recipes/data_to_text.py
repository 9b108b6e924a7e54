"""Data to text with exits: train, calibrate, evaluate, report.

Without arguments it runs offline on generated data. See ``python recipes/data_to_text.py --help``.
"""

from __future__ import annotations

from _run import main

if __name__ == "__main__":
    main("data_to_text")
