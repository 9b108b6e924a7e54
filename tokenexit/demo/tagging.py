"""Make tagged English-like sentences.

Writes train, validation and test parquet with ``tokens``, ``ner_tags`` and ``pos_tags``
(strings). No download, no licence: everything is made up here.

Words differ in how much context they need, as in real text, so that depth matters:
function words need none; "Jordan" may be a person, a place, a company or a product, told by a
word somewhere else; and in the hard templates that word must first be found through a third
one ("the former is a port and the latter a singer"). The class of "light" may be that of a word it
is said to be like. Validation and test hold names and words
that training does not.
"""

from __future__ import annotations

import random
from pathlib import Path

from tokenexit.files import replacing

TASKS = ("ner", "pos")
TYPES = ("PER", "LOC", "ORG", "PROD")

# Names that can be of any type; the months can also be people.
AMBIGUOUS = (
    "Jordan Paris Washington Lincoln Austin Phoenix Florence Apple Amazon Shell Ford Carson Sydney "
    "Victoria Chelsea Madison Savannah Denver Dakota Georgia Houston Kent Orlando Sofia"
).split()
MONTH_PEOPLE = "April May June August".split()
MONTHS = [*MONTH_PEOPLE, "January", "March", "October", "December"]
DAYS = "Monday Tuesday Friday Sunday".split()
FIRST = "Anna Boris Clara David Elena Frank Grace Hugo Irene Jonas Laura Marta Nadia Oscar".split()
ENDINGS = {
    "PER": "son ova berg elli man sky".split(),
    "LOC": "ville burg stad ford mouth land".split(),
    "ORG": "corp tek soft bank gen net".split(),
    "PROD": "ix phone pad book pro max".split(),
}
KINDS = {  # common nouns that give a type away
    "PER": "coach teacher singer poet doctor writer".split(),
    "LOC": "town village island river valley port".split(),
    "ORG": "firm bank agency club union company".split(),
    "PROD": "phone car camera printer console tablet".split(),
}
REAL = {
    "noun": "door letter table garden window meeting story winter paper kitchen question road",
    "adj": "small old quiet famous new noisy modest bright cold busy strange simple",
    "adv": "quickly often again slowly rarely early late twice soon together",
    "verb": "moved helped visited praised followed ignored changed painted opened mentioned",
}
SUFFIX = {"noun": "ment ness age er".split(), "adj": "ful ous ive ish".split()}
SUFFIX |= {"adv": ["ly"], "verb": ["ed"]}
POS = {"noun": "NOUN", "adj": "ADJ", "adv": "ADV", "verb": "VERB"}
# Words that any class may have.
ANY = "light round cross square calm cool clean level fit blind dry still plain double".split()
# Nouns and verbs alike.
BOTH = "book run plan report watch play ship train walk design order test fish light cook".split()

LEXICON = {  # every other word of the templates
    "DET": "the a",
    "PRON": "it he she they we everyone its his her people who which nobody",
    "ADP": "of in from near with for on by up during like than before since",
    "AUX": "is are was had were would did",
    "CCONJ": "and or but",
    "SCONJ": "while because although that",
    "PART": "to not",
    "PUNCT": ". , : ; ?",
    "NUM": "two ten forty",
    "ADV": "still rather twice",
    "NOUN": "streets shares clerks battery harbour voice songs noon morning letters houses staff "
    "button screen former latter first second",
    "VERB": "said left lived hired sold fallen signed call calls called came means broke bought "
    "flooded merged retired knows want let lost wrote joined took",
    "ADJ": "full",
}
WORD_POS = {word: pos for pos, words in LEXICON.items() for word in words.split()}

