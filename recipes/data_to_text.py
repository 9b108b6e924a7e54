"""Data to text with exits: train, calibrate, evaluate, report.

Without arguments it runs offline on generated data. See ``python recipes/data_to_text.py --help``.
"""

from __future__ import annotations

import sys

from _text import OBJECTIVE, SMALL, main

DEFAULTS = {
    "model": {**SMALL, "vocab_size": 1500},
    "max_target": 96,
    "generation": {"max_new_tokens": 96},
    "train": {"epochs": 3, "batch_size": 64, "lr": 1e-3, "head_lr": 1e-3, "objective": OBJECTIVE},
}

if __name__ == "__main__":
    main("data_to_text", sys.argv[1:], DEFAULTS)
