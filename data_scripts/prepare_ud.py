"""A Universal Dependencies treebank as parquet: words and UPOS tags.

python data_scripts/prepare_ud.py OUTPUT --input UD_English-EWT      # *-ud-{train,dev,test}.conllu
python data_scripts/prepare_ud.py OUTPUT --hub universal-dependencies/universal_dependencies \\
    --name en_ewt

Multiword ranges and empty nodes are left out; a row holds the syntactic words.

Licence: each treebank's own, see its LICENSE.txt (English-EWT: CC BY-SA 4.0; some are
non-commercial).
"""

from __future__ import annotations

import sys

from _common import main

if __name__ == "__main__":
    sys.exit(main(__doc__, "pos_tags"))
