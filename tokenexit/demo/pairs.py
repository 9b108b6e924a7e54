"""Make pairs of texts.

Writes train, validation and test parquet with ``source``, ``target`` and ``references`` (null in
train). No download, no licence: everything is made up here.

Output words differ in how much they need, as in real text, so that depth matters. Translation,
from a fragment of English to German: articles and endings agree with a noun that comes later,
verbs wait for the end of their clause, "it" takes the gender of what it stands for, and a
"crane" at the lake is not that of a factory. Data to text: facts come in any order, and prices
must be compared. Summaries: who won is told by a trade or a town, and whether a plan was passed
by the votes. No source is in two splits.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

from tokenexit.files import replacing


def table(text: str) -> list[list[str]]:
    """Rows of cells: ``a:b c:d``; an underscore is a space."""
    return [[cell.replace("_", " ") for cell in row.split(":")] for row in text.split()]


def genders(forms: str) -> dict[str, str]:
    """A form for each gender; ``p`` is the plural."""
    return dict(zip("mfnp", forms.split(":"), strict=True))


def finish(text: str) -> str:
    """A sentence as it is printed: its capital, its spaces and its full stop."""
    text = " ".join(text.split()).replace(" ,", ",")
    return text[0].upper() + text[1:] + ("" if text[-1] in "?." else ".")


# --- translation: English and German, in columns ------------------------------------------------

PEOPLE = table(  # with plural and gender
    "teacher:Lehrer:Lehrer:m gardener:Gärtner:Gärtner:m baker:Bäcker:Bäcker:m doctor:Arzt:Ärzte:m "
    "cook:Koch:Köche:m guest:Gast:Gäste:m friend:Freund:Freunde:m uncle:Onkel:Onkel:m "
    "king:König:Könige:m dog:Hund:Hunde:m bird:Vogel:Vögel:m horse:Pferd:Pferde:n "
    "sister:Schwester:Schwestern:f daughter:Tochter:Töchter:f queen:Königin:Königinnen:f "
    "cat:Katze:Katzen:f cow:Kuh:Kühe:f goat:Ziege:Ziegen:f girl:Mädchen:Mädchen:n"
)
THINGS = table(
    "table:Tisch:Tische:m key:Schlüssel:Schlüssel:m coat:Mantel:Mäntel:m hat:Hut:Hüte:m "
    "apple:Apfel:Äpfel:m ball:Ball:Bälle:m lamp:Lampe:Lampen:f door:Tür:Türen:f "
    "bottle:Flasche:Flaschen:f clock:Uhr:Uhren:f bridge:Brücke:Brücken:f flower:Blume:Blumen:f "
    "picture:Bild:Bilder:n book:Buch:Bücher:n house:Haus:Häuser:n window:Fenster:Fenster:n "
    "car:Auto:Autos:n bed:Bett:Betten:n boat:Boot:Boote:n shirt:Hemd:Hemden:n"
)
AMBIGUOUS = table(  # one meaning in town, one out in the country
    "bank:Bank:f:Ufer:n crane:Kran:m:Kranich:m bat:Schläger:m:Fledermaus:f "
    "seal:Siegel:n:Robbe:f spring:Feder:f:Quelle:f date:Termin:m:Dattel:f pen:Stift:m:Gehege:n"
)
PLACES = table(  # three in town, three out there
    "in_the_city:in_der_Stadt at_the_office:im_Büro in_the_factory:in_der_Fabrik "
    "by_the_lake:am_See in_the_forest:im_Wald on_the_island:auf_der_Insel"
)
VERBS = table(  # base, singular, past; singular, plural, participle, and a prefix that parts
    "see:sees:saw:sieht:sehen:gesehen: find:finds:found:findet:finden:gefunden: "
    "buy:buys:bought:kauft:kaufen:gekauft: sell:sells:sold:verkauft:verkaufen:verkauft: "
    "draw:draws:drew:zeichnet:zeichnen:gezeichnet: clean:cleans:cleaned:putzt:putzen:geputzt: "
    "carry:carries:carried:trägt:tragen:getragen: hide:hides:hid:versteckt:verstecken:versteckt: "
    "love:loves:loved:liebt:lieben:geliebt: need:needs:needed:braucht:brauchen:gebraucht: "
    "pick_up:picks_up:picked_up:hebt:heben:gehoben:auf "
    "bring_back:brings_back:brought_back:bringt:bringen:gebracht:zurück "
    "look_at:looks_at:looked_at:sieht:sehen:gesehen:an "
    "throw_away:throws_away:threw_away:wirft:werfen:geworfen:weg "
    "take_along:takes_along:took_along:nimmt:nehmen:genommen:mit"
)
MODALS = table("can:kann:können must:muss:müssen should:soll:sollen will:wird:werden")
ADJECTIVES = table(
    "old:alt new:neu small:klein big:groß beautiful:schön red:rot green:grün famous:berühmt"
)
FAULTS = table("broken:kaputt too_heavy:zu_schwer too_small:zu_klein cheap:billig dirty:schmutzig")
SHORT = table(  # subjects; p are many
    "he:er: she:sie: they:sie:p we:wir:p Anna:Anna: Peter:Peter: Maria:Maria: Paul:Paul:"
)
ADVERBS = table("today:heute often:oft again:wieder here:hier now:jetzt")
FRAMES = table(
    "Anna_says_that:Anna_sagt,_dass Paul_thinks_that:Paul_glaubt,_dass "
    "they_hope_that:sie_hoffen,_dass we_are_tired_because:wir_sind_müde,_weil "
    "she_is_happy_although:sie_ist_glücklich,_obwohl he_waits_while:er_wartet,_während"
)
# By case, then masculine, feminine, neuter and plural.
THE = {"nom": genders("der:die:das:die"), "acc": genders("den:die:das:die")}
AFTER_THE = {"nom": genders("e:e:e:en"), "acc": genders("en:e:e:en")}
A = {"nom": genders(":e::e"), "acc": genders("en:e::e")}
AFTER_A = {"nom": genders("er:e:es:en"), "acc": genders("en:e:es:en")}
IT = genders("er:sie:es:sie")


class Noun(NamedTuple):
    """A noun phrase in English and in two cases of German."""

    english: str
    nom: str
    acc: str
    gender: str


def noun(rng: random.Random, words: list[list[str]]) -> Noun:
    """A noun of these, with an article and perhaps an adjective."""
    english, german, many, gender = word = rng.choice(words)
    if many and rng.random() < 0.25:
        english, german, gender = f"{english}s", many, "p"
    article = rng.choice(("the", "the", "her", "his", "two" if gender == "p" else "a"))
    quality, stem = rng.choice(ADJECTIVES) if rng.random() < 0.4 else ("", "")
    forms = []
    for case in ("nom", "acc"):
        front, ending = THE[case][gender], AFTER_THE[case][gender]
        if article == "two":
            front, ending = "zwei", "e"
        elif article != "the":
            front = {"a": "ein", "her": "ihr", "his": "sein"}[article] + A[case][gender]
            ending = AFTER_A[case][gender]
        forms.append(f"{front} {stem and stem + ending} {german}")
    if article == "a" and (quality or word[0])[0] in "aeiou":
        article = "an"
    first, fourth = forms
    return Noun(f"{article} {quality} {english}", first, fourth, gender)


def subject(rng: random.Random) -> Noun:
    """A name, a pronoun, two people, or one."""
    chance = rng.random()
    if chance < 0.3:
        english, german, number = rng.choice(SHORT)
        return Noun(english, german, "", number)
    one, two = noun(rng, PEOPLE), noun(rng, PEOPLE)
    if chance < 0.4:
        return Noun(f"{one.english} and {two.english}", f"{one.nom} und {two.nom}", "", "p")
    return one


def predicate(rng: random.Random, many: bool, english: str, german: str) -> tuple[str, ...]:
    """A verb and its object: English; German verb, the rest, and all with the verb last."""
    base, singular, past, tut, tun, participle, prefix = rng.choice(VERBS)
    tense = rng.choice(("present", "present", "past", "modal"))
    if tense == "present":
        verb = tun if many else tut
        rest, last = f"{german} {prefix}", f"{german} {prefix}{verb}"
        return f"{base if many else singular} {english}", verb, rest, last
    if tense == "past":
        done, verb, rest = past, "haben" if many else "hat", f"{german} {prefix}{participle}"
    else:
        modal, one, several = rng.choice(MODALS)
        done, verb, rest = f"{modal} {base}", several if many else one, f"{german} {prefix}{tun}"
    return f"{done} {english}", verb, rest, f"{rest} {verb}"


def translation(rng: random.Random) -> tuple[str, list[str]]:
    """An English sentence and its German translation."""
    kind = rng.choices(("plain", "framed", "which", "it", "place"), (20, 24, 18, 18, 20))[0]
    who, what = subject(rng), noun(rng, PEOPLE if rng.random() < 0.2 else THINGS)
    many, (fault, mangel) = who.gender == "p", rng.choice(FAULTS)
    if kind in ("which", "it"):
        what = noun(rng, THINGS)
    it, are, sind = ("they", "are", "sind") if what.gender == "p" else ("it", "is", "ist")
    if kind == "which":
        does, _, _, last = predicate(rng, many, "", "")
        english = f"{what.english} that {who.english} {does} {are} {fault}"
        german = f"{what.nom}, {THE['acc'][what.gender]} {who.nom} {last}, {sind} {mangel}"
        return finish(english), [finish(german)]
    place, wo = rng.choice(ADVERBS)
    if kind == "place":
        word, *senses = rng.choice(AMBIGUOUS)
        sense = rng.randrange(2)
        what = noun(rng, [[word, senses[2 * sense], "", senses[2 * sense + 1]]])
        place, wo = rng.choice(PLACES[3 * sense :][:3])
    does, verb, rest, last = predicate(rng, many, what.english, what.acc)
    english, german = f"{who.english} {does}", f"{who.nom} {verb} {rest}"
    if kind == "framed":
        frame, rahmen = rng.choice(FRAMES)
        english, german = f"{frame} {english}", f"{rahmen} {who.nom} {last}"
    elif kind == "it":
        english += f" because {it} {are} {fault}"
        german += f", weil {IT[what.gender]} {mangel} {sind}"
    elif rng.random() < 0.5:
        english, german = f"{place} {english}", f"{wo} {verb} {who.nom} {rest}"
    else:
        english, german = f"{english} {place}", f"{who.nom} {verb} {wo} {rest}"
    return finish(english), [finish(german)]


# --- data to text --------------------------------------------------------------------------------

SHOPS = [
    f"The {quality} {thing}"
    for quality in "Blue Golden Hungry Little Quiet Silver Wild".split()
    for thing in "Bridge Fox Garden Kettle Lantern Onion Spoon Whale".split()
]
KINDS = "café bakery pub restaurant hotel bookshop".split()
FACTS = {
    "area": ["old town", "new town", "city centre", "west end"],
    "near": ["the station", "City Hall", "the theatre", "Rose Park", "the museum"],
    "rating": "1 2 3 4 5".split(),
    "dogs": ["yes", "no"],
    "price": [str(euros) for euros in range(5, 41, 5)],
}
RATINGS = dict(zip(FACTS["rating"], "poor modest fair good excellent".split(), strict=True))
WAYS = {
    "rating": ("it is rated {}", "guests call it {}", "people find it {}"),
    "yes": ("dogs are welcome", "you can bring your dog", "dogs may come in"),
    "no": ("dogs are not allowed", "you cannot bring your dog", "dogs must stay outside"),
    "price": ("meals cost {} euros", "you pay {} euros", "the price is {} euros"),
}


def wording(facts: dict[str, str], way: int) -> str:
    """One of three ways to put it."""
    place = f"in the {facts['area']} " if "area" in facts else ""
    place += f"near {facts['near']}" if "near" in facts else ""
    said = [f"{facts['name']} is a {facts['kind']} {place}"]
    if way == 1:
        said = [f"{place} there is a {facts['kind']} called {facts['name']}"]
    if "rating" in facts:
        said.append(WAYS["rating"][way].format(RATINGS[facts["rating"]]))
    if "dogs" in facts:
        said.append(WAYS[facts["dogs"]][way])
    if "price" in facts:
        said.append(WAYS["price"][way].format(facts["price"]))
    if "rival" in facts:
        more = int(facts["price"]) - int(facts["rival price"])
        word = "cheaper than" if more < 0 else "dearer than" if more else "as cheap as"
        said[-1] += f", so it is {word} {facts['rival']}"
    return " ".join(map(finish, said))


def data_to_text(rng: random.Random) -> tuple[str, list[str]]:
    """Facts about a place, perhaps beside another one, and two or three wordings of them."""
    name, rival = rng.sample(SHOPS, 2)
    facts = {"name": name, "kind": rng.choice(KINDS)}
    facts |= {key: rng.choice(FACTS[key]) for key in rng.sample(list(FACTS), rng.randint(2, 4))}
    if "price" in facts and rng.random() < 0.7:
        facts |= {"rival": rival, "rival price": rng.choice(FACTS["price"])}
    shown = [f"{key}[{value}]" for key, value in facts.items()]
    rng.shuffle(shown)
    return ", ".join(shown), list(dict.fromkeys(wording(facts, way) for way in range(3)))


# --- summaries -----------------------------------------------------------------------------------

FIRST = "Anna Boris Clara David Elena Frank Grace Hugo Irene Jonas".split()
LAST = "Albers Brandt Decker Ebert Falk Gruber Heller Kramer Lindner Moser".split()
JOBS = "baker teacher painter doctor farmer singer nurse writer".split()
TOWNS = "Lindau Marbeck Osterholt Felden Brakel Tornau".split()
CONTESTS = ["chess final", "boat race", "baking contest", "spelling contest", "city run"]
BUILDINGS = "bridge library school park station pool".split()
ITEMS = ["red coat", "silver watch", "old camera", "black bag", "green hat", "house key"]
FILLERS = (
    "the weather was cold and wet;many people came to watch;most shops stayed closed;"
    "the mayor gave a short speech;coffee was free for everyone;a band played until midnight;"
    "the local paper wrote about it;nobody was hurt;some guests had come by train"
).split(";")


def summarization(rng: random.Random) -> tuple[str, list[str]]:
    """A report of a few sentences, and the one that matters."""
    one, two = (f"{f} {s}" for f, s in zip(rng.sample(FIRST, 2), rng.sample(LAST, 2), strict=True))
    job, trade = rng.sample(JOBS, 2)
    town, city = rng.sample(TOWNS, 2)
    people = [f"{one} is a {job} from {town}", f"{two} is a {trade} from {city}"]
    kind = rng.choice(("contest", "vote", "loss"))
    if kind == "contest":
        contest = rng.choice(CONTESTS)
        lead = f"{one} and {two} took part in the {contest}"
        winner, how = rng.choice(
            ((one, f"the {job} won"), (one, f"the guest from {city} lost"),
             (two, f"the guest from {city} won"), (two, f"the {job} lost"))
        )  # fmt: skip
        rest, short = [*people, how], f"{winner} won the {contest}"
    elif kind == "vote":
        building = rng.choice(BUILDINGS)
        yes, no = rng.sample(range(3, 30), 2)
        lead = f"the people of {town} want a new {building}"
        rest = [f"{yes} members of the council were for it and {no} were against it"]
        rest.append(f"{one}, a {job}, spoke about the {building} of {city}")
        short = f"{town} will {'get' if yes > no else 'not get'} a new {building}"
    else:
        item, other = rng.sample(ITEMS, 2)
        lead = f"{one} lost the {item} in {town} and the {other} in {city}"
        place, thing = rng.choice(((town, item), (city, other)))
        rest = [f"{two}, a {trade}, found something in {place}", f"{one} is a {job}"]
        short = f"{two} found the {thing} of {one}"
    rest += rng.sample(FILLERS, rng.randint(1, 2))
    rng.shuffle(rest)
    return " ".join(map(finish, [lead, *rest])), [finish(short)]


# --- files ---------------------------------------------------------------------------------------

MAKERS = {maker.__name__: maker for maker in (translation, data_to_text, summarization)}

PAIRS = {"translation": 4000, "data_to_text": 2600, "summarization": 3400}
"""For training: a demonstration takes less than three minutes on two cores."""


def make(task: str, pairs: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows of every split: ``pairs`` for training, 3 for every 40 of them in each of the others."""
    if task not in MAKERS:
        raise ValueError(f"task must be one of {', '.join(MAKERS)}, not {task!r}")
    if pairs < 1:
        raise ValueError(f"pairs must be at least 1, not {pairs!r}")
    splits: dict[str, list[dict[str, Any]]] = {}
    seen: set[tuple[str, ...]] = set()
    for split in ("train", "validation", "test"):
        rng, rows = random.Random(f"{task} {seed} {split}"), []
        while len(rows) < (pairs if split == "train" else max(1, pairs * 3 // 40)):
            source, texts = MAKERS[task](rng)
            key = tuple(sorted(source.split(", ")))  # the same facts in another order
            if key in seen:
                continue
            seen.add(key)
            training = split == "train"
            target, references = (rng.choice(texts), None) if training else (texts[0], texts)
            rows.append({"source": source, "target": target, "references": references})
        splits[split] = rows
    return splits


def write(
    folder: str | Path, task: str = "translation", pairs: int | None = None, seed: int = 0
) -> Path:
    """Write the splits as parquet into ``folder`` and return it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pairs = PAIRS.get(task, 1) if pairs is None else pairs

    columns = {"source": pa.string(), "target": pa.string(), "references": pa.list_(pa.string())}
    for split, rows in make(task, pairs, seed).items():
        with replacing(Path(folder) / f"{split}.parquet") as partial:
            pq.write_table(pa.Table.from_pylist(rows, pa.schema(columns)), partial)
    return Path(folder)
