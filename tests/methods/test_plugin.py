"""A method of the user's own is one file; a mistake in it is told before anything runs."""

from __future__ import annotations

import pytest

from tokenexit.errors import UserError
from tokenexit.methods import METHODS
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.method import load_with_method

FILE = """
from tokenexit.methods import METHODS, Method

@METHODS.register("{name}")
class Mine(Method):
    "Patience on plain heads."

    paper = "mine"
    units = ("text",)
    train = {train}
    policies = ({{"name": "patience"}},)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setattr(METHODS, "_members", dict(METHODS.items()))

    def made(name: str, train: str) -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(FILE.format(name=name, train=train))
        return str(path)

    return made


def load(name: str, path: str, schema=ClassificationConfig, unit="text"):
    argv = ["output_dir=x", f"method={name}", f"plugins=[{path}]"]
    return load_with_method(schema, argv, {})


def test_a_method_in_a_file_of_ones_own(write):
    config = load("mine", write("mine", '{"objective": {"name": "joint"}, "lr": 1e-4}'))
    assert config.train.objective == {"name": "joint"}
    assert config.train.lr == 1e-4
    assert config.calibrate.policies == [{"name": "patience"}]
    with pytest.raises(UserError, match=r"no form for words.*one for texts"):
        load("mine", write("mine", "{}"), TaggingConfig, "token")


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ('{"objectiv": {"name": "joint"}}', "objectiv"),
        ('{"lr": "fast"}', r"train\.lr"),
        ('{"epochs": 0}', r"train\.epochs must be 1 or more"),
    ],
)
def test_a_preset_with_a_mistake(write, train, told):
    with pytest.raises(UserError, match=rf"The preset 'wrong' cannot be used: .*{told}"):
        load("wrong", write("wrong", train))