# {PER} a name that its form gives away, or that stands in a plain context; {T?} an ambiguous name
# of type T; {t} a common noun of type T; {t+} a clause that only fits type T. T and U differ.
EASY = [
    "{PER} {verb} the {adj} {noun} in {LOC} {end}",
    "{lead} {PER} joined {ORG} as/ADP a {noun} {end}",
    "the {adj} {noun} of {ORG} {verb} {PER} and {PER} {end}",
    "before {DATE} the {noun} from {LOC} {verb} two {noun} {end}",
    "{ORG} sold the {PROD} to {ORG} before {DATE} {end}",
    "the {noun} and the {adj} {noun} {verb} {adv} {end}",
    "{lead} we bought a {PROD} in {LOC} , near the {adj} {noun} {end}",
    "{PER} said before {DATE} that the {noun} was {adj} {end}",
]
MEDIUM = [
    "{T?} was {adj} in the morning , but by noon {t+} {end}",
    "{lead} {T?} , a {adj} {t} , {verb} the {noun} {end}",
    "{lead} {T?} was {adj} {adv} because {t+} {end}",
    "everyone in the {noun} knows {T?} ; {t+} {end}",
    "{PER?} of {ORG?} {verb} a {noun} from {LOC?} {end}",
    "before {DATE} {PER?} and {PER?} lived near {LOC?} {end}",
    "{lead} {PER?} bought the {PROD?} that {ORG?} sold {end}",
    "the {adj} {t} {T?} {verb} a {u} since {DATE} {end}",
]
# Another type's noun stands nearby; a third word tells which noun counts.
HARD = [
    "{lead} {T?} is not a {u} but a {adj} {t} {end}",
    "{lead} {T?} is a {adj} {t} and not a {u} {end}",
    "we said that {T?} , not a {u} but a {t} , {verb} the {noun} {end}",
    "nobody took {T?} for a {u} , because it is a {adj} {t} {end}",
    "{T?} , which {verb} the {adj} {u} , is a {t} {end}",
    "{lead} the {t} , which left the {adj} {u} {adv} , is called {T?} {end}",
    "{lead} the {t} left a {adj} {u} that people still call {U?} {end}",
    "{T?} {verb} the {noun} because {t+} , while {U?} {verb} it because {u+} .",
    "a {t} called {T?} {verb} the {adj} {u} that {PER} calls {U?} {end}",
]
# Which noun counts is itself said by a word of the same sentence; this needs longer training.
DEEP = [
    "{T?} and {U?} came up : the former is a {t} and the latter a {u} {end}",
    "{T?} and {U?} came up : the latter is a {u} and the former a {t} {end}",
    "{T?} or {U?} ? the first means a {t} , the second a {u} {end}",
    "{T?} or {U?} ? the second means a {u} , the first a {t} {end}",
    "a {c} means a {t} and a {d} means a {u} : {T?} is a {c} and {U?} a {d} .",
    "{T?} is a {c} and {U?} a {d} ; {lead} a {d} means a {u} and a {c} a {t} .",
]
# Made-up words that mean what the sentence says.
CODES = "wug dax blick".split()
CLASSES = [
    "they can/AUX {B:VERB} the {noun} , but not that/DET {B:NOUN} {end}",
    "the {adj} can/NOUN of {noun} {verb} her {B:NOUN} {end}",
    "she said that that/DET {B:NOUN} would {B:VERB} the {noun} {end}",
    "{lead} we let her {B:VERB} and {B:VERB} {end}",
    "{lead} we lost her {B:NOUN} and {B:NOUN} {end}",
    "people want to {B:VERB} , {B:VERB} and {B:VERB} rather than a {B:NOUN} , {B:NOUN} or {B:NOUN}"
    " {end}",
    "people want a {B:NOUN} , {B:NOUN} and {B:NOUN} rather than to {B:VERB} , {B:VERB} or {B:VERB}"
    " {end}",
    "the {B:NOUN} {B:NOUN} that they {B:VERB} {verb} to/ADP the {noun} {end}",
    "who would {B:VERB} a {B:NOUN} like that/PRON {end}",
    "the old/NOUN {B:VERB} the {B:NOUN} while the {adj} {noun} can/AUX {B:VERB} {end}",
    "they like/VERB to {B:VERB} back/ADV ; the back/NOUN of the {B:NOUN} {verb} it {end}",
]
# A word is of the class of another one that it is like, beside one that it is not like. {X} and {x}
# are of one class, {Y} and {y} of another.
LIKENESS = [
    "{X} is not like {y} but like {x} {end}",
    "{lead} {X} is like {x} and not like {y} {end}",
    "we said that {X} , not like {y} but like {x} , {verb} the {noun} {end}",
    "nobody took {X} and {X} for {y} , because they are like {x} {end}",
    "{X} , which is not like the {adj} {y} , is like {x} {end}",
    "{lead} {X} , {X} and {X} are not like {y} but like {x} {end}",
    "{X} , {X} and {X} are like {x} , while {Y} and {Y} are like {y} {end}",
    "{X} {verb} the {noun} because it is like {x} , while {Y} is like {y} {end}",
    "like {x} , but not like {y} , is {X} , said the {noun} {end}",
    "{X} and {Y} came up : the former is like {x} and the latter like {y} {end}",
    "{X} and {Y} came up : the latter is like {y} and the former like {x} {end}",
    "the {noun} {verb} {x} and {y} ; {X} is like the first , {Y} like the second {end}",
]
ENDS = [
    ".", ".", "{adv} .", "since {DATE} .", "during the {adj} {noun} .", "with {PER} .",
    "for a {noun} of the {noun} .", ", although nobody {verb} the {noun} .", "near {LOC} .",
]  # fmt: skip
LEADS = ["", "", "before {DATE} ,", "{adv} ,", "during the {noun} ,", "while {PER} {verb} it ,"]
CLAUSES = {
    "PER": ["his voice broke", "she had signed the letters", "he wrote ten songs", "he retired"],
    "LOC": ["its streets were full", "the harbour flooded", "its houses were {adj}"],
    "ORG": ["its shares had fallen", "it hired forty clerks", "its staff had merged two shares"],
    "PROD": ["its battery broke", "the screen was not {adj}", "its button had broke/VERB twice"],
}
MIX = {  # weights of easy, medium, hard, deep, word classes, likeness
    "ner": (26, 26, 34, 6, 8, 0),
    "pos": (12, 6, 4, 2, 26, 50),
}


