from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenexit.config import dump_config, friendly_errors, from_yaml, load_config, to_yaml
from tokenexit.errors import UserError


class Precision(enum.Enum):
    FULL = "full"
    HALF = "half"


@dataclass
class Train:
    lr: float = 5e-5
    epochs: int = field(default=3, metadata={"help": "Passes over the training split."})
    objective: Literal["joint", "two_stage"] = "joint"
    layers: list[int] = field(default_factory=list)


@dataclass
class Calibrate:
    min_quality: float | None = None
    train: Train = field(default_factory=lambda: Train(epochs=9))


@dataclass
class Config:
    """Train a tagger.

    Attributes:
        model: Not shown by --help.
    """

    model: str = "tiny"
    output_dir: Path = Path("runs/ner")
    revision: str | None = None
    seed: int = 42
    resume: bool = False
    precision: Precision = Precision.FULL
    betas: tuple[float, float] = (0.9, 0.999)
    train: Train = field(default_factory=Train)
    calibrate: Calibrate = field(default_factory=Calibrate)
    policy: dict[str, Any] = field(default_factory=lambda: {"name": "entropy", "threshold": 0.1})
    heads: str | dict[str, Any] | None = None


@dataclass
class Needy:
    data: str
    train: Train = field(default_factory=Train)


def load(*argv: str, **kwargs: Any) -> Config:
    return load_config(Config, argv, **kwargs)


