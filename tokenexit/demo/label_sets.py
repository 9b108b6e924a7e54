"""Make English-like texts with any number of labels.

Writes train, validation and test parquet with ``sentence`` and ``labels`` (lists of strings). No
download, no licence: everything is made up here.

Each text speaks of up to three things, and has a label for each that it complains of: what is
fine, or not what it is about, has none. Validation and test hold names that training does not.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tokenexit.demo.texts import ENDS, STARTS, WANTED, splits_of
from tokenexit.files import replacing

KINDS = sorted(WANTED)[:5]
WRONG = ("the {0} is wrong again", "my {0} does not work", "{name} still waits for the {0}")
FINE = ("the {0} is fine", "I have no question about the {0}", "forget the {0}")


def make(texts: int = 4000, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Rows of every split: ``texts`` to train on, an eighth as many in each of the others."""
    return splits_of(_row, texts, seed)


def _row(rng: random.Random, names: str) -> dict[str, Any]:
    kinds = rng.sample(KINDS, rng.choice((1, 2, 2, 3)))
    wrong = [rng.random() < 0.6 for _ in kinds]
    parts = [
        rng.choice(WRONG if bad else FINE).format(
            rng.choice(WANTED[kind].split()), name=rng.choice(STARTS) + rng.choice(ENDS[names])
        )
        for kind, bad in zip(kinds, wrong, strict=True)
    ]
    labels = sorted(kind for kind, bad in zip(kinds, wrong, strict=True) if bad)
    return {"sentence": " , ".join(parts), "labels": labels}


def write(output: str | Path, texts: int = 4000, seed: int = 0) -> Path:
    """Write the splits as parquet; returns the folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(output)
    schema = pa.schema({"sentence": pa.string(), "labels": pa.list_(pa.string())})
    for split, rows in make(texts, seed).items():
        with replacing(folder / f"{split}.parquet") as partial:
            pq.write_table(pa.Table.from_pylist(rows, schema), partial, compression="zstd")
    return folder