class Grammar:
    """Sentences of one split.

    Args:
        task: Which templates are frequent.
        words: Drawn from to make sentences; one for each split.
        coined: Made-up stems that this split may use.
    """

    def __init__(self, task: str, words: random.Random, coined: list[str]) -> None:
        self.rng = words
        self.coined = coined
        self.weights = MIX[task]

    def sentence(self) -> tuple[list[str], list[str], list[str]]:
        """Words, entity tags and word classes of one new sentence."""
        groups = (EASY, MEDIUM, HARD, DEEP, CLASSES, LIKENESS)
        group = self.rng.choices(groups, self.weights)[0]
        first, second = self.rng.sample(TYPES, 2)
        codes = self.rng.sample(CODES, 2)
        given = {"T": first, "U": second, "c": codes[0], "d": codes[1]}
        if group is LIKENESS:
            given |= dict(zip("XY", self.rng.sample(list(POS), 2), strict=True))
        rows = self._expand(self.rng.choice(group), given)
        words = [word for word, _, _ in rows]
        for place, word in enumerate(words[:-1]):
            if word == "a" and words[place + 1][0] in "aeiou":
                words[place] = "an"
        words[0] = words[0][0].upper() + words[0][1:]
        return words, [tag for _, tag, _ in rows], [pos for _, _, pos in rows]

    def _expand(self, template: str, given: dict[str, str]) -> list[tuple[str, str, str]]:
        rows = []
        for item in template.split():
            slot = item[1:-1] if item.startswith("{") else None
            if slot is None:
                word, _, pos = item.partition("/")
                rows.append((word, "O", pos or WORD_POS[word]))
            elif slot in ("end", "lead"):
                rows += self._expand(self.rng.choice(ENDS if slot == "end" else LEADS), given)
            elif slot in POS:
                rows.append((self._word(slot), "O", POS[slot]))
            elif slot in ("c", "d"):
                rows.append((given[slot], "O", "NOUN"))
            elif slot in ("X", "Y"):
                rows.append((self.rng.choice(ANY), "O", POS[given[slot]]))
            elif slot in ("x", "y"):
                kind = given[slot.upper()]
                rows.append((self._word(kind), "O", POS[kind]))
            elif slot.startswith("B:"):
                rows.append((self.rng.choice(BOTH), "O", slot[2:]))
            elif slot[0] in "tu":
                kind = given[slot[0].upper()]
                if slot.endswith("+"):
                    rows += self._expand(self.rng.choice(CLAUSES[kind]), given)
                else:
                    rows.append((self.rng.choice(KINDS[kind]), "O", "NOUN"))
            else:
                kind = given.get(slot.rstrip("?"), slot.rstrip("?"))
                rows += self._ambiguous(kind) if slot.endswith("?") else self._entity(kind)
        return rows

    def _word(self, kind: str) -> str:
        if self.rng.random() < 0.6:
            return self.rng.choice(REAL[kind].split())
        return self.rng.choice(self.coined) + self.rng.choice(SUFFIX[kind])

    def _ambiguous(self, kind: str) -> list[tuple[str, str, str]]:
        pool = MONTH_PEOPLE if kind == "PER" and self.rng.random() < 0.1 else AMBIGUOUS
        return _tagged([self.rng.choice(pool)], kind)

    def _entity(self, kind: str) -> list[tuple[str, str, str]]:
        pick, randint, chance = self.rng.choice, self.rng.randint, self.rng.random()
        if kind == "DATE":
            day, month, year = str(randint(1, 30)), pick(MONTHS), str(randint(1950, 2030))
            forms = [[month], [month, year], [day, month], [day, month, year], [year], [pick(DAYS)]]
            return _tagged(pick(forms), kind)
        name = pick(self.coined).capitalize()
        if chance < 0.3:  # only the context tells
            return _tagged([name], kind)
        if chance < 0.6:
            return _tagged([name + pick(ENDINGS[kind])], kind)
        if chance < 0.8:  # an ambiguous name inside a longer one
            name = pick(AMBIGUOUS)
        forms = {
            "PER": [[pick(FIRST), name], [pick(FIRST), pick(FIRST), name]],
            "LOC": [["Lake", name], [name, "Street"], ["Port", "of", name]],
            "ORG": [[name, "Motors"], ["University", "of", name], ["Bank", "of", name]],
            "PROD": [[name, str(randint(2, 900))], [name, "Classic", "X"]],
        }
        return _tagged(pick(forms[kind]), kind)


