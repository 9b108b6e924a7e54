"""Certificates: what is stored of a test says the same again, whatever order its rows are in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.certificate.check import check_certificate
from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.certificate.trace import read_trace, save_trace
from tokenexit.calibration.certificate.verdict import verdict
from tokenexit.errors import UserError
from tokenexit.guarantees import FixedSequence, order_of, parse
from tokenexit.policies import Entropy
from tokenexit.promises.sentences import promise_sentences

TEXTS = [f"text {n}" for n in range(60)]


def evidence_of(promise, settings, full=None, texts=TEXTS):
    """Settings that change so many of the first texts."""
    full = full or {"changed": np.zeros(len(texts))}
    sequence = FixedSequence(parse(promise), full, order_of(texts))
    return Evidence.of(sequence, texts, [Entropy(n / 10).to_config() for n in range(len(settings))],
                       settings)  # fmt: skip


def changing(*counts, texts=60):
    return [{"changed": (np.arange(texts) < count).astype(float)} for count in counts]


def shuffled(path: Path, seed: int) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    pq.write_table(table.take(np.random.default_rng(seed).permutation(len(table))), path)


def test_the_loosest_setting_before_the_first_failure_is_certified():
    # of 60 texts at most 1 may differ: P(Bin(60, 0.1) <= 1) = 0.014, <= 2: 0.053, <= 3: 0.137
    found = verdict(evidence_of("differs <= 0.1 with 90%", changing(0, 2, 3, 2)))
    assert (found["certified"], found["policy"]) == (2, Entropy(0.1).to_config())
    assert [one["texts_lost"] for one in found["sequence"]] == [
        {"differs <= 0.1 with 90%": count} for count in (0, 2, 3)
    ]
    assert found["sequence"][1]["tests"][0]["evidence"] == pytest.approx(-np.log(0.0530), abs=1e-3)
    assert found["promises"][0]["needed"] == 22
    nothing = verdict(evidence_of("differs <= 0.1 with 90%", changing(3)))
    assert (nothing["certified"], nothing["policy"]) == (0, {"name": "never"})


WRITTEN = ["a b", "c", "d e f", ""]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("promise", "full", "exits"),
    [
        ("differs <= 0.4 with 60%", {"changed": np.zeros(4)}, {"changed": np.eye(4)[1]}),
        (
            "f1 kept >= 0.5 with 60% and differs <= 0.4 with 60%",
            {"f1_over": np.ones(4) * 2, "f1_under": np.ones(4) * 4, "changed": np.zeros(4)},
            {"f1_over": np.arange(4.0), "f1_under": np.ones(4) * 4, "changed": np.eye(4)[2]},
        ),
        (
            "token f1 loss <= 0.4 with 60%",
            {"said": WRITTEN, "references": [["a b"], ["c", "d"], ["d e"], ["g"]]},
            {"said": ["a", *WRITTEN[1:]], "references": [["a b"], ["c", "d"], ["d e"], ["g"]]},
        ),
        (
            "every class differs <= 0.4 with 60%",
            {"changed": np.zeros(4), "class": np.array(["x", "y", "y", "x"], dtype=object)},
            {"changed": np.eye(4)[3]},
        ),
        ("differs <= 0.4 on average", {"changed": np.zeros(4)}, {"changed": np.eye(4)[1]}),
    ],
)
def test_what_is_read_says_what_was_written(promise, full, exits, seed, tmp_path):
    texts = ["one", "two", "two", "three"]  # a text that stands twice counts once
    told = evidence_of(promise, [full, exits], full, texts)
    save_trace(told, tmp_path / "t.parquet")
    shuffled(tmp_path / "t.parquet", seed)
    again = read_trace(tmp_path / "t.parquet")
    assert verdict(again) == verdict(told)
    assert verdict(told)["test"]["texts"] == 3


@given(st.permutations(range(12)), st.lists(st.integers(0, 1), min_size=12, max_size=12))
def test_the_order_of_texts_decides_nothing(order, lost):
    full = {"f1_over": np.full(12, 4.0), "f1_under": np.full(12, 8.0)}
    exits = {"f1_over": 4.0 - 2 * np.array(lost), "f1_under": np.full(12, 8.0)}

    def of(rows):
        taken = [{name: values[rows] for name, values in one.items()} for one in (full, exits)]
        texts = [TEXTS[row] for row in rows]
        return verdict(evidence_of("f1 kept >= 0.6 with 70%", taken[1:], taken[0], texts))

    told, found = of(np.arange(12)), of(np.array(order))
    for one in (told, found):  # a sum in another order
        one["sequence"] = json.loads(
            json.dumps(one["sequence"]), parse_float=lambda x: round(float(x), 9)
        )
    assert told == found


def test_a_calibration_tells_what_its_evidence_says(tagger, splits):
    config = CalibrateConfig(guarantee="differs <= 0.3 with 80% and layers saved >= 1.01", grid=8)
    found = calibrate(
        tagger, splits["validation"], config, families=[Entropy()], design=splits["train"]
    )
    again = verdict(found.evidence)
    assert [one["tests"] for one in again["sequence"]] == found.promise["tests"]
    assert again["savings"] == found.promise["tests_of_savings"]
    assert again["policy"] == found.policy
    assert "evidence" not in found.to_json()


def test_a_recipe_certifies_what_it_promises(trained_run, corpus, tmp_path):
    from tokenexit.training import TrainConfig
    from tokenexit.workflows.config import TaggingConfig
    from tokenexit.workflows.run import run_task

    asked = CalibrateConfig(
        guarantee="differs <= 0.5 with 60%", policies=[{"name": "entropy"}], grid=2
    )
    train = TrainConfig(max_steps=1, epochs=1, keep_best=False)
    told = {"output_dir": str(tmp_path), "data": str(corpus), "calibrate": asked, "train": train}
    run_task(TaggingConfig(model=str(trained_run), train_on=8, test_on=4, **told))
    certificate, evidence = check_certificate(tmp_path)
    assert (
        certificate["policy"] == json.loads((tmp_path / "exit_config.json").read_text())["policy"]
    )
    assert certificate["list"]["from"] == "train" or certificate["list"]["texts"]
    assert len(evidence.texts) == certificate["data"]["texts"]
    assert "certify MODEL --check" in (tmp_path / "README.md").read_text()
    assert "certify MODEL --check" in (tmp_path / "report.html").read_text()


def test_words_of_a_certificate():
    told = {
        "promise": "at most 5% of texts differ", "texts": 600, "split": "heldout", "used_for": [],
        "certified": 1, "precision": "int8", "device": "cpu",
    }  # fmt: skip
    (said,) = promise_sentences({"certificate": told}, {})
    assert "from 600 texts of the heldout split: at most 5% of texts differ." in said
    assert "in int8 on cpu, and no other" in said
    (none,) = promise_sentences({"certificate": {**told, "certified": 0}}, {})
    assert "no exit passed on 600 texts" in none
    (used,) = promise_sentences({"certificate": {**told, "used_for": ["training"]}}, {})
    assert "had served for training before" in used


def test_a_folder_without_one_is_told(tmp_path):
    with pytest.raises(UserError, match=r"has no certificate\.json"):
        check_certificate(tmp_path)
