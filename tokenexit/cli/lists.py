"""``tokenexit policies``, ``reducers``, ``methods``, ``backbones``: what there is."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from tokenexit.cli.base import load_plugins
from tokenexit.cli.options import Plugin

if TYPE_CHECKING:
    from tokenexit.policies import Policy

_PAGE = textwrap.TextWrapper(100, subsequent_indent=" " * 16, break_on_hyphens=False)


def policies(plugin: Plugin = None) -> None:
    """What policies exist, with their settings, and which a compiled engine decides by a rule."""
    import dataclasses

    from tokenexit.policies import POLICIES

    load_plugins(plugin)
    for name, cls in POLICIES.items():
        fields = ", ".join(
            f"{f.name}={getattr(cls.examples()[0], f.name)!r}"
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        )
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        typer.echo(f"{name:<18}{summary}")
        typer.echo(f"{'':<18}units: {', '.join(cls.units)}" + (f"; {fields}" if fields else ""))
        typer.echo(f"{'':<18}kernels: {_decided(cls)}")


def reducers(plugin: Plugin = None) -> None:
    """What reducers exist, with their settings: which rows of a text are computed no further."""
    import dataclasses

    from tokenexit.reducers import REDUCERS

    load_plugins(plugin)
    for name, cls in REDUCERS.items():
        example = cls.examples()[0]
        fields = ", ".join(
            f"{f.name}={getattr(example, f.name)!r}"
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        )
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        typer.echo(f"{name:<16}{summary}")
        typer.echo(f"{'':<16}reads: {cls.reads}; {fields}")


def _decided(cls: type[Policy]) -> str:
    """Who decides where layers run in kernels."""
    from tokenexit.policies.base import walk

    examples = cls.examples()
    if all(example.as_rule(12, 2, ("O", "B-PER")) is None for example in examples):
        return "asked in Python at every exit"
    around = any(len([*walk(example)]) > 1 for example in examples)
    return "a rule where what is inside has one" if around else "a rule"


def methods(
    table: Annotated[
        bool, typer.Option("--table", help="As a Markdown table, with what was checked.")
    ] = False,
    plugin: Plugin = None,
) -> None:
    """What published methods there are, for what, and what departs from their papers."""
    from tokenexit.methods import METHODS
    from tokenexit.policies import from_config

    load_plugins(plugin)
    if table:
        from tokenexit.reporting.systems import systems_table

        typer.echo(systems_table(), nl=False)
        return
    for name, cls in METHODS.items():
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        thresholds = []
        for family in cls.policies:
            policy = from_config(family)
            spec = policy.threshold_spec()
            thresholds.append(f"{policy!r}" + (f" by {spec.field}" if spec else ""))
        facts = "; ".join([cls.paper, f"units: {', '.join(cls.units)}", *thresholds])
        lines = [f"{name:<15} {summary}", f"{'':<16}{facts}", f"{'':<16}fidelity: {cls.fidelity}"]
        if cls.regression is not None:
            told = "; ".join(repr(from_config(family)) for family in cls.regression)
            lines.append(f"{'':<16}regression: {told or 'nobody leaves early'}")
        typer.echo("\n".join(map(_PAGE.fill, lines)))


def backbones() -> None:
    """What transformers families are supported: encoders, then encoder-decoders."""
    from tokenexit.backbones import BACKBONES
    from tokenexit.decoders import DECODERS

    for name, cls in [*BACKBONES.items(), *DECODERS.items()]:
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        typer.echo(f"{name:<16}{summary}")
