"""Serving with an audit: what is counted, alarms and the way back, state, labels."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from tokenexit.audit import Audit
from tokenexit.errors import UserError
from tokenexit.policies import Entropy, MaxProb


@pytest.fixture(scope="module")
def texts(splits):
    return [" ".join(tokens) for tokens in splits["train"].tokens] * 2


def plain(results):
    return [one.to_dict() for one in results]


def test_results_are_those_of_the_policy(tagger, texts):
    audit = Audit(tagger, rate=0.2, ladder=[Entropy(0.3)], batch_size=16)
    assert plain(audit.serve(texts)) == plain(tagger.predict(texts, policy=Entropy(0.3)))
    told = audit.report
    assert told["served"] == len(texts)
    assert 0.1 < told["audited"] / len(texts) < 0.3
    layers = [n for one in tagger.predict(texts, policy=Entropy(0.3)) for n in one.exit_layers]
    assert told["mean_exit_layer"] == pytest.approx(sum(layers) / len(layers))
    assert told["layers_saved"] == pytest.approx(3 * len(layers) / sum(layers))


def test_what_differs_is_counted(tagger, texts):
    audit = Audit(tagger, rate=0.5, ladder=[MaxProb(0.0)], allowed=0.9, batch_size=16)
    list(audit.serve(texts))
    ours, deep = (tagger.predict(texts, policy=p) for p in (MaxProb(0.0), "never"))
    share = sum(a.labels != b.labels for a, b in zip(ours, deep, strict=True)) / len(texts)
    assert audit.report["differ_share"] == pytest.approx(share, abs=0.15)
    assert audit.report["differ"] > 0


def test_an_alarm_makes_it_stricter_and_is_told(tagger, texts, caplog):
    audit = Audit(
        tagger, rate=0.5, ladder=[Entropy(1e-4), MaxProb(0.0)], allowed=0.02,
        per_false_alarm=50, batch_size=16,
    )  # fmt: skip
    assert audit.rung == 2
    list(audit.serve(texts))
    assert audit.rung < 2
    assert audit.report["alarms"][0]["kind"] == "alarm"
    assert "alarm after" in caplog.text
    assert audit.policy in (Entropy(1e-4), audit.ladder.rungs[0])


def test_a_stream_may_be_cut_anywhere(tagger, texts):
    def made(state=None):
        return Audit(tagger, rate=0.3, ladder=[MaxProb(0.5)], batch_size=8, state=state)

    whole = made()
    results = plain(whole.serve(texts))
    first = made()
    found = plain(first.serve(texts[:100]))
    second = made(json.loads(json.dumps(first.state)))
    found += plain(second.serve(texts[100:]))
    # 100 is no multiple of 8: batches differ, draws do not
    assert second.state["counts"] == whole.state["counts"]
    assert second.state["waiting"].keys() == whole.state["waiting"].keys()
    assert [one["labels"] for one in found] == [one["labels"] for one in results]


def test_endless_streams_are_served_as_they_come(tagger, texts):
    def endless():
        while True:
            yield from texts

    audit = Audit(tagger, rate=0.1, batch_size=4)
    assert len(list(islice(audit.serve(endless()), 10))) == 10
    assert audit.report["served"] == 12


def test_labels_may_come_later(tagger, texts):
    audit = Audit(tagger, rate=0.3, ladder=[MaxProb(0.0)], batch_size=16)
    list(audit.serve(texts[:100]))
    deep = tagger.predict(texts[:100], policy="never")
    audited = [int(number) for number in audit.state["waiting"]]
    for number in audited:
        audit.label(number, deep[number].labels)
    told = audit.report["labels"]
    assert told["seen"] == len(audited)
    assert told["level"] > 0
    with pytest.raises(UserError, match="no answers waiting"):
        audit.label(audited[0], [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": 0.0}, "between 0 and 1"),
        ({"rate": 1.0}, "between 0 and 1"),
        ({"allowed": 1.0}, "between 0 and 1"),
        ({"per_false_alarm": 0.0}, "more than 1"),
    ],
)
def test_bad_settings(changes, said, tagger):
    with pytest.raises(UserError, match=said):
        Audit(tagger, **changes)


def test_a_state_of_something_else_is_refused(tagger, own_run):
    from tokenexit import ExitModelForTokenClassification

    state = json.loads(json.dumps(Audit(tagger).state))
    with pytest.raises(UserError, match="another rate, share or ladder"):
        Audit(tagger, rate=0.5, state=state)
    other = ExitModelForTokenClassification.from_pretrained(own_run)
    Audit(other, state=state)
    next(other.heads.parameters()).data.mul_(2.0)
    with pytest.raises(UserError, match="another model"):
        Audit(other, state=state)
