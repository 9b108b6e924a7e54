"""Options that several commands have, told once and handed over together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Annotated, Any, get_type_hints

import typer

from tokenexit.cli.options import (
    BatchSize,
    Data,
    DataName,
    Json,
    Lang,
    PairColumn,
    Pending,
    Plugin,
    PolicyText,
    Progress,
    SplitName,
)
from tokenexit.config.limits import THREADS

_TOLD = "option"


def option(help: str, *names: str, **more: Any) -> Any:
    """A field of an ``OptionGroup``, None by default; the rest is what ``typer.Option`` takes."""
    default = more.pop("default", None)
    return field(default=default, metadata={_TOLD: typer.Option(*names, help=help, **more)})


@dataclass(frozen=True)
class OptionGroup:
    """Fields that a command shows as options of its own: see ``flat``."""

    def options(self) -> dict[str, Any]:
        """By name, None where nothing was told."""
        return asdict(self)


@dataclass(frozen=True)
class Texts(OptionGroup):
    """Which texts."""

    data: Data = None
    split: SplitName = "test"


@dataclass(frozen=True)
class TrainingTexts(Texts):
    """The same, by default those to learn from."""

    split: SplitName = "train"


@dataclass(frozen=True)
class Measured(Texts):
    """The same, and how they are answered."""

    policy: PolicyText = None
    batch_size: BatchSize = 32


@dataclass(frozen=True)
class Showing(OptionGroup):
    """What is shown meanwhile, and written in the end."""

    progress: Progress = None
    json_file: Json = None


@dataclass(frozen=True)
class Columns(OptionGroup):
    """How data is read: by default as the model's own run read its data."""

    column: str | None = option("Column of the tags, or of the texts.")
    label_column: str | None = option("Column of the texts' labels.")
    pair_column: PairColumn = None
    source_column: str | None = option("Column of the sources of pairs.")
    target_column: str | None = option("Column of the targets of pairs.")
    lang: Lang = None
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Column of the texts' documents, where several are from one: a --promise counts "
            "documents, since texts of one are alike."
        ),
    ] = None
    convert_tags: bool | None = option(
        "Convert BIOES and IOB1 tags to BIO.", "--convert-tags/--no-convert-tags"
    )
    data_name: DataName = None


@dataclass(frozen=True)
class Generating(OptionGroup):
    """How texts are written."""

    pending: Pending = None
    batching: str | None = option(
        "Of generators and text classifiers: fixed batches, or by_depth, where rows that "
        "must go deeper wait until enough of them do, and others take their place: the same "
        "answers."
    )
    max_wait: int | None = option(
        "With --batching by_depth, rounds (of the layers between two exits) for which a "
        "row may be passed over before it is due; 16 by default."
    )


@dataclass(frozen=True)
class Machine(OptionGroup):
    """Where a model computes and with what, a user's own parts among it."""

    threads: int | None = option("Threads torch computes with.", min=1, max=THREADS)
    device: str | None = option("Where to compute: cpu, cuda, cuda:1, mps; by itself if empty.")
    precision: str | None = option(
        "What inference computes with, made from float32 weights: int8 or bf16 on a CPU, "
        "bf16 or fp16 on a GPU, fp32. --dtype changes the weights themselves instead."
    )
    plugin: Plugin = None


@dataclass(frozen=True)
class Loading(Machine):
    """The same, of a model whose folder keeps its weights."""

    dtype: str | None = option(
        "Load the weights as float32, bfloat16 or float16 and compute all in it; see --precision."
    )
    runtime: str | None = option(
        "Who plans the work: eager on the host; static on the device, with shapes that a "
        "GPU captures, for taggers and classifiers; auto, which is eager."
    )
    reducer: str | None = option(
        "What takes rows out of the middle of texts, of taggers and classifiers: a name, "
        "name:threshold such as significance:0.8, JSON, or none; the model's own by default."
    )
    widths: str | None = option(
        "Which heads and neurons of taggers and classifiers are computed: the first of "
        "each layer by a share such as 0.5, JSON, or none for all; the model's own by default."
    )


def _tuned(help: str) -> Any:
    return option(f"With --tune-reducer, {help}")


@dataclass(frozen=True)
class Tuning(OptionGroup):
    """How the reducer is chosen, before the policy."""

    tune_reducer: str | None = option(
        "Choose the model's reducer, or that of --reducer, before the policy: by turning "
        "its threshold, or by searching shares of rows layer by layer.",
        metavar="threshold|search",
    )
    reducer_quality: float | None = _tuned("share of the quality without it to keep.")
    reducer_speedup: float | None = _tuned("how many times fewer multiply-accumulates.")
    reducer_rounds: int | None = option("Rounds of --tune-reducer search; 30 by default.", min=0)

    def options(self) -> dict[str, Any]:
        """As ``calibrate.reducer`` of a recipe takes them."""
        told = {
            "by": self.tune_reducer,
            "min_quality": self.reducer_quality,
            "speedup": self.reducer_speedup,
            "rounds": self.reducer_rounds,
        }
        return {name: value for name, value in told.items() if value is not None}


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """A command that shows the fields of its groups as options, in their place among the others.

    Args:
        command: Takes values, and groups by the names of their parameters.
    """
    hints = get_type_hints(command, include_extras=True)
    told = inspect.signature(command).parameters
    groups = {
        name: hints[name]
        for name in told
        if isinstance(hints[name], type) and issubclass(hints[name], OptionGroup)
    }
    shown: list[inspect.Parameter] = []
    for name, parameter in told.items():
        own = [parameter.replace(annotation=hints[name])]
        shown += _parameters(groups[name]) if name in groups else own

    @functools.wraps(command)
    def spread(**values: Any) -> None:
        for name, group in groups.items():
            own = {field.name: values.pop(field.name) for field in fields(group)}
            values[name] = group(**own)
        command(**values)

    spread.__dict__["__signature__"] = inspect.Signature(shown)
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return spread


def _parameters(group: type[OptionGroup]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(one.name, kind, default=one.default, annotation=_told(one, hints))
        for one in fields(group)
    ]


def _told(one: Field[Any], hints: dict[str, Any]) -> Any:
    hint = hints[one.name]
    return Annotated[hint, one.metadata[_TOLD]] if _TOLD in one.metadata else hint
