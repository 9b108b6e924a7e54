"""Methods and trainings against each other: one model, one budget, one table.

    python recipes/compare_methods.py                     # offline, on generated data
    python recipes/compare_methods.py data=FOLDER model=bert-base-uncased output_dir=runs/compare
    python recipes/compare_methods.py data=FOLDER methods=[pabee,deebert] seeds=[0,1,2] ...
    python recipes/compare_methods.py data=FOLDER task=pos ...
    python recipes/compare_methods.py data=FOLDER task=ner \\
        trainings=[joint,joint+context_gate,mlp+joint,past_future+imitation] seeds=[0,1] ...
    python recipes/compare_methods.py data=FOLDER task=data_to_text \\
        trainings=[joint,halt_and_copy(policy=margin),self_distillation] recipe.max_target=96 ...

Each is trained from the same weights on the same batches, calibrated on the validation split, and
run at several settings on the test split; fine-tuning alone and the first layers alone are always
among them. A published method has policies of its own, trainings are all calibrated with the same
(`calibrate.policies`). `train_on`, `validate_on` and `test_on` keep the budget modest: so many
texts of a split, the same for all. The same command goes on with an interrupted comparison;
`retry=true` tries again what failed. `python recipes/compare_methods.py --help` lists every key,
`tokenexit methods` the methods.
"""

from __future__ import annotations

import shlex
import sys

from tokenexit.config import friendly_errors, load_config
from tokenexit.workflows.compare_methods import compare_methods
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.train import is_own, write_demo

if __name__ == "__main__":
    defaults = {"output_dir": "runs/compare-methods"}
    with friendly_errors():
        config = load_config(CompareMethodsConfig, sys.argv[1:], defaults)
        if not is_own(sys.argv[1:]):
            demo = config.trains.demo_of_methods()
            config = load_config(CompareMethodsConfig, sys.argv[1:], {**defaults, **demo})
        command = shlex.join(["python", "recipes/compare_methods.py", *sys.argv[1:]])
        compare_methods(config, command, write_demo)
