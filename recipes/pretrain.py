"""Multi-exit pre-training: masked tokens are guessed at every exit, as ElasticBERT learns.

    python recipes/pretrain.py                                # offline, on generated text
    python recipes/pretrain.py model=bert-base-uncased data=FOLDER output_dir=runs/elastic
    python recipes/pretrain.py model='{model_type: bert, num_hidden_layers: 6}' data=books.txt ...
    torchrun --nproc_per_node 2 recipes/pretrain.py ...       # the same on two processes
    python recipes/classification.py model=runs/elastic method=elasticbert data=...

Data has a column ``text`` (or ``sentence``), or is ``.txt`` files of paragraphs with an empty line
between them. Groups of exits take turns (``train.objective.groups``), their gradients balanced.
`python recipes/pretrain.py --help` lists every key; `resume=true` goes on with a run.
"""

from __future__ import annotations

import sys

from tokenexit.config import friendly_errors
from tokenexit.workflows.pretrain import pretrain

if __name__ == "__main__":
    with friendly_errors():
        pretrain(sys.argv[1:])
