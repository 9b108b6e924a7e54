"""Raw text is split as the texts were that a model learned from."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenexit.errors import UserError
from tokenexit.models.splitting.learn_splitter import agreement, learn_splitter, written
from tokenexit.models.splitting.splitter import BASES, splitter
from tokenexit.models.splitting.words import split_words


def split(name: str, text: str) -> list[str]:
    return [text[start:end] for start, end in splitter(name)(text)]


@pytest.mark.parametrize(
    "line",
    [
        "John 's dog is n't here , we 'll see .",
        "the U.S. and D.C. , e.g. Mr. Smith of Apple Inc. , J. Doe",
        "wait ... what ?? no !!! -- he said ------",
        "see https://t.co/GWdK7L7RtR or www.x.org/a?b=c&d=e#f , mail ada@b.co.uk",
        "@ada likes #Paris and #le14 :) ;-) :D :( <3 (:",
        "at 12:30 on 01/24/2001 , 1/2 of 3,000.50 $ and 5 %",
        "AT&T or R&D , back in '68 , non- profit .",
        "`` quoted '' ( and , so on ) ;",
    ],
)
def test_what_is_joined_in_writing_comes_back(line):
    assert split_words(line)[0] == line.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(see http://a.org/b).", ["(", "see", "http://a.org/b", ")", "."]),
        ("She lives in Paris.", ["She", "lives", "in", "Paris", "."]),
        ("Vitamin c. Then I. So", ["Vitamin", "c", ".", "Then", "I", ".", "So"]),
        ("Really?! Yes...", ["Really", "?!", "Yes", "..."]),
        ("in London:(now)", ["in", "London", ":", "(", "now", ")"]),
        ("'D' and 's'", ["'", "D", "'", "and", "'", "s", "'"]),
        ("a/b or 3/4", ["a", "/", "b", "or", "3/4"]),
        ("10:30pm", ["10", ":", "30pm"]),
    ],
)
def test_raw_text(text, words):
    assert split_words(text)[0] == words


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("whitespace", " Ada, was\tborn. ", ["Ada,", "was", "born."]),
        ("characters", "ab 12,\u0301 cafe\u0301", [*"ab12", ",\u0301", *"caf", "e\u0301"]),
        (
            "words+clitics",
            "I don't, it's Ada’s; cannot",
            "I do n't , it 's Ada ’s ; can not".split(),
        ),
        (
            "words+hyphens",
            "well-known e-mail a-b.c@d.org",
            "well - known e-mail a-b.c@d.org".split(),
        ),
        ("words+unspaced", "艾达来自北京 2020年", [*"艾达来自北京", "2020", "年"]),
        ("words+unspaced", "กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
        ("words+unspaced", "東京タワーは3階", [*"東京タワーは", "3", "階"]),
        ("words+clitics+hyphens", "Ada's well-known", ["Ada", "'s", "well", "-", "known"]),
    ],
)
def test_splitters(name, text, words):
    assert split(name, text) == words
    assert splitter(name).name == name


@pytest.mark.parametrize(
    "name", ["word", "words+", "words+x", "words+clitics+clitics", "", None, 3]
)
def test_what_is_no_splitter_is_refused(name):
    with pytest.raises(UserError, match="There is no splitter"):
        splitter(name)


@given(st.text(max_size=30), st.sampled_from([*BASES, "words+clitics+hyphens+unspaced"]))
def test_places_are_in_order_and_nothing_visible_is_lost(text, name):
    spans = splitter(name)(text)
    ends = [0, *(end for _, end in spans)]
    assert all(end <= start < stop for end, (start, stop) in zip(ends, spans, strict=False))
    kept = "".join(text[start:end] for start, end in spans)
    assert [c for c in kept if c.isalnum()] == [c for c in text if c.isalnum()]


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        ([["Ada", "was", "born", "."]] * 9, "words"),
        ([["it", "'s", "n't", "here"]] * 9, "words+clitics"),
        ([["it's", "don't", "here", "'s"]] * 9, "words"),
        ([["well", "-", "known"]] * 9, "words+hyphens"),
        ([["well-known", "-"]] * 9, "words"),
        ([["Ada,", "was", "born;"]] * 9, "whitespace"),
        ([list("艾达2020来ab")] * 9, "characters"),
        ([["Ada", "likes", *"北京"]] * 9, "words+unspaced"),
        ([["Ada", "likes", "北京"]] * 9, "words"),
        ([], "words"),
    ],
)
def test_learned_from_texts(texts, name):
    assert learn_splitter(texts).name == name


def test_agreement():
    chinese = [list("艾达来自北京。")] * 4
    assert agreement(chinese, learn_splitter(chinese)) == 1
    assert agreement(chinese, splitter("whitespace")) == 0
    mixed = [["Ada", "'s"], ["New York"]]
    assert agreement(mixed, splitter("words+clitics")) == 0.5
    assert written(["Ada", "'s", "dog", "'s", "北", "京"]) == "Ada's dog's 北京"


# --- in a tagger -------------------------------------------------------------------------------


def test_the_splitter_is_saved_with_the_model(make_tagger, tmp_path):
    tagger = make_tagger()
    tagger.configure(splitter="words+clitics")
    tagger.save_pretrained(tmp_path / "model")
    loaded = type(tagger).from_pretrained(tmp_path / "model")
    assert loaded.predict(["Ada's"])[0].words == ["Ada", "'s"]
    assert loaded.predict(["Ada's"], splitter="whitespace")[0].words == ["Ada's"]
    assert loaded.predict([["Ada's"]])[0].words == ["Ada's"]
    with pytest.raises(UserError, match="There is no splitter 'letters'"):
        loaded.predict(["Ada"], splitter="letters")


@pytest.mark.parametrize("text", ["艾达来自北京", "東京へ行く", "กรุงเทพ", "ນະຄອນ", "ភ្នំពេញ"])
def test_never_one_word_a_clause_in_silence(text, tagger, caplog):
    with caplog.at_level(logging.WARNING, "tokenexit"):
        [found] = tagger.predict([text])
    assert len(found.words) > 1
    assert all(
        text[start:end] == word
        for word, (start, end) in zip(found.words, found.offsets, strict=True)
    )
    assert "1 text(s) in a script without spaces are split by character" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "tokenexit"):
        tagger.predict([text], splitter="words+unspaced")
        tagger.predict([[text]])
        tagger.predict(["Ada, 北!"])  # one character is one word
    assert not caplog.text
