"""Whatever happens to a folder: the answers of before, or a word that says what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenexit.errors import UserError
from tokenexit.workflows.commands import open_model

pytestmark = pytest.mark.slow

DAMAGES = (
    "missing", "empty", "half", "a byte short", "a list", "an empty object", "nested",
    "nested objects", "no text", "bits", "another model's", "a folder", "a dangling link",
)  # fmt: skip
# Of settings, what another value does is no damage: all texts would leave elsewhere.
OF_MEANING = (
    "policy", "generation", "encoder_policy", "halted", "scale", "task", "source_prefix",
)  # fmt: skip


def answers(kind: Any, folder: Path, by_command: bool) -> str:
    """What comes of loading and asking: ``refused``, or answers."""
    try:
        if by_command:
            found = list(open_model(str(folder)).predict(kind.texts, None, 4))
        else:
            found = kind.ask(kind.loads.from_pretrained(folder))
    except UserError:
        return "refused"
    return json.dumps(found)


def files_of(folder: Path) -> list[Path]:
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("of", ["crf", "classifier", "generator", "cascade"])
def test_a_damaged_file_is_refused_or_makes_no_difference(
    of, name, kinds, folders, damage, tmp_path
):
    if of == "crf":
        pytest.importorskip("torchcrf")
    kind, whole = kinds[of], folders(of)
    right = answers(kind, whole, False)
    files = files_of(whole)
    if of == "cascade":  # its stages are classifiers, and one of them stands for both
        files = [file for file in files if file.parts[0] != "stage-1"]
    for number, file in enumerate(files):
        work = tmp_path / str(number)
        shutil.copytree(whole, work)
        damage.of_files(folders(of, 1) / file.parent)[name](work / file)
        found = answers(kind, work, bool((number + DAMAGES.index(name)) % 2))
        assert found in ("refused", right), file
        if file.name in ("exit_config.json", "exit_heads.safetensors", "cascade.json"):
            # A byte less may be the line end; the settings of another generator may fit.
            assert found == "refused" or name == "a byte short", file


@pytest.mark.parametrize("of", ["tagger", "regression", "cascade", "generator"])
def test_settings_of_wrong_types_are_refused(of, kinds, folders, damage, tmp_path):
    kind, work = kinds[of], tmp_path / "model"
    shutil.copytree(folders(of), work)
    right = answers(kind, work, False)
    file = work / ("cascade.json" if of == "cascade" else "exit_config.json")
    refused = 0
    for what, text in damage.strange_values(file, (None, True, 10**400, "strange", [])):
        file.write_text(text, encoding="utf-8")
        found = answers(kind, work, False)
        same_or_other = found in ("refused", right)
        assert same_or_other or what.split(" ")[1].split(".")[0] in OF_MEANING, what
        refused += found == "refused"
    assert refused > 50


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["copy", "crf", "entropy", "never", "regression", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "policy", "gate", "mean", "std", "x"]), inner)
    ),
    max_leaves=6,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_settings_end_in_anything_but_a_word_or_a_model(data, kinds, folders, damage, tmp_path):
    kind, work = kinds["tagger"], tmp_path / "model"
    if not work.exists():
        shutil.copytree(folders("tagger"), work)
    text = (folders("tagger") / "exit_config.json").read_text(encoding="utf-8")
    changed = json.loads(text)
    places = list(damage.keys_of(changed))
    for place in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
        try:
            damage.put(changed, place, data.draw(PLAIN))
        except (TypeError, IndexError, KeyError):
            continue  # the place went with another
    (work / "exit_config.json").write_text(json.dumps(changed), encoding="utf-8")
    try:
        model = kind.loads.from_pretrained(work)
    except UserError:
        return
    try:
        kind.ask(model)
    except UserError:
        return
    model.save_pretrained(tmp_path / "again")  # and its card can be written


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": -1}, "format version -1"),
        ({"format_version": 0}, "format version 0"),
        ({"format_version": True}, "format version True"),
        ({"exit_layers": []}, "exit_layers must be layers from 1, upwards"),
        ({"exit_layers": [1, 1, 3]}, "upwards"),
        ({"exit_layers": [3, 2]}, "upwards"),
        ({"exit_layers": [1, 2]}, "should go up to the top, 3"),
        ({"exit_layers": [1, True, 3]}, r"exit_layers\.1 \(True\)"),
        ({"labels": ["O", "O", "X"]}, "different names"),
        ({"labels": ["O", "B-PER", 7]}, r"labels\.2 \(7\)"),
        ({"labels": ["O", "B-PER"]}, "names 2 classes"),
        ({"labels": ["O", "B-PER", "I-LOC"]}, "of two models"),
        ({"labels": "abc"}, "labels"),
        ({"halted": "copi"}, "halted"),
        ({"decode": "argmin"}, "argmax"),
        ({"pending": "lasy"}, "lazy"),
        ({"decode": "crf"}, "exit_heads.safetensors is damaged"),
        ({"task": "regression"}, "regression, and nothing else"),
        ({"task": "classification"}, "a text classifier"),
        ({"scale": {"mean": 0, "std": 1}}, "regression, and nothing else, has a scale"),
        ({"policy": {"name": "entropi"}}, "Did you mean 'entropy'"),
        ({"policy": {"name": "entropy", "threshold": 10**400}}, "hex digits"),
        ({"policy": {"name": "entropy", "threshold": float("nan")}}, "NaN"),
        ({"encoder_policy": {"name": "hash", "min_layer": "x"}}, "min_layer"),
        ({"generation": [1]}, r"generation \(\[1\]\)"),
        ({"heads": {"name": "mlp", "inner": 10**9}}, "inner|damaged|built"),
        ({"heads": {"name": "mlp", "inner": "six"}}, "whole number"),
        ({"heads": {"name": "linear", "gate": 7}}, "heads.gate"),
        ({"results": {"test": {"metric": "f1"}}}, "num_layers"),
        ({"results": {"test": 7}}, "results"),
        ({"calibration": {"target": 7}}, "calibration"),
        ({"training": {"data": 7}}, "training"),
        ({"files": {"../x": ""}}, "list of files"),
        ({"files": {"vocab.txt": "00000000"}}, "lacks vocab.txt"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_no_model_has(changes, message, kinds, folders, tmp_path):
    work = shutil.copytree(folders("tagger"), tmp_path / "model")
    data = json.loads((work / "exit_config.json").read_text(encoding="utf-8"))
    (work / "exit_config.json").write_text(json.dumps({**data, **changes}))
    with pytest.raises(UserError, match=message):
        kinds["tagger"].loads.from_pretrained(work)


@pytest.mark.parametrize(
    "scale", [{"mean": 0, "std": 0}, {"mean": float("nan"), "std": 1}, {"mean": 1}, {}, None, [1]]
)
def test_a_regression_without_a_scale(scale, kinds, folders, tmp_path):
    work = shutil.copytree(folders("regression"), tmp_path / "model")
    data = json.loads((work / "exit_config.json").read_text(encoding="utf-8"))
    (work / "exit_config.json").write_text(json.dumps({**data, "scale": scale}))
    with pytest.raises(UserError, match=r"[Ss]cale"):
        kinds["regression"].loads.from_pretrained(work)


def test_a_policy_nested_deeply(kinds, folders, tmp_path):
    work = shutil.copytree(folders("tagger"), tmp_path / "model")
    data = json.loads((work / "exit_config.json").read_text(encoding="utf-8"))
    for _ in range(400):
        data["policy"] = {"name": "window", "policy": data["policy"], "size": 2}
    (work / "exit_config.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match="levels deep"):
        kinds["tagger"].loads.from_pretrained(work)


def test_a_number_of_thousands_of_digits(kinds, folders, tmp_path):
    work = shutil.copytree(folders("tagger"), tmp_path / "model")
    text = (work / "exit_config.json").read_text(encoding="utf-8")
    (work / "exit_config.json").write_text(text.replace("0.7", "1" + "0" * 5000))
    with pytest.raises(UserError, match="not valid JSON"):
        kinds["tagger"].loads.from_pretrained(work)
