"""WNUT-17 NER (emerging entities in noisy text) as parquet, 6 types.

python data_scripts/prepare_wnut17.py OUTPUT --input FOLDER
    # wnut17train.conll, emerging.dev.conll, emerging.test.annotated
python data_scripts/prepare_wnut17.py OUTPUT --hub leondz/wnut_17 --revision refs/convert/parquet

Licence: the annotation is CC BY 4.0; tweets among the texts fall under the terms of their platform.
"""

from __future__ import annotations

import sys

from _common import main

if __name__ == "__main__":
    sys.exit(main(__doc__, "ner_tags"))
