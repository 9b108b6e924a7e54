"""Saved and loaded is the same; what is damaged is said to be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.hub_mixin
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer

from tokenexit import ExitModelForTokenClassification, policies
from tokenexit.errors import UserError
from tokenexit.models.words.crf import TagCRF

load = ExitModelForTokenClassification.from_pretrained
POLICY = policies.Window(policies.PerClass(policies.Entropy(0.7), {"O": policies.Entropy(0.9)}), 3)


def same_answers(first: Any, second: Any, texts: Any, **settings: Any) -> None:
    mine, theirs = first.tag(texts, **settings), second.tag(texts, **settings)
    for name in ("text", "position", "exit_layer", "prediction"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
    # To the last bit but one: weights mapped from a file lie elsewhere in memory.
    np.testing.assert_allclose(mine.log_probs, theirs.log_probs, atol=1e-5)
    found, expected = first.predict(texts, **settings), second.predict(texts, **settings)
    assert [text.labels for text in found] == [text.labels for text in expected]
    assert [text.exit_layers for text in found] == [text.exit_layers for text in expected]


@pytest.fixture(scope="module")
def saved(tagger: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it should be; copy it before damaging it."""
    folder = tmp_path_factory.mktemp("models") / "saved"
    tagger.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_every_family_comes_back(make_tagger, family_tagger, texts, tmp_path):
    model_type = family_tagger.network.config.model_type
    model = make_tagger(model_type, heads={"name": "mlp", "inner": 6, "gate": True})
    model.configure(
        policy=POLICY,
        halted="drop",
        decode="legal",
        calibration={"min_quality": 0.99},
        training={"epochs": 3},
    )
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.settings == model.settings
    assert loaded.policy == model.policy == POLICY
    assert not loaded.training
    assert not any(module.training for module in loaded.modules())
    same_answers(loaded, model, texts)
    assert loaded.tag(texts).mean_exit_layer < 4
    same_answers(loaded, model, texts, policy=policies.LearnedGate(0.4), halted="restore")

    plain: Any = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert type(plain) is type(model.network)
    assert plain.config.id2label == dict(enumerate(model.labels))
    words = ["ada", "was", "born", "in", "london"]
    trace = loaded.tag([words], policy="never", decode="argmax")
    encoded = AutoTokenizer.from_pretrained(tmp_path)(
        words, is_split_into_words=True, return_tensors="pt"
    )
    with torch.no_grad():
        logits = plain(**{k: v for k, v in encoded.items() if k != "token_type_ids"}).logits
    expected = logits[0, 1:-1].log_softmax(-1).numpy()
    np.testing.assert_allclose(trace.log_probs, expected, atol=1e-4)


def test_the_folder_holds_safetensors_and_text_only(saved):
    names = {path.name for path in saved.rglob("*") if path.is_file()}
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "exit_config.json",
        "exit_heads.safetensors",
        "README.md",
    } <= names
    assert {Path(name).suffix for name in names} <= {".json", ".safetensors", ".md", ".txt"}
    for path in saved.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    assert json.loads((saved / "exit_config.json").read_text())["format_version"] == 1


def test_saving_again_over_it_changes_nothing(tagger, folder, texts):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    load(folder).save_pretrained(folder)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} <= {"tokenizer_config.json"}
    same_answers(load(folder), tagger, texts)


def test_a_path_may_be_a_string(saved, texts, tagger):
    same_answers(load(str(saved)), tagger, texts)


def test_no_exit_below_the_top(make_tagger, tmp_path, texts):
    model = make_tagger(exit_layers=[4])
    model.save_pretrained(tmp_path)
    same_answers(load(tmp_path), model, texts, policy="entropy")


def test_a_few_exits_come_back(make_tagger, tmp_path, texts):
    model = make_tagger(exit_layers=[1, 3])
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.settings.exit_layers == (1, 3, 4)
    same_answers(loaded, model, texts, policy={"name": "entropy", "threshold": 0.4})


def test_options_reach_transformers(saved):
    model = load(saved, dtype=torch.bfloat16, attn_implementation="eager")
    assert model.backbone.eager
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert len(model.predict([["ada", "was"]], policy="entropy")[0].labels) == 2


def test_a_crf_comes_back(make_tagger, tmp_path, texts):
    pytest.importorskip("torchcrf")
    model = make_tagger()
    model.crf = TagCRF(len(model.labels)).eval()
    with torch.no_grad():
        for weight in model.crf.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    model.configure(decode="crf")
    model.save_pretrained(tmp_path)
    assert (model.tag(texts).prediction != model.tag(texts, decode="argmax").prediction).any()
    same_answers(load(tmp_path), model, texts)


# --- damage ---------------------------------------------------------------------------------


