"""Options that several commands have, told once and handed over together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from tokenexit.cli.options import DataName, Lang, PairColumn, Pending, Plugin
from tokenexit.config.limits import THREADS


@dataclass(frozen=True)
class OptionGroup:
    """Fields that a command shows as options of its own: see ``flat``."""

    def options(self) -> dict[str, Any]:
        """By name, None where nothing was told."""
        return asdict(self)


@dataclass(frozen=True)
class Columns(OptionGroup):
    """How data is read: by default as the model's own run read its data."""

    column: Annotated[str | None, typer.Option(help="Column of the tags, or of the texts.")] = None
    label_column: Annotated[str | None, typer.Option(help="Column of the texts' labels.")] = None
    pair_column: PairColumn = None
    source_column: Annotated[str | None, typer.Option(help="Column of the sources of pairs.")] = (
        None
    )
    target_column: Annotated[str | None, typer.Option(help="Column of the targets of pairs.")] = (
        None
    )
    lang: Lang = None
    convert_tags: Annotated[
        bool | None,
        typer.Option(
            "--convert-tags/--no-convert-tags", help="Convert BIOES and IOB1 tags to BIO."
        ),
    ] = None
    data_name: DataName = None


@dataclass(frozen=True)
class Generating(OptionGroup):
    """How texts are written."""

    pending: Pending = None
    batching: Annotated[
        str | None,
        typer.Option(
            help="Of generators and text classifiers: fixed batches, or by_depth, where rows that "
            "must go deeper wait until enough of them do, and others take their place: the same "
            "answers."
        ),
    ] = None
    max_wait: Annotated[
        int | None,
        typer.Option(
            help="With --batching by_depth, rounds (of the layers between two exits) for which a "
            "row may be passed over before it is due; 16 by default."
        ),
    ] = None


@dataclass(frozen=True)
class Machine(OptionGroup):
    """Where a model computes and with what, a user's own parts among it."""

    threads: Annotated[
        int | None, typer.Option(min=1, max=THREADS, help="Threads torch computes with.")
    ] = None
    device: Annotated[
        str | None,
        typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps; by itself if empty."),
    ] = None
    precision: Annotated[
        str | None,
        typer.Option(
            help="What inference computes with, made from float32 weights: int8 or bf16 on a CPU, "
            "bf16 or fp16 on a GPU, fp32. --dtype changes the weights themselves instead."
        ),
    ] = None
    plugin: Plugin = None


@dataclass(frozen=True)
class Loading(Machine):
    """The same, of a model whose folder keeps its weights."""

    dtype: Annotated[
        str | None,
        typer.Option(
            help="Load the weights as float32, bfloat16 or float16 and compute all in it; see "
            "--precision."
        ),
    ] = None
    runtime: Annotated[
        str | None,
        typer.Option(
            help="Who plans the work: eager on the host; static on the device, with shapes that a "
            "GPU captures, for taggers and classifiers; auto, which is eager."
        ),
    ] = None
    reducer: Annotated[
        str | None,
        typer.Option(
            help="What takes rows out of the middle of texts, of taggers and classifiers: a name, "
            "name:threshold such as significance:0.8, JSON, or none; the model's own by default."
        ),
    ] = None
    widths: Annotated[
        str | None,
        typer.Option(
            help="Which heads and neurons of taggers and classifiers are computed: the first of "
            "each layer by a share such as 0.5, JSON, or none for all; the model's own by default."
        ),
    ] = None


@dataclass(frozen=True)
class Tuning(OptionGroup):
    """How the reducer is chosen, before the policy."""

    tune_reducer: Annotated[
        str | None,
        typer.Option(
            metavar="threshold|search",
            help="Choose the model's reducer, or that of --reducer, before the policy: by turning "
            "its threshold, or by searching shares of rows layer by layer.",
        ),
    ] = None
    reducer_quality: Annotated[
        float | None,
        typer.Option(help="With --tune-reducer, share of the quality without it to keep."),
    ] = None
    reducer_speedup: Annotated[
        float | None,
        typer.Option(help="With --tune-reducer, how many times fewer multiply-accumulates."),
    ] = None
    reducer_rounds: Annotated[
        int | None, typer.Option(min=0, help="Rounds of --tune-reducer search; 30 by default.")
    ] = None

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
        inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]
