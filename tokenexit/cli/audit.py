"""``tokenexit audit``: serve texts, and run a random share of them again at full depth."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenexit import files
from tokenexit.cli.base import certified, open_model, write_json
from tokenexit.cli.groups import Loading, flat
from tokenexit.cli.lines import Lines
from tokenexit.cli.options import BatchSize, Json, Model, Output, RequireCertificate
from tokenexit.cli.showing import said_once, written
from tokenexit.errors import UserError


@flat
def audit(
    model: Model,
    *,
    stream: Annotated[
        str, typer.Option(help="Text file or pipe, one text a line; - for stdin.")
    ] = "-",
    rate: Annotated[float, typer.Option(help="Share of the texts that is run again.")] = 0.01,
    allowed: Annotated[
        float | None,
        typer.Option(help="Share of texts that may differ: what was promised, else 0.05."),
    ] = None,
    per_false_alarm: Annotated[
        float, typer.Option(help="Audited texts between two false alarms, on average.")
    ] = 5000.0,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    state: Annotated[
        Path | None,
        typer.Option(help="File that keeps what the audit knows, and is gone on with."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help='Right answers that are known by now: a line {"number": 17, "answer": ...} each.',
        ),
    ] = None,
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
    from tokenexit.audit.promised import USUAL, allowed_of, ladder_of

    lines = Lines(stream)
    told = read_labels(labels)
    held = json.loads(state.read_text("utf-8")) if state is not None and state.is_file() else None
    opened = (certified if require_certificate else open_model)(model, place)
    calibration = opened.model.settings.calibration
    share = allowed if allowed is not None else allowed_of(calibration) or USUAL
    watching = Audit(
        opened.model, rate=rate, allowed=share, per_false_alarm=per_false_alarm, seed=seed,
        ladder=ladder_of(calibration, opened.model.policy), batch_size=batch_size, state=held,
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
    share, depth = report["differ_share"], report["mean_exit_layer"]
    lines = {
        "served": f"{report['served']} texts, {report['audited']} of them audited",
        "differ": "nothing was audited" if share is None else f"{share:.2%} of the audited texts",
        "depth": "nothing left" if depth is None else f"layer {depth:.2f} on average, "
        f"{report['layers_saved']:.2f}x fewer layers",
        "setting": f"{report['rung']} of {report['rungs'] - 1} (0 is full depth): "
        + json.dumps(report["policy"]),
        "alarms": "; ".join(
            f"{one['kind']} after {one['served']} texts" for one in report["alarms"]
        ) or "none",
    }  # fmt: skip
    if report["labels"]["seen"]:
        lines["labels"] = f"{report['labels']['seen']} seen, " + (
            "exits cost more than is allowed" if report["labels"]["alarm"] else "no alarm"
        )
    return "\n".join(f"{name + ':':<9}{text}" for name, text in lines.items())