def edit(name: str, **changes: Any) -> Callable[[Path], None]:
    """Change entries of a JSON file; None takes one away."""

    def damage(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        data = {k: v for k, v in {**data, **changes}.items() if v is not None}
        (folder / name).write_text(json.dumps(data))

    return damage


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(text)


def truncate(name: str, share: float) -> Callable[[Path], Any]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return damage


def other_heads(folder: Path) -> None:
    weights = load_file(folder / "exit_heads.safetensors")
    weights.pop("exits.1.project.bias")
    save_file(weights, folder / "exit_heads.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("exit_config.json"), "no exit_config.json, so it is no tokenexit model"),
        (write("exit_config.json", "{"), "exit_config.json is not valid JSON"),
        (write("exit_config.json", ""), "exit_config.json is not valid JSON"),
        (write("exit_config.json", "[1]"), "exit_config.json holds no settings"),
        (edit("exit_config.json", format_version=99), "format version 99.*Upgrade tokenexit"),
        (edit("exit_config.json", format_version=None), "format version None"),
        (edit("exit_config.json", labels=None), "lacks labels"),
        (edit("exit_config.json", heads=None), "lacks heads"),
        (edit("exit_config.json", exit_layers=[1, 9]), "Exit layer 9 does not exist"),
        (edit("exit_config.json", heads={"name": "liner"}), "Did you mean 'linear'"),
        (edit("exit_config.json", exit_layers=[1, 4]), "damaged or belongs to another model"),
        (remove("exit_heads.safetensors"), "exit_heads.safetensors is missing"),
        (truncate("exit_heads.safetensors", 0.5), "exit_heads.safetensors is damaged"),
        (truncate("exit_heads.safetensors", 0.0), "exit_heads.safetensors is damaged"),
        (write("exit_heads.safetensors", "not at all"), "exit_heads.safetensors is damaged"),
        (other_heads, "exit_heads.safetensors is damaged or belongs to another model"),
        (truncate("model.safetensors", 0.5), "cannot be loaded"),
        (truncate("model.safetensors", 0.001), "cannot be loaded"),
        (remove("model.safetensors"), "cannot be loaded"),
        (remove("config.json"), "cannot be loaded"),
        (write("config.json", "{"), "cannot be loaded"),
        (edit("config.json", model_type="gpt3"), "cannot be loaded"),
        (remove("tokenizer.json"), "tokenizer"),
        (write("tokenizer.json", "{"), "tokenizer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damage_is_named(folder, damage, message):
    damage(folder)
    with pytest.raises(UserError, match=message):
        load(folder)


def test_entries_of_later_versions_are_passed_over(folder, tagger, texts):
    edit("exit_config.json", something_new={"a": 1})(folder)
    same_answers(load(folder), tagger, texts)


def test_an_unsupported_family_is_named(folder):
    data = json.loads((folder / "config.json").read_text())
    data |= {"model_type": "mpnet", "architectures": ["MPNetForTokenClassification"]}
    (folder / "config.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"'mpnet' are not supported.*albert, bert"):
        load(folder)


# --- the Hub --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["someone/some-tagger", "some-tagger"])
def test_a_hub_id_without_a_network(name):
    with pytest.raises(UserError, match=r"not a folder here.*Check the name and the network"):
        load(name)


@pytest.mark.parametrize(
    "name", ["./nowhere", "/no/where", "~/nowhere", "a/b/c", "what is this?", "x" * 200]
)
def test_what_is_neither_folder_nor_hub_id(name):
    with pytest.raises(UserError, match="not a folder"):
        load(name)


def test_a_file_is_no_folder(saved):
    with pytest.raises(UserError, match=r"is not a folder\. Give a model folder"):
        load(saved / "config.json")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would have been pushed."""
    pushed: dict[str, Any] = {}

    class Created:
        def __init__(self, repo_id: str) -> None:
            self.repo_id = repo_id

    class FakeApi:
        def __init__(self, token: str | None = None) -> None:
            pushed["token"] = token

        def create_repo(self, repo_id: str, **options: Any) -> Created:
            pushed["created"] = (repo_id, options)
            return Created(repo_id)

        def upload_folder(self, *, repo_id: str, folder_path: Path, **options: Any) -> str:
            pushed["uploaded"] = (repo_id, options)
            pushed["files"] = {path.name for path in Path(folder_path).iterdir()}
            return f"https://example.org/{repo_id}"

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", FakeApi)
    return pushed


def test_push_to_hub_sends_the_folder(tagger, saved, hub):
    where = tagger.push_to_hub("someone/tagger", private=True, commit_message="First")
    assert where == "https://example.org/someone/tagger"
    assert hub["created"][0] == "someone/tagger"
    assert hub["created"][1]["private"] is True
    assert hub["uploaded"][1]["commit_message"] == "First"
    assert hub["files"] == {path.name for path in saved.iterdir()}


def test_saving_may_push(tagger, hub, tmp_path):
    tagger.save_pretrained(tmp_path / "tagger")
    assert not hub
    tagger.save_pretrained(tmp_path / "tagger", push_to_hub=True, token="abc")
    assert (hub["created"][0], hub["token"]) == ("tagger", "abc")
    tagger.save_pretrained(tmp_path / "tagger", push_to_hub=True, repo_id="someone/else")
    assert hub["uploaded"][0] == "someone/else"


def test_a_folder_of_folders_says_where_the_models_are(tagger, tmp_path):
    """Such as that of a run of several seeds."""
    for name in ("seed-1", "seed-0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "exit_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"in seed-0, seed-1\. Give .*seed-0"):
        ExitModelForTokenClassification.from_pretrained(tmp_path)