def _tagged(words: list[str], kind: str) -> list[tuple[str, str, str]]:
    pos = ["NUM" if w.isdecimal() else "ADP" if w == "of" else "PROPN" for w in words]
    return [(w, f"{'I' if i else 'B'}-{kind}", pos[i]) for i, w in enumerate(words)]


def _coin(rng: random.Random, count: int) -> list[str]:
    """Different pronounceable stems."""
    stems: dict[str, None] = {}
    while len(stems) < count:
        syllables = rng.randint(2, 3)
        stem = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(syllables))
        stems[stem + rng.choice("lmnrst")] = None
    return list(stems)


def make(task: str, sentences: int, seed: int) -> dict[str, list[dict[str, list[str]]]]:
    """Rows of every split: ``sentences`` for training, an eighth of it for each of the others."""
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, not {task!r}")
    if sentences < 1:
        raise ValueError(f"sentences must be at least 1, not {sentences!r}")
    stems = _coin(random.Random(f"stems {seed}"), 400)
    # A third of what validation and test draw from is never seen in training.
    pools = {
        "train": stems[:240],
        "validation": stems[:160] + stems[240:320],
        "test": stems[:160] + stems[320:],
    }
    splits = {}
    for split, pool in pools.items():
        grammar = Grammar(task, random.Random(f"{task} {seed} {split}"), pool)
        count = sentences if split == "train" else max(1, sentences // 8)
        rows = [grammar.sentence() for _ in range(count)]
        columns = ("tokens", "ner_tags", "pos_tags")
        splits[split] = [dict(zip(columns, row, strict=True)) for row in rows]
    return splits


def write(folder: str | Path, task: str = "ner", sentences: int = 4000, seed: int = 0) -> Path:
    """Write the splits as parquet into ``folder`` and return it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder)
    for split, rows in make(task, sentences, seed).items():
        with replacing(folder / f"{split}.parquet") as partial:
            pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    return folder
