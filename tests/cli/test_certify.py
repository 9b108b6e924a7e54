"""``tokenexit certify``: made, checked, and refused where anything differs."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tokenexit.audit.promised import allowed_of, certified_of
from tokenexit.calibration.certificate.check import check_certificate
from tokenexit.calibration.certificate.folder import APART, UNCERTIFIED
from tokenexit.errors import UserError
from tokenexit.models.folders.contents import fingerprint
from tokenexit.models.settings import ExitSettings

_path = Path(__file__).with_name("certified.py")
_spec = importlib.util.spec_from_file_location("certified", _path)
assert _spec is not None
assert _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)
_no_accelerator_left = _shared._no_accelerator_left
corpus, trained_run = _shared.corpus, _shared.trained_run
calibrated, own, read, changed = _shared.calibrated, _shared.own, _shared.read, _shared.changed
PROMISE = _shared.PROMISE


def test_it_says_what_was_tested_and_holds(calibrated, corpus, cli):
    told = read(calibrated / "certificate.json")
    assert told["certified"] == sum(one["tests"][0]["passed"] for one in told["sequence"]) > 0
    assert told["policy"] == read(calibrated / "exit_config.json")["policy"]
    assert told["list"] == {"from": "train", "texts": 150}
    assert told["data"]["used_for"]
    assert {"model.safetensors", "exit_heads.safetensors", "tokenizer.json"} <= told["model"][
        "files"
    ].keys()
    done = cli("certify", calibrated, "--check")
    assert done.code == 0, done.err
    assert "The certificate holds." in done.out
    again = cli("certify", calibrated, "--check", "--rerun", "--data", corpus)
    assert again.code == 0, again.err
    assert "Run again on cpu, 0 of 45 texts come out otherwise." in again.out
    assert "certify MODEL --check" in (calibrated / "README.md").read_text(encoding="utf-8")


def weights(folder):
    path = folder / "exit_heads.safetensors"
    held = load_file(path)
    held[min(held)] += 0.01
    save_file(held, path)


def count(folder, honest=False):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "traces" / "certificate.parquet"
    table = pq.read_table(path)
    setting = next(n for n in table.column_names if n[0].isdigit() and n.endswith(".changed"))
    place = table.column_names.index(setting)
    values = table.column(place).to_numpy().copy()
    values[np.flatnonzero(values == 0)[0]] = 1
    pq.write_table(table.set_column(place, setting, pa.array(values)), path)
    if not honest:  # whoever changes the one changes the other as well
        name = fingerprint(path)
        changed(folder / "certificate.json", lambda told: told["trace"].update(sha256=name))


def looser(told):
    told["policy"] = {**told["policy"], "threshold": told["policy"]["threshold"] + 0.1}


def everywhere(folder):
    """The looser policy in the model and wherever the certificate names it."""
    before = read(folder / "certificate.json")["policy"]

    def change(told):
        looser(told)
        for one in told.get("sequence", ()):
            one["policy"] = told["policy"] if one["policy"] == before else one["policy"]

    changed(folder / "certificate.json", change)
    changed(folder / "exit_config.json", looser)


TAMPERED = {
    "a looser policy everywhere": (everywhere, ".policy.threshold"),
    "weights": (weights, "model.files.exit_heads.safetensors"),
    "a count": (count, ".texts_lost.differs"),
    "a count, and its file": (lambda folder: count(folder, True), "trace.sha256"),
    "no trace": (lambda folder: (folder / "traces/certificate.parquet").unlink(), "is missing"),
    "the model's policy": (
        lambda folder: changed(folder / "exit_config.json", looser), "policy is Entropy("
    ),
    "the policy in it": (
        lambda folder: changed(folder / "certificate.json", looser), "policy.threshold"
    ),
    "decode": (
        lambda folder: changed(folder / "exit_config.json", lambda c: c.update(decode="crf")),
        "settings.decode is",
    ),
}  # fmt: skip
FIELDS = {
    "delta": (lambda c: c["promises"][0].update(delta=0.1), "promises.1.delta"),
    "allowed": (lambda c: c["promises"][0].update(allowed=0.2), "promises.1.allowed"),
    "sentence": (lambda c: c["promises"][0].update(sentence="all is well"), "promises.1.sentence"),
    "certified": (lambda c: c.update(certified=c["certified"] - 1), "certified"),
    "evidence": (lambda c: c["sequence"][0]["tests"][0].update(evidence=9.0), ".evidence"),
    "bound": (lambda c: c["sequence"][0]["tests"][0].update(bound="betting"), ".bound"),
    "order": (lambda c: c["test"].update(seed=1), "test.seed"),
    "texts": (lambda c: c["data"].update(sha256="0"), "data.sha256"),
    "precision": (lambda c: c["run"].update(precision="int8"), "run.precision"),
    "labels": (lambda c: c["model"]["labels"].reverse(), "model.labels.1"),
    "nothing": (lambda c: c.pop("promises"), "is damaged"),
    "no number": (lambda c: c["promises"][0].update(delta="much"), "promises.1.delta"),
    "no policy": (
        lambda c: c["sequence"][0].update(policy={"name": "entrpy"}),
        "sequence.1.policy",
    ),
    "no list": (lambda c: c.update(sequence="all"), "sequence is 'all'"),
    "format": (lambda c: c.update(format=3), "has format 3"),
    "an older format": (lambda c: c.update(format=1), "made by an older version of tokenexit"),
    "no settings": (lambda c: c.pop("settings"), "is damaged"),
    "a setting": (lambda c: c["settings"].update(halted="restore"), "settings.halted is 'restore'"),
}


SETTINGS = {
    "generation": ({"max_new_tokens": 12}, "settings.generation.max_new_tokens is nothing in it"),
    "source_prefix": ("translate: ", "settings.source_prefix is '' in it and 'translate: ' here"),
    "source_lang": ("en", "settings.source_lang is nothing in it and 'en' here"),
    "target_lang": ("de", "settings.target_lang"),
    "splitter": ("words+clitics", "settings.splitter is 'words' in it and 'words+clitics' here"),
    "batching": ("by_depth", "settings.batching"),
    "metric": ("accuracy", "settings.metric"),
    "halted": ("restore", "settings.halted"),
    "pending": ("eager", "settings.pending"),
    "encoder_policy": ({"name": "entropy", "threshold": 0.5}, "settings.encoder_policy."),
    "exit_layers": ([1, 3], "the length of settings.exit_layers is 3 in it and 2 here"),
    "heads": ({"name": "linear", "dropout": 0.5}, "settings.heads."),
    "widths": ({"heads": 0.5}, "settings.widths is nothing in it"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_may_change(name, own):
    value, said = SETTINGS[name]
    changed(own / "exit_config.json", lambda told: told.update({name: value}))
    with pytest.raises(UserError) as error:
        check_certificate(own)
    assert said in str(error.value)


def test_every_setting_is_certified_or_said_to_be_none(calibrated):
    told = read(calibrated / "certificate.json")
    names = {field.name for field in fields(ExitSettings)}
    assert names - told["settings"].keys() == {*APART, "calibration", "training", "results"}
    assert names - told["settings"].keys() < {*APART, *UNCERTIFIED}


def test_what_was_done_to_a_model_may_change(own):
    def change(told):
        told.update(results=None)
        told["training"].update(seed=7)

    changed(own / "exit_config.json", change)
    check_certificate(own)


def test_every_file_that_was_saved_is_certified(own):
    (own / "rules.txt").write_text("a b", encoding="utf-8")
    check_certificate(own)  # a file of the user's own
    changed(own / "exit_config.json", lambda told: told["files"].update({"rules.txt": "0"}))
    with pytest.raises(UserError, match=r"model\.files\.rules\.txt is nothing in it"):
        check_certificate(own)


@pytest.mark.parametrize("name", [*TAMPERED, *FIELDS])
def test_what_differs_is_named(name, own):
    if name in TAMPERED:
        change, said = TAMPERED[name]
        change(own)
    else:
        change, said = FIELDS[name]
        changed(own / "certificate.json", change)
    with pytest.raises(UserError) as error:
        check_certificate(own)
    assert said in str(error.value)


def test_another_precision_is_refused(calibrated, cli):
    done = cli("certify", calibrated, "--check", "--precision", "int8")
    assert done.code == 2
    assert "run.precision is 'fp32' in it and 'int8' here" in done.err


def test_another_calibration_takes_it_away(own, corpus, cli):
    done = cli("calibrate", own, "--data", corpus, "--speedup", 1.2, "--policy", "entropy")
    assert done.code == 0, done.err
    assert not (own / "certificate.json").exists()
    assert not (own / "traces" / "certificate.parquet").exists()
    assert "certif" not in (own / "README.md").read_text(encoding="utf-8")


def test_a_reducer_that_is_told_is_part_of_it(own, corpus, cli):
    told = ("--promise", "differs <= 0.8", "--policy", "entropy", "--reducer", "significance:0.5")
    done = cli("calibrate", own, "--data", corpus, *told)
    assert done.code == 0, done.err
    assert check_certificate(own)[0]["settings"]["reducer"]["name"] == "significance"
    changed(own / "exit_config.json", lambda c: c.pop("reducer"))
    with pytest.raises(UserError, match=r"settings\.reducer"):
        check_certificate(own)


def test_the_policy_of_a_model_is_certified_as_it_is(own, corpus, cli, caplog):
    before = read(own / "exit_config.json")
    told = ("certify", own, "--data", corpus, "--split", "test", "--promise")
    done = cli(*told, "differs <= 0.5 with 80%", "--promise", "layers saved >= 1.01")
    assert done.code == 0, done.err
    assert "from 47 texts of the test split: at most 50% of texts differ" in done.out
    # The test split of this corpus is a part of the training split.
    assert "47 of the 47 texts of the test split stand in the training split" in caplog.text
    assert "47 of them stand in the training split as well." in done.out
    held = read(own / "certificate.json")
    assert (held["certified"], len(held["sequence"]), held["list"]["from"]) == (1, 1, None)
    assert held["data"]["trained_on"] == 47
    check_certificate(own)
    after = read(own / "exit_config.json")
    assert after["calibration"].pop("certificate") != before["calibration"].pop("certificate")
    assert after == before
    done = cli(*told, "differs <= 0.0001")  # no text can tell
    assert done.code == 2
    assert "are needed even if nothing is lost. Nothing is certified." in done.err
    assert read(own / "certificate.json")["certified"] == 0
    assert "certificate" not in read(own / "exit_config.json")["calibration"]
    with pytest.raises(UserError, match=r"policy is Never\(\) in it"):
        check_certificate(own)


def test_a_list_is_tested_and_the_policy_stays(own, corpus, cli):
    before = read(own / "exit_config.json")["policy"]
    told = ("--split", "test", "--promise", "differs <= 0.9", "--choose", "--policy", "entropy")
    done = cli("certify", own, "--data", corpus, *told, "--list-from", "train")
    held = read(own / "certificate.json")
    assert held["certified"] > 0
    assert read(own / "exit_config.json")["policy"] == before
    assert (done.code == 0) == (held["policy"] == before)
    assert done.code == 0 or "tokenexit calibrate with the same --promise" in done.err


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((), "Say with --promise what to certify"),
        (("--check", "--promise", PROMISE), "leave --promise"),
        (("--rerun", "--promise", PROMISE), "--rerun goes with --check"),
        (("--list-from", "train", "--promise", PROMISE), "go with --choose"),
        (("--promise", "min_quality=0.9"), "is no promise"),
        (("--promise", PROMISE, "--split", "heldout"), "no split 'heldout'"),
        (("--promise", "chrf loss <= 0.1"), "has no meaning for this model"),
    ],
)
def test_what_has_no_meaning_is_refused(told, said, calibrated, corpus, cli):
    done = cli("certify", calibrated, "--data", corpus, *told)
    assert done.code == 2
    assert said in done.err
    check_certificate(calibrated)  # which is still there


def test_the_certificate_of_another_model_is_refused(calibrated, folder, tmp_path, cli):
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    assert "has no certificate.json" in cli("certify", other, "--check").err
    shutil.copy(calibrated / "certificate.json", other)
    done = cli("certify", other, "--check")
    assert done.code == 2
    assert "The certificate does not hold: model.files." in done.err
    assert "is no folder here" in cli("certify", tmp_path / "none", "--check").err


def test_predict_may_ask_for_a_certificate(own, folder, cli, tmp_path):
    text = tmp_path / "in.txt"
    text.write_text("Ada was here .")
    told = ("predict", own, text, "--require-certificate")
    done = cli(*told)
    assert done.code == 0, done.err
    assert json.loads(done.out)["labels"]
    out = tmp_path / "out"
    assert cli(*told, "--output-dir", out).code == 0
    assert cli("audit", own, "--stream", text, "--require-certificate").code == 0
    for more, said in {
        ("--policy", "never"): "Never() is to run",
        ("--precision", "int8"): "run.precision is 'fp32' in it and 'int8' here",
        ("--decode", "argmax"): "settings.decode is 'legal' in it and 'argmax' here",
        ("--splitter", "words+clitics"): "settings.splitter is 'words' in it",
        ("--pending", "eager"): "settings.pending is",
        ("--batching", "by_depth"): "settings.batching is nothing in it and 'by_depth' here",
        ("--runtime", "static"): "run.runtime is",
        ("--dtype", "bfloat16"): "run.precision is",
        ("--reducer", "significance:0.5"): "settings.reducer",
        ("--widths", "0.5"): "settings.widths",
        ("--output-dir", tmp_path / "none", "--policy", "never"): "Never() is to run",
    }.items():
        done = cli(*told, *more)
        assert (done.code, said in done.err) == (2, True), (more, done.err)
    assert not (tmp_path / "none").exists()
    changed(own / "exit_config.json", looser)
    assert "does not hold" in cli(*told).err
    assert "has no certificate.json" in cli("predict", folder, text, "--require-certificate").err


def test_an_audit_goes_by_the_certificate_not_by_what_the_model_tells(own, cli, tmp_path):
    text, report = tmp_path / "in.txt", tmp_path / "report.json"
    text.write_text("Ada was here .")
    certificate, policy = read(own / "certificate.json"), read(own / "exit_config.json")["policy"]

    def change(told):
        loose = {**policy, "threshold": 1.0}
        told["calibration"]["promise"]["sequence"] = [loose, policy]
        told["calibration"]["target"]["guarantee"] = "differs <= 0.9"

    changed(own / "exit_config.json", change)
    told = ("audit", own, "--stream", text, "--json", report)
    for more, rungs in (((), 3), (("--require-certificate",), certificate["certified"] + 1)):
        assert cli(*told, *more).code == 0
        assert read(report)["rungs"] == rungs
    assert certified_of(certificate)["target"]["guarantee"] == PROMISE
    assert allowed_of(certified_of(certificate)) == 0.3


def test_what_certifies_no_exit_is_not_served(own, corpus, cli, tmp_path):
    from tokenexit import ExitModelForTokenClassification
    from tokenexit.calibration.certificate import require_certificate

    cli("certify", own, "--data", corpus, "--split", "test", "--promise", "differs <= 0.0001")
    changed(own / "exit_config.json", lambda told: told.update(policy={"name": "never"}))
    check_certificate(own)
    with pytest.raises(UserError, match="certifies no exit"):
        require_certificate(ExitModelForTokenClassification.from_pretrained(own), own)
    with pytest.raises(UserError, match="is no folder here"):
        require_certificate(None, tmp_path / "none")
