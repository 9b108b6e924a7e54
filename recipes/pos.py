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

from _run import main

if __name__ == "__main__":
    main("pos")
