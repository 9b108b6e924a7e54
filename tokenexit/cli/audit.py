"""``tokenexit audit``: serve texts, and run a random share of them again at full depth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenexit import files
from tokenexit.cli.base import certified, open_model, write_json
from tokenexit.cli.groups import Loading, OptionGroup, flat, option
from tokenexit.cli.lines import Lines
from tokenexit.cli.options import BatchSize, Json, Model, Output, RequireCertificate
from tokenexit.cli.showing import said_once, written
from tokenexit.errors import UserError


@dataclass(frozen=True)
class Watching(OptionGroup):
    """What is watched, and how closely."""

    rate: float = option("Share of the texts that is run again.", default=0.01)
    allowed: float | None = option("Share of texts that may differ: what was promised, else 0.05.")
    per_false_alarm: float = option(
        "Audited texts between two false alarms, on average.", default=5000.0
    )
    seed: int = option("Of the draw.", default=0)
    state: Path | None = option("File that keeps what the audit knows, and is gone on with.")
    labels: str | None = option(
        'Right answers that are known by now: a line {"number": 17, "answer": ...} each.',
        metavar="FILE",
    )


@flat
def audit(
    model: Model,
    *,
    stream: Annotated[
        str, typer.Option(help="Text file or pipe, one text a line; - for stdin.")
    ] = "-",
    watch: Watching,
    batch_size: BatchSize = 32,
    output: Output = None,
    require_certificate: RequireCertificate = False,
    place: Loading,
    json_file: Json = None,
) -> None:
    """Answer texts as predict does, and watch on a random share what exits lose.

    An alarm makes the model stricter from the next batch on, down to full depth; calm lets it
    back. It guards the exits: what full depth itself gets wrong it does not see.
    """
    from tokenexit.audit import Audit
    from tokenexit.audit.promised import USUAL, allowed_of, certified_of, ladder_of

    lines = Lines(stream)
    told, state = read_labels(watch.labels), watch.state
    held = json.loads(state.read_text("utf-8")) if state is not None and state.is_file() else None
    if require_certificate:  # which says what may serve, not what the model tells of itself
        opened, certificate = certified(model, place)
        calibration = certified_of(certificate)
    else:
        opened = open_model(model, place)
        calibration = opened.model.settings.calibration
    share = watch.allowed if watch.allowed is not None else allowed_of(calibration) or USUAL
    watching = Audit(
        opened.model, rate=watch.rate, allowed=share, per_false_alarm=watch.per_false_alarm,
        seed=watch.seed, ladder=ladder_of(calibration, opened.model.policy),
        batch_size=batch_size, state=held,
    )  # fmt: skip
    with said_once(), written(output) as write:
        for result in watching.serve(chain.from_iterable(lines.blocks(batch_size))):
            write(files.json_line(result.to_dict()))
        for number, answer in told:
            watching.label(number, answer)
    if state is not None:
        files.write_json(state, watching.state)
    typer.echo(report_text(watching.report), err=True)
    write_json(json_file, watching.report)


def read_labels(file: str | None) -> list[tuple[int, Any]]:
    """Numbers of texts, and their right answers.

    Raises:
        UserError: A line that is no such thing.
    """
    found = []
    for place, line in enumerate(chain.from_iterable(Lines(file).blocks(1024)) if file else (), 1):
        try:
            one = json.loads(line)
            found.append((int(one["number"]), one["answer"]))
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f'{file}, line {place}: not {{"number": 17, "answer": ...}}, but {line[:80]!r}.'
            ) from None
    return found


def report_text(report: dict[str, Any]) -> str:
    """The report as lines for a terminal."""
    from tokenexit.wording.naming import of_texts

    share, depth = report["differ_share"], report["mean_exit_layer"]
    lines = {
        "served": f"{of_texts(report['served'])}, {report['audited']} of them audited",
        "differ": "nothing was audited" if share is None else f"{share:.2%} of the audited texts",
        "depth": "nothing left" if depth is None else f"layer {depth:.2f} on average, "
        f"{report['layers_saved']:.2f}x fewer layers",
        "setting": f"{report['rung']} of {report['rungs'] - 1} (0 is full depth): "
        + json.dumps(report["policy"]),
        "alarms": "; ".join(
            f"{one['kind']} after {of_texts(one['served'])}" for one in report["alarms"]
        ) or "none",
    }  # fmt: skip
    if report["labels"]["seen"]:
        lines["labels"] = f"{report['labels']['seen']} seen, " + (
            "exits cost more than is allowed" if report["labels"]["alarm"] else "no alarm"
        )
    return "\n".join(f"{name + ':':<9}{text}" for name, text in lines.items())
