"""Numbers out of their range, and YAML that is none of ours, are refused before all else."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenexit.config import from_yaml, load_config
from tokenexit.config.limits import ANY_NUMBER, Limits, about, check_limits
from tokenexit.config.schema import keys_of
from tokenexit.errors import UserError
from tokenexit.training import TrainConfig
from tokenexit.workflows.compare import CompareConfig
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

SCHEMAS = (
    TaggingConfig,
    ClassificationConfig,
    Seq2SeqConfig,
    CompareConfig,
    CompareMethodsConfig,
)
NEEDED = ["output_dir=x", "data=x", "run=x"]


def load(schema: Any, *items: str) -> Any:
    needed = [item for item in NEEDED if item.split("=")[0] in {k.name for k in keys_of(schema)}]
    return load_config(schema, [*needed, *items])


def limited() -> list[tuple[Any, Any]]:
    return [(s, k) for s in SCHEMAS for k in keys_of(s) if k.limits != ANY_NUMBER]


@pytest.mark.parametrize(
    ("schema", "item", "told"),
    [
        (TaggingConfig, "seed=-1", "seed must be from 0 to 4294967295, not -1"),
        (Seq2SeqConfig, "seed=100000000000000000000", "seed must be from 0 to 4294967295"),
        (CompareMethodsConfig, "seeds=[0,-3]", "seeds must be from 0 to 4294967295, not -3"),
        (TaggingConfig, "threads=0", "threads must be from 1 to 4096, not 0"),
        (ClassificationConfig, "threads=1000000", "threads must be from 1 to 4096"),
        (Seq2SeqConfig, "batch_size=0", "batch_size must be 1 or more, not 0"),
        (TaggingConfig, "batch_size=-32", "batch_size must be 1 or more, not -32"),
        (TaggingConfig, "train_on=0", "train_on must be 1 or more, not 0"),
        (TaggingConfig, "validate_on=0", "validate_on must be 1 or more, not 0"),
        (Seq2SeqConfig, "validate_on=0", "validate_on must be 1 or more, not 0"),
        (Seq2SeqConfig, "test_on=0", "test_on must be 1 or more, not 0"),
        (Seq2SeqConfig, "max_source=0", "max_source must be 2 or more, not 0"),
        (Seq2SeqConfig, "max_target=-1", "max_target must be 2 or more, not -1"),
        (TaggingConfig, "train.epochs=0", "train.epochs must be 1 or more, not 0"),
        (TaggingConfig, "train.max_steps=0", "train.max_steps must be 1 or more, not 0"),
        (Seq2SeqConfig, "train.lr=-1e-3", "train.lr must be above 0, not -0.001"),
        (TaggingConfig, "train.lr=.nan", "train.lr must be a number, not nan"),
        (TaggingConfig, "train.head_lr=.inf", "train.head_lr must be a number, not inf"),
        (TaggingConfig, "train.warmup=1", "train.warmup must be from 0 to below 1, not 1"),
        (TaggingConfig, "train.clip=-1", "train.clip must be 0 or more, not -1"),
        (CompareConfig, "min_quality=1.5", "min_quality must be above 0 and at most 1, not 1.5"),
        (CompareConfig, "bench=[1,0]", "bench must be 1 or more, not 0"),
        (CompareMethodsConfig, "repeats=0", "repeats must be 1 or more, not 0"),
    ],
)
def test_a_number_out_of_range(schema, item, told):
    with pytest.raises(UserError) as caught:
        load(schema, item)
    assert told in str(caught.value)


def test_several_at_once():
    with pytest.raises(UserError, match=r"2 mistakes:\nthreads must .*\nseed must "):
        load(TaggingConfig, "seed=-1", "threads=0")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: TaggingConfig("x", seed=-1), "seed must be"),
        (lambda: Seq2SeqConfig("x", batch_size=0), "batch_size must be"),
        (lambda: TrainConfig(lr=float("nan")), "train.lr must be above 0, not nan"),
        (lambda: TrainConfig(head_lr=float("inf")), "train.head_lr must be above 0, not inf"),
        (lambda: CompareMethodsConfig("x", seeds=[-1]), "seeds must be"),
    ],
)
def test_from_python_as_well(make, told):
    with pytest.raises(UserError, match=told):
        make()


@given(st.data())
def test_every_number_of_every_recipe_is_kept_or_refused_by_name(data):
    """Whatever is written: the value arrives as it is, or the message names the key."""
    schema, key = data.draw(st.sampled_from(limited()))
    value = data.draw(
        st.one_of(
            st.integers(-(10**25), 10**25),
            st.floats(),
            st.sampled_from([0, -1, 1, 2**32 - 1, 2**32, 4096, 4097, 1.0, 0.0]),
        )
    )
    written = [value] if str(key.hint).startswith("list") else value
    text = f"{key.name}={written!r}".replace("nan", ".nan").replace("inf", ".inf")
    try:
        config = load(schema, text)
    except UserError as error:
        refused = str(error)
    else:
        held = config
        for part in key.name.split("."):
            held = getattr(held, part)
        # Not every whole number beyond 2 ** 53 is one of the floats.
        assert held == (float(value) if isinstance(held, float) else written)
        check_limits(config)
        return
    assert f"{key.name} " in refused  # "must be ...", or what else it takes


@given(
    st.floats(-5, 5) | st.integers(-5, 5),
    *[st.none() | st.integers(-4, 4) for _ in range(4)],
)
def test_limits_are_what_they_say(value, low, high, above, below):
    limits = Limits(low, high, above, below)
    inside = (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if inside:
        limits.check("it", value)
    else:
        with pytest.raises(UserError, match=f"it must be .*, not {value!r}"):
            limits.check("it", value)


def test_a_new_key_gets_its_range_in_one_line():
    @dataclasses.dataclass
    class Mine:
        share: float = dataclasses.field(default=0.5, metadata=about("a share", above=0, below=1))

    assert load_config(Mine, ["share=0.25"]).share == 0.25
    with pytest.raises(UserError, match="share must be between 0 and 1, not 1"):
        load_config(Mine, ["share=1"])


@pytest.mark.parametrize(
    "text",
    [
        "!!timestamp x",
        "!!timestamp 2020-01-01",
        "!!int x",
        "!!float x",
        "!!bool x",
        "!!map [1]",
        "!!seq {a: 1}",
        "!!str [1]",
        "!!binary aGk=",
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!!python/object/apply:os.system [ls]",
        "!mine x",
        "&a [*a]",
        "&a {b: {c: *a}}",
        "*nobody",
        "[" * 5000,
        "{a: " * 5000,
        "? [1]\n: 2",
        "1" * 5000,
        "\0",
        "a: 1\na: 2",
    ],
)
def test_yaml_that_is_none_of_ours(text):
    with pytest.raises(UserError, match=r"^The value of seed"):
        from_yaml(text, "The value of seed")


def test_plain_tags_and_aliases_are_read():
    assert from_yaml("!!str 12", "") == "12"
    assert from_yaml("!!float 1", "") == 1.0
    assert from_yaml("[&a {b: 1}, *a, *a]", "") == [{"b": 1}] * 3
    assert from_yaml("{<<: {a: 1}, b: 2}", "") == {"a": 1, "b": 2}


@given(st.text(alphabet="!&*[]{}:,?-<>|'\"\\ \n\tab019.~#%@`") | st.text())
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(UserError):
        from_yaml(text, "It")
