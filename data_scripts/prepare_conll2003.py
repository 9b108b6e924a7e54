"""CoNLL-2003 NER as parquet: PER, ORG, LOC, MISC.

python data_scripts/prepare_conll2003.py OUTPUT --input FOLDER    # eng.train, eng.testa, eng.testb
python data_scripts/prepare_conll2003.py OUTPUT --input train.txt valid.txt test.txt
python data_scripts/prepare_conll2003.py OUTPUT --hub eriktks/conll2003 \\
    --revision refs/convert/parquet

The files carry IOB1 (the original) or BIO (many copies); the output is BIO. Files must be UTF-8.

Licence: the text is Reuters', from RCV1, given out by NIST for research under an agreement; the
annotation is the shared task's. Get your own copy; do not pass it on.
"""

from __future__ import annotations

import sys

from _common import main

if __name__ == "__main__":
    sys.exit(main(__doc__, "ner_tags"))
