"""Published methods against each other: one encoder, one budget, one table.

    python recipes/compare_methods.py                     # offline, on generated data
    python recipes/compare_methods.py data=FOLDER model=bert-base-uncased output_dir=runs/compare
    python recipes/compare_methods.py data=FOLDER methods=[pabee,deebert] seeds=[0,1,2] ...
    python recipes/compare_methods.py data=FOLDER level=token task=pos ...

Every method is trained from the same weights on the same batches, calibrated, and run at several
settings on the test split; fine-tuning alone and the first layers alone are always among them.
The same command goes on with an interrupted comparison; `retry=true` tries failed methods again.
`python recipes/compare_methods.py --help` lists every key, `tokenexit methods` the methods.
"""

from __future__ import annotations

import shlex
import sys

from _tagging import DEMO, demo_writer

from tokenexit.config import friendly_errors, load_config
from tokenexit.workflows.compare_methods import compare_methods
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig

if __name__ == "__main__":
    defaults = {"output_dir": "runs/compare-methods"}
    own = any(
        item.startswith(("data=", "model=")) or item.endswith((".yaml", ".yml"))
        for item in sys.argv[1:]
    )
    with friendly_errors():
        config = load_config(
            CompareMethodsConfig, sys.argv[1:], defaults if own else {**defaults, **DEMO}
        )
        writer = "make_demo_texts" if config.level == "sentence" else "make_demo_tagging"
        command = shlex.join(["python", "recipes/compare_methods.py", *sys.argv[1:]])
        compare_methods(config, command, demo_writer(writer))
