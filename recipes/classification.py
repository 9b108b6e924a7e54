"""Text classification: train, calibrate, evaluate and report a classifier whose texts leave early.

    python recipes/classification.py                          # offline, on generated data
    python recipes/classification.py model=bert-base-uncased data=FOLDER output_dir=runs/mine
    python recipes/classification.py method=pabee ...         # tokenexit methods lists them
    python recipes/classification.py regression=true data=... # labels are numbers, as in STS-B
    torchrun --nproc_per_node 2 recipes/classification.py ... # the same on two processes

Data has a column ``sentence``, for pairs also ``sentence2``, and ``label``. Training texts may
have none (null): objectives that learn from such texts, as ``method=fastbert``, do.
`python recipes/classification.py --help` lists every key.
"""

from __future__ import annotations

from _run import main

if __name__ == "__main__":
    main("classification")