@pytest.fixture
def yaml_file(tmp_path: Path):
    def write(text: str, name: str = "config.yaml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def test_no_argument_gives_the_defaults():
    assert load() == Config()
    assert load().calibrate.train.epochs == 9


def test_layers_override_in_order(yaml_file):
    path = yaml_file("seed: 2\ntrain:\n  epochs: 2\n  lr: 2e-3\n")
    config = load(path, "train.lr=3e-3", defaults={"seed": 1, "model": "m", "train.epochs": 1})
    assert (config.model, config.seed) == ("m", 2)
    assert (config.train.epochs, config.train.lr) == (2, 3e-3)


def test_an_override_leaves_the_rest_of_its_group(yaml_file):
    config = load(yaml_file("train: {epochs: 7}"), "train.objective=two_stage")
    assert config.train == Train(epochs=7, objective="two_stage")


@pytest.mark.parametrize(
    ("item", "read"),
    [
        ("train.lr=1e-3", lambda c: c.train.lr == 1e-3),
        ("train.lr=1", lambda c: c.train.lr == 1.0 and isinstance(c.train.lr, float)),
        ("train.lr='1e-3'", lambda c: c.train.lr == 1e-3),
        ("train.epochs=1e3", lambda c: c.train.epochs == 1000 and type(c.train.epochs) is int),
        ("train.layers=[1, 2]", lambda c: c.train.layers == [1, 2]),
        ("betas=[0.8, 0.9]", lambda c: c.betas == (0.8, 0.9)),
        ("resume=true", lambda c: c.resume is True),
        ("resume=yes", lambda c: c.resume is True),
        ("precision=half", lambda c: c.precision is Precision.HALF),
        ("calibrate.min_quality=0.99", lambda c: c.calibrate.min_quality == 0.99),
        ("calibrate.min_quality=null", lambda c: c.calibrate.min_quality is None),
        ("calibrate.train.lr=1", lambda c: c.calibrate.train == Train(epochs=9, lr=1)),
        ("output_dir=2024-01-01", lambda c: c.output_dir == Path("2024-01-01")),
        ("output_dir=a=b.yaml", lambda c: c.output_dir == Path("a=b.yaml")),
        ("model=007", lambda c: c.model == "007"),
        ("model=no", lambda c: c.model == "no"),
        ("model=a: {b", lambda c: c.model == "a: {b"),
        ("model='null'", lambda c: c.model == "null"),
        ("model=", lambda c: c.model == ""),
        ("revision=1234e5", lambda c: c.revision == "1234e5"),
        ("revision=null", lambda c: c.revision is None),
        ("heads=linear", lambda c: c.heads == "linear"),
        ("heads.name=linear", lambda c: c.heads == {"name": "linear"}),
        ("policy={}", lambda c: c.policy == {"name": "entropy", "threshold": 0.1}),
    ],
)
def test_a_value_is_read_as_the_type_of_its_key(item, read):
    assert read(load(item))


def test_the_last_of_two_values_counts():
    assert load("seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("items", "policy"),
    [
        (["policy.threshold=2e-1"], {"name": "entropy", "threshold": 0.2}),
        (['policy={"threshold": 1e-1}'], {"name": "entropy", "threshold": 0.1}),
        (["policy.name=entropy", "policy.threshold=0.3"], {"name": "entropy", "threshold": 0.3}),
        # Settings of the old policy would be refused by the new one.
        (["policy.name=patience"], {"name": "patience"}),
        (["policy.patience=3", "policy.name=patience"], {"name": "patience", "patience": 3}),
        (['policy={"name": "margin", "threshold": 0.9}'], {"name": "margin", "threshold": 0.9}),
        (
            ["policy.name=window", "policy.size=5", "policy.policy.name=entropy"],
            {"name": "window", "size": 5, "policy": {"name": "entropy"}},
        ),
        (
            ['policy={"name": "window", "policy": {"name": "margin"}}', "policy.policy.x=1"],
            {"name": "window", "policy": {"name": "margin", "x": 1}},
        ),
    ],
)
def test_open_mappings_merge_until_the_name_changes(items, policy):
    assert load(*items).policy == policy


def test_open_mappings_merge_across_layers(yaml_file):
    path = yaml_file("policy:\n  name: window\n  size: 3\n  policy: {name: entropy, threshold: 1}")
    changed = load(path, "policy.size=5", "policy.policy.name=margin").policy
    assert changed == {"name": "window", "size": 5, "policy": {"name": "margin"}}
    assert load().policy["name"] == "entropy"


def test_defaults_are_not_shared_between_loads():
    load("policy.extra=1")
    assert load().policy == Config().policy


def test_dotted_keys_may_stand_in_the_file(yaml_file):
    assert load(yaml_file("train.lr: 0.5\npolicy.threshold: 0.7")).train.lr == 0.5


def test_an_empty_file_changes_nothing(yaml_file):
    assert load(yaml_file("# nothing yet\n")) == Config()


def test_merge_keys_of_yaml_work(yaml_file):
    text = "train: &t {epochs: 4}\ncalibrate: {train: {<<: *t, lr: 1}}"
    assert load(yaml_file(text)).calibrate.train == Train(epochs=4, lr=1)


def test_a_path_with_an_equals_sign_is_a_file(tmp_path):
    folder = tmp_path / "lr=0.1"
    folder.mkdir()
    (folder / "config.yml").write_text("seed: 5")
    assert load(str(folder / "config.yml")).seed == 5


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["sead=1"], ["'sead'", "Did you mean 'seed'"]),
        (["train.epoch=1"], ["'train.epoch'", "Did you mean 'train.epochs'"]),
        (["epochs=1"], ["'epochs'", "train.epochs"]),
        (["seed.x=1"], ["'seed.x'"]),
        (["train.lr.x=1"], ["'train.lr.x'"]),
        (["train=3"], ["'train'", "group", "3", "train.lr"]),
        (["train={epoch: 1}"], ["'train.epoch'", "train.epochs"]),
        (["policy=entropy", "policy.threshold=1"], ["'policy'", "policy.name=entropy"]),
        (["policy=entropy"], ["policy", "mapping", "'entropy'"]),
        (["train.lr=fast"], ["train.lr", "a number", "'fast'"]),
        (["train.lr=.nan"], ["train.lr", "a number", "nan"]),
        (["train.lr=null"], ["train.lr", "a number", "None"]),
        (["train.epochs=1.5"], ["train.epochs", "a whole number", "1.5"]),
        (["seed=true"], ["seed", "a whole number", "True"]),
        (["seed="], ["seed", "a whole number"]),
        (["resume=perhaps"], ["resume", "true or false", "'perhaps'"]),
        (["train.layers=1,2"], ["train.layers", "a list", "'1,2'"]),
        (["betas=[1]"], ["betas", "a list (a number, a number)", "[1]"]),
        (["train.objective=jiont"], ["train.objective", "'jiont'", "Did you mean 'joint'"]),
        (["precision=quarter"], ["precision", "'quarter'", "full, half"]),
        (["precision=3"], ["precision", "one of full, half", "3"]),
        (["calibrate.min_quality=x"], ["calibrate.min_quality", "a number or null", "'x'"]),
        (["train.lr={"], ["train.lr={", "not valid YAML"]),
        (["train.lr=!!python/name:os.system"], ["train.lr", "not valid YAML"]),
        (["verbose"], ["'verbose'", "key=value", "--help"]),
        (["--seed", "3"], ["'--seed'", "key=value"]),
        (["=3"], ["'=3'", "key=value"]),
        (["train..lr=3"], ["'train..lr=3'", "key=value"]),
        (["seed=1", "late.yaml"], ["'late.yaml'", "first"]),
        (["no-such-file.yaml"], ["'no-such-file.yaml'", "cannot be read"]),
    ],
)
def test_a_mistake_gives_one_message_that_helps(argv, parts):
    with pytest.raises(UserError) as caught:
        load(*argv)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("seed: [1", ["config.yaml", "not valid YAML", "line 1"]),
        ("- seed", ["config.yaml", "key: value", "['seed']"]),
        ("seed", ["config.yaml", "key: value"]),
        ("seed: 1\nseed: 2", ["'seed' is given twice", "line 2"]),
        ("train: {epochs: 1, epochs: 2}", ["'epochs' is given twice"]),
        ("sead: 1", ["'sead'", "Did you mean 'seed'"]),
        ("train: {epoch: 1}", ["'train.epoch'", "Did you mean 'train.epochs'"]),
        ("train:", ["'train'", "group"]),
        ("1: 2", ["'1'"]),
        ("? [a, b]\n: 1", ["config.yaml", "not valid YAML"]),
        ("model: 12", ["model", "text", "12", "quotes"]),
        ("model: {a: 1}", ["model", "text", "{'a': 1}"]),
        ("policy: {1: 2}", ["policy", "mapping"]),
    ],
)
def test_a_mistake_in_the_file_gives_one_message_that_helps(yaml_file, text, parts):
    with pytest.raises(UserError) as caught:
        load(yaml_file(text))
    for part in parts:
        assert part in str(caught.value)


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"model: caf\xe9")
    for name in ("folder.yaml", "latin.yaml"):
        with pytest.raises(UserError, match=name):
            load(str(tmp_path / name))


