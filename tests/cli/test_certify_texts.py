"""``tokenexit certify``: what the testing texts had served for is told, wherever they lie."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

from tokenexit.workflows.served_texts import EPOCH, FITTING_GATE, POLICY, REDUCER, TRAINING

_path = Path(__file__).with_name("certified.py")
_spec = importlib.util.spec_from_file_location("certified", _path)
assert _spec is not None
assert _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)
_no_accelerator_left = _shared._no_accelerator_left
corpus, trained_run = _shared.corpus, _shared.trained_run
calibrated, own, read, changed = _shared.calibrated, _shared.own, _shared.read, _shared.changed


def test_texts_that_chose_the_policy_do_not_test_it_unseen(own, corpus, cli, tmp_path):
    told = ("--policy", "entropy", "--min-quality", 0.97, "--loose")
    done = cli("calibrate", own, "--data", corpus, "--split", "test", *told)
    assert done.code == 0, done.err
    copied = Path(shutil.copytree(corpus, tmp_path / "elsewhere"))
    for data, split, used in (
        (corpus, "test", [POLICY]),
        (copied, "test", [POLICY]),
        (copied / "test.parquet", "test", [POLICY]),
        (corpus, "validation", [EPOCH]),
        (copied, "validation", [EPOCH]),
        (copied, "train", [TRAINING, POLICY]),  # of which the test split is a part
    ):
        promise = ("--promise", "differs <= 0.9 with 60%")
        done = cli("certify", own, "--data", data, "--split", split, *promise)
        held = read(own / "certificate.json")["data"]
        assert (held["used_for"], held["not_known"]) == (used, []), (data, split)
        assert f"had served for {', '.join(used)} before" in done.out, (data, split)
    # Another calibration chooses anew.
    assert cli("calibrate", own, "--data", corpus, "--split", "test", *told).code == 0
    assert read(own / "calibration.json")["data_used_for"] == []
    listed = ("--promise", "differs <= 0.9 with 60%", "--choose", "--policy", "entropy")
    cli("certify", own, "--data", corpus, "--split", "test", *listed)
    assert read(own / "certificate.json")["data"]["used_for"] == []


def test_what_an_older_calibration_used_is_not_known(own, corpus, cli):
    def older(told):
        del told["calibration"]["texts_used"], told["training"]["texts_used"]

    changed(own / "exit_config.json", older)
    told = ("certify", own, "--promise", "differs <= 0.9 with 60%", "--split", "test", "--data")
    done = cli(*told, corpus)
    held = read(own / "certificate.json")["data"]
    assert (held["used_for"], held["not_known"]) == ([], [POLICY])
    assert "Whether they had served for choosing the policy is not known." in done.out
    done = cli(*told, corpus / "test.parquet")
    assert read(own / "certificate.json")["data"]["not_known"] == [TRAINING, EPOCH, POLICY]
    assert "for training or choosing the epoch or choosing the policy is not known" in done.out


def test_epochs_are_allowed_for_wherever_the_texts_lie(own, corpus, cli, tmp_path):
    copied = Path(shutil.copytree(corpus, tmp_path / "elsewhere"))
    looks = []
    for data in (corpus, copied):
        told = ("--min-quality", 0.4, "--policy", "entropy")
        assert cli("calibrate", own, "--data", data, *told).code == 0
        found = read(own / "calibration.json")
        assert found["data_used_for"] == found["certificate"]["used_for"] == [EPOCH]
        looks.append(found["promise"]["looks"])
    assert looks[0] == looks[1] > 1


def test_training_texts_are_counted_whatever_columns_they_have(own, corpus, cli, tmp_path):
    import pyarrow.parquet as pq

    rows = pq.read_table(corpus / "test.parquet").to_pylist()
    texts = tmp_path / "texts.jsonl"
    lines = [json.dumps({**row, "doc": n}) for n, row in enumerate(rows)]
    texts.write_text("\n".join(lines), encoding="utf-8")
    told = ("certify", own, "--data", texts, "--promise", "differs <= 0.9 with 60%")
    for more in ((), ("--group-column", "doc")):
        cli(*told, *more)
        assert read(own / "certificate.json")["data"]["trained_on"] == len(rows)


def test_one_text_is_one_text(own, corpus, cli, tmp_path):
    text = tmp_path / "text.jsonl"
    text.write_text('{"tokens": ["Rice", "is", "good"]}\n', encoding="utf-8")
    cli("certify", own, "--data", text, "--promise", "differs <= 0.9 with 5%")
    check = ("certify", own, "--check")
    assert "from 1 text of the test split" in cli(*check).out
    rerun = cli(*check, "--rerun", "--data", text).out
    assert "0 of 1 text come out otherwise" in rerun


def test_texts_of_their_own_were_not_trained_on(own, cli, tmp_path, caplog):
    texts = tmp_path / "texts.jsonl"
    rows = [{"tokens": ["Rice", "is", "good", str(n)]} for n in range(30)]
    rows += rows[:10]  # which count once
    texts.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    cli("certify", own, "--data", texts, "--promise", "differs <= 0.9")
    assert "stand in the training split" not in caplog.text
    held = read(own / "certificate.json")
    assert held["data"]["trained_on"] == 0
    assert (held["data"]["texts"], held["test"]["texts"]) == (40, 30)


def test_documents_count_where_texts_have_them(own, cli, tmp_path):
    texts = tmp_path / "texts.jsonl"
    rows = [{"tokens": ["Rice", "is", "good", str(n)], "doc": n // 4} for n in range(60)]
    texts.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    told = ("certify", own, "--data", texts, "--promise", "differs <= 0.3")
    for more, count in (((), 60), (("--group-column", "doc"), 15)):
        cli(*told, *more)
        held = read(own / "certificate.json")
        assert held["sequence"][0]["tests"][0]["texts"] == count
    two = [{**row, "doc": row["doc"] % 2} for row in rows]
    texts.write_text("\n".join(map(json.dumps, two)), encoding="utf-8")
    assert "cannot be promised on 2 documents" in cli(*told, "--group-column", "doc").err
    assert read(own / "certificate.json")["certified"] == 0
    assert "no column 'nowhere'" in cli(*told, "--group-column", "nowhere").err


def test_a_labelled_promise_needs_labels(own, cli, tmp_path):
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"tokens": ["Rice", "is", "good"]}\n' * 3, encoding="utf-8")
    done = cli("certify", own, "--data", bare, "--promise", "f1 kept >= 0.9")
    assert done.code == 2
    assert "ner_tags" in done.err


def test_texts_that_a_reducer_or_gate_was_chosen_on_are_told(own, corpus, cli):
    test = ("--data", corpus, "--split", "test")
    tuned = ("--reducer", "significance", "--tune-reducer", "threshold", "--reducer-speedup", 1.2)
    done = cli("calibrate", own, *test, *tuned, "--min-quality", 0.4, "--loose")
    assert done.code == 0, done.err
    assert read(own / "calibration.json")["data_used_for"] == [REDUCER]
    # The reducer stays where the policy is chosen anew on other texts.
    told = ("--data", corpus, "--speedup", 1.1, "--policy", "entropy")
    assert cli("calibrate", own, *told).code == 0

    def used():
        cli("certify", own, *test, "--promise", "differs <= 0.9 with 60%")
        return read(own / "certificate.json")["data"]["used_for"]

    assert used() == [REDUCER]
    assert cli("calibrate", own, *told, "--reducer", "none").code == 0
    assert used() == []
    assert cli("fit-gate", own, *test, "--epochs", 1).code == 0
    assert used() == [FITTING_GATE]


def test_other_texts_are_refused(calibrated, corpus, cli):
    told = ("--check", "--rerun", "--data", corpus, "--split", "test")
    done = cli("certify", calibrated, *told)
    assert done.code == 2
    assert "are not in this split" in done.err
