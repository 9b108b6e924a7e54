"""The templates, with every inserted text escaped: words of a data set are not to be trusted."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tokenexit.policies.in_words import policy_words
from tokenexit.wording import naming


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    environment.filters |= {
        "fixed": naming.fixed,
        "percent": naming.percent,
        "times": naming.times,
        "ms": naming.milliseconds,
        "whole": naming.whole,
        "policy": policy_words,
        "table": lambda table: render("table.html.j2", table=table),
        "metric": naming.metric_name,
        "score": naming.score,
        "capital": naming.capital,
    }
    return environment


def render(template: str, **values: Any) -> Markup:
    """Fill in a template of this package."""
    return Markup(_environment().get_template(template).render(**values))
