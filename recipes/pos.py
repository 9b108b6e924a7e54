"""Parts of speech: train, calibrate, evaluate and report a tagger whose words leave early.

    python recipes/pos.py                                     # offline, on generated data
    python recipes/pos.py model=bert-base-cased data=FOLDER output_dir=runs/mine
    python recipes/pos.py config.yaml train.epochs=5 calibrate.min_quality=0.995
    torchrun --nproc_per_node 2 recipes/pos.py ...            # the same on two processes

`python recipes/pos.py --help` lists every key. An interrupted run goes on with resume=true.
Errors are one line: unknown keys and names (with the nearest), unreadable data, tags out of
scheme, a run that is already there.
"""

from __future__ import annotations

import sys

from _demo import DEMO_MODEL, DEMO_TRAIN, write_demo

from tokenexit.config import friendly_errors, load_config
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.tagging import run_tagging

DEFAULTS = {"task": "pos", "output_dir": "runs/pos-demo"}
# What is used as long as neither data nor model is given.
DEMO = {"model": DEMO_MODEL, "train": DEMO_TRAIN}


def main(argv: list[str]) -> None:
    """Run the recipe on command-line arguments."""
    own = any(
        item.startswith(("data=", "model=")) or item.endswith((".yaml", ".yml")) for item in argv
    )
    config = load_config(TaggingConfig, argv, DEFAULTS if own else {**DEFAULTS, **DEMO})
    run_tagging(config, demo=write_demo)


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
