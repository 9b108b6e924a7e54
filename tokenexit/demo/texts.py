"""Make English-like texts with a label.

Writes train, validation and test parquet with ``sentence`` and ``label`` (strings). No download,
no licence: everything is made up here.

Each text asks for one of six things, and texts differ in how much they need, as real ones do. In
the easy ones a word gives it away. In others two things are mentioned and one is refused ("not
about my bill, but about delivery"), or the thing meant is told by its place ("of card and account,
the latter"). In the hardest several people write, and whom to answer is said elsewhere: the thing
must be found through its owner, or through somebody who "has the question of" its owner.
Validation and test hold names that training does not, but for those who write.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tokenexit.files import replacing

T = TypeVar("T")

WANTED = {
    "card": "card plastic chip pin contactless",
    "bill": "bill invoice charge fee statement",
    "delivery": "parcel delivery courier shipment package",
    "account": "account login password profile username",
    "refund": "refund money-back return reimbursement chargeback",
    "order": "order basket purchase item checkout",
}
EASY = (
    "hello , I have a question about my {0}",
    "my {0} does not work since {day}",
    "where is the {0} that {name} asked for",
    "please tell {name} that the {0} is wrong again",
    "could you look at the {0} from {day} , thank you",
    "the {0} is {adj} and I need help with it",
    "{name} here . it is about a {0} once more",
)
REFUSED = (
    "this is not about my {1} , but about the {0}",
    "I asked about a {0} and got an answer about a {1}",
    "forget the {1} , {name} only needs the {0}",
    "the {1} is fine . what is {adj} is the {0}",
    "instead of a {1} I would like to talk about a {0}",
)
PLACED = (
    "of {1} and {0} , the latter is what I am calling about",
    "of {0} and {1} , the former is why I write",
    "{name} wrote about {1} and I about {0} ; please answer me and not {name}",
    "first came a {1} , then a {0} ; the second one is {adj} , the first is settled",
    "first came a {0} , then a {1} ; the first one is {adj} , the second is settled",
)
OWNED = (  # people by capital letters; A asks for {0}, B for {1} and C for {2}
    "{B} wrote about the {1} and {A} about the {0} ; please answer {A}",
    "{A} wrote about the {0} and {B} about the {1} ; please answer {A}",
    "please answer {A} first : {B} has a {1} and {A} a {0}",
    "the {1} is for {B} , the {0} for {A} , and {A} is on the phone",
    "{A} asked for a {0} , {B} for a {1} and {C} for a {2} ; call {A}",
    "{C} asked for a {2} , {B} for a {1} and {A} for a {0} ; call {A}",
    "call {A} back . {B} has lost a {1} , {A} a {0} and {C} a {2}",
)
PASSED_ON = (
    "{D} has the question of {A} . {A} wrote about the {0} and {B} about the {1} ; answer {D}",
    "{B} wrote about the {1} and {A} about the {0} ; {D} asks like {A} , so answer {D}",
    "answer {D} , who asks like {A} . {A} has a {0} , {B} a {1} and {C} a {2}",
)
GROUPS = (EASY, REFUSED, PLACED, OWNED, PASSED_ON)
WEIGHTS = (45, 15, 10, 22, 8)
WRITERS = "Anna Boris Clara David Elena Frank Grace Hugo Irene Jonas".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday yesterday March".split()
ADJECTIVES = "broken late strange missing doubled odd unclear".split()
STARTS = "Al Be Cor Da El Fi Gre Ha Is Jo Ka Lu Mi No Ol Pe".split()
ENDS = {"train": "na bert dia lo mer".split(), "other": "vin sa rik tus".split()}


def make(texts: int = 4000, seed: int = 0) -> dict[str, list[dict[str, str]]]:
    """Rows of every split: ``texts`` to train on, an eighth as many in each of the others."""
    return splits_of(_row, texts, seed)


def splits_of(row: Callable[[random.Random, str], T], texts: int, seed: int) -> dict[str, list[T]]:
    """Rows of every split; ``row`` draws one with the names of ``train`` or of ``other``."""
    rng = random.Random(seed)
    sizes = {"train": texts, "validation": max(texts // 8, 1), "test": max(texts // 8, 1)}
    return {
        split: [row(rng, "train" if split == "train" else "other") for _ in range(size)]
        for split, size in sizes.items()
    }


def _row(rng: random.Random, names: str) -> dict[str, str]:
    label, *others = rng.sample(sorted(WANTED), 3)
    template = rng.choice(rng.choices(GROUPS, WEIGHTS)[0])
    words = [rng.choice(WANTED[kind].split()) for kind in (label, *others)]
    sentence = template.format(
        *words,
        day=rng.choice(DAYS),
        adj=rng.choice(ADJECTIVES),
        name=rng.choice(STARTS) + rng.choice(ENDS[names]),
        **dict(zip("ABCD", rng.sample(WRITERS, 4), strict=True)),
    )
    return {"sentence": sentence, "label": label}


def write(
    output: str | Path, task: str = "classification", texts: int = 4000, seed: int = 0
) -> Path:
    """Write the splits as parquet; returns the folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(output)
    for split, rows in make(texts, seed).items():
        with replacing(folder / f"{split}.parquet") as partial:
            pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    return folder
