"""Questions and answers over HTTP, and questions that are none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tokenexit.demo_page.answering import LONGEST
from tokenexit.demo_page.server import bound
from tokenexit.errors import UserError

TEXT = "Ada was born in London ."


def test_a_word_has_its_label_and_its_layer(ask, models):
    code, found = ask({"text": TEXT, "setting": 0.3})
    told = models["tagger"].predict([TEXT], policy="entropy:0.3")[0]
    deep = models["tagger"].predict([TEXT], policy="never")[0]
    assert code == 200
    assert [piece["text"] for piece in found["pieces"]] == TEXT.split()
    assert [piece["layer"] for piece in found["pieces"]] == told.exit_layers
    assert [piece["label"] or "O" for piece in found["pieces"]] == told.labels
    assert found["layers"] == pytest.approx(sum(told.exit_layers) / 6)
    assert sum(found["histogram"]) == 6
    unlike = [place for place in range(6) if told.labels[place] != deep.labels[place]]
    assert found["differs"] == unlike
    assert found["times"]["rounds"] == 1
    assert min(found["times"]["ours_ms"], found["times"]["full_ms"]) > 0


def test_the_threshold_moves_words(ask):
    about = ask(path="/about", method="GET").data
    values = about["slider"]["values"]
    strict, own, loose = (
        ask({"text": TEXT, "setting": value}).data for value in (values[0], None, values[-1])
    )
    assert strict["layers"] == about["depth"]
    assert strict["same"] is True
    assert strict["differs"] == []
    assert about["depth"] > own["layers"] > loose["layers"] == 1
    assert values[about["slider"]["start"]] == 0.3


def test_the_page_is_served_whole(ask):
    code, page = ask(path="/", method="GET")
    assert code == 200
    assert b"</html>" in page
    assert b"http://" not in page.replace(b"http://www.w3.org", b"")
    assert b"https://" not in page
    assert ask(path="/favicon.ico", method="GET").code == 204


@pytest.mark.parametrize(
    "text",
    [
        "\x00 \u202e \ufeff",
        "a\ud83d b",
        "👩‍👩‍👧 é",
        "नमस्ते दुनिया",
        "a\nb\r\n\tc",
        "<script>alert(1)</script>",
    ],
)
def test_odd_letters(ask, text):
    code, found = ask({"text": text})
    assert code == 200
    assert sum(found["histogram"]) == len(found["pieces"])


def test_a_text_without_words_has_no_layers(ask):
    code, found = ask({"text": "\u200b"})
    assert code == 200
    assert (found["layers"] is None) == (not found["pieces"])


def test_a_long_text(ask):
    code, found = ask({"text": "ada " * 1000})
    assert code == 200
    assert len(found["pieces"]) == 1000
    code, found = ask({"text": "a" * (LONGEST + 1)})
    assert code == 400
    assert "tokenexit predict" in found["error"]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (b"{", "JSON such as"),
        (b"\xff", "JSON such as"),
        (b"[" * 100_000, "JSON such as"),
        ([1], "looks like"),
        ({"text": "a", "threshold": 1}, "looks like"),
        ({"text": 3}, "strings"),
        ({"text": "a", "pair": 3}, "strings"),
        ({}, "strings"),
        ({"text": "a", "setting": "0.3"}, "number"),
        ({"text": "a", "setting": True}, "number"),
        ({"text": "a", "setting": float("nan")}, "number"),
        ({"text": "a", "setting": -1}, "from 0 to 1"),
        ({"text": " \n "}, "type a text"),
    ],
)
def test_what_is_no_question(ask, question, told):
    code, found = ask(question)
    assert code == 400
    assert told in found["error"]


def test_others_are_refused(ask):
    question = {"text": TEXT}
    assert ask(question, Host="example.org:80").code == 403
    assert ask(path="/about", method="GET", Host="example.org").code == 403
    assert ask(question, Host="localhost:8765").code == 200
    assert ask(question, Host="[::1]:8765").code == 200
    assert ask(question, Content_Type="text/plain").code == 400
    assert ask(question, Content_Length=str(1 << 40)).code == 400
    assert ask(question, path="/other").code == 404
    assert ask(path="/../secret", method="GET").code == 404
    assert ask(method="DELETE").code == 501


def test_many_ask_at_once(ask):
    texts = ["ada .", "ada was born", "in london and paris she"] * 3
    with ThreadPoolExecutor(9) as pool:
        replies = list(pool.map(lambda text: ask({"text": text}), texts))
    for text, (code, found) in zip(texts, replies, strict=True):
        assert code == 200
        assert [piece["text"] for piece in found["pieces"]] == text.split()


def test_a_port_that_is_taken_and_hosts_that_are_not_ours(server, answering):
    taken, model = server.server_address[1], answering("tagger")
    for host, port, told in (
        ("127.0.0.1", taken, f"Port {taken} of 127.0.0.1.*another program has it.*--port 0"),
        ("0.0.0.0", 0, "this machine alone.*ssh -L"),
        ("example.org", 0, "this machine alone"),
        ("127.0.0.1", 70_000, "from 0 .* to 65535, not 70000"),
    ):
        with pytest.raises(UserError, match=told), bound(host, port, model):
            pass