def test_wrong_and_missing_values_come_together():
    with pytest.raises(UserError) as caught:
        load_config(Needy, ["train.lr=x", "train.epochs=y"])
    message = str(caught.value)
    assert message.startswith("The configuration has 3 mistakes:")
    for part in ("data is missing", "data=...", "train.lr", "train.epochs"):
        assert part in message


def test_a_required_key_may_come_from_the_defaults():
    assert load_config(Needy, [], {"data": "d"}).data == "d"


def test_an_error_of_the_schema_itself_passes_through():
    with pytest.raises(UserError, match="at least 1"):
        load_config(Checked, ["n=0"])


@dataclass
class Checked:
    n: int = 1

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UserError(f"n must be at least 1, not {self.n}.")


@dataclass
class OptionalGroup:
    train: Train | None = None


def test_an_optional_group_is_refused_because_its_keys_could_not_be_checked():
    with pytest.raises(TypeError, match="train"):
        load_config(OptionalGroup, [])


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_key_and_exits_with_0(flag, capsys):
    with pytest.raises(SystemExit) as caught:
        load("seed=1", flag, defaults={"model": "other"})
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "Train a tagger." in text
    assert "Not shown" not in text
    for line in (
        "  model = other\n",
        "  revision = null\n",
        "  train.lr = 5e-05\n",
        "  calibrate.train.epochs = 9\n",
        "  precision = full\n",
        '  policy = {"name": "entropy", "threshold": 0.1}\n',
    ):
        assert line in text
    assert "Passes over the training split. [a whole number]" in text


@pytest.mark.parametrize(
    ("started", "told"),
    [
        (["recipes/ner.py", "--help"], "python recipes/ner.py"),
        (["/usr/bin/tokenexit", "train", "ner", "--help"], "tokenexit train ner"),
        (["/x/tokenexit/__main__.py", "train", "ner", "--help"], "python -m tokenexit train ner"),
    ],
)
def test_help_says_how_it_was_started(started, told, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", started)
    with pytest.raises(SystemExit):
        load_config(Needy, ["--help"])
    assert capsys.readouterr().out.startswith(f"Usage: {told} [CONFIG.yaml] [key=value ...]\n")


def test_help_marks_required_keys(capsys):
    with pytest.raises(SystemExit):
        load_config(Needy, ["--help"])
    text = capsys.readouterr().out
    assert "data (required)" in text
    assert "Needy(" not in text


def test_a_dumped_configuration_loads_as_the_same(yaml_file):
    config = load("model=1e5", "revision=no", "precision=half", "train.layers=[1]", "heads.a.b=1")
    plain = dump_config(config)
    assert plain["output_dir"] == "runs/ner"
    assert plain["precision"] == "half"
    assert plain["betas"] == [0.9, 0.999]
    assert load(yaml_file(to_yaml(plain))) == config
    assert load_config(Config, [], plain) == config


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
@example({"\x85": "\u2028"})
@example(["1e5", "no", "010", "~", "<<", "1_0", "2024-01-01"])
def test_yaml_round_trips_plain_data(data):
    assert from_yaml(to_yaml(data), "test") == data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-3", -3),
        (".inf", float("inf")),
        ("no", "no"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("True", True),
        ("~", None),
        ("", None),
        ('{"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    read = from_yaml(text, "test")
    assert read == value
    assert type(read) is type(value)


def test_friendly_errors_print_one_message_and_exit_with_2(capsys):
    with pytest.raises(SystemExit) as caught, friendly_errors():
        raise UserError("Give a number.")
    assert caught.value.code == 2
    assert capsys.readouterr().err == "Error: Give a number.\n"


def test_friendly_errors_serve_as_a_decorator_and_let_bugs_through():
    @friendly_errors()
    def main() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        main()


def test_a_name_where_a_mapping_is_asked_for():
    with pytest.raises(UserError, match=r"Perhaps policy=\{name: margin\} is meant"):
        load_config(Config, ["policy=margin"])
    with pytest.raises(UserError) as caught:
        load_config(Config, ["policy=3"])
    assert "Perhaps" not in str(caught.value)
