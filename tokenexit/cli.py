"""The console script ``tokenexit``: what can be done with a finished model folder.

Heavy imports stand inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tokenexit.config import friendly_errors
from tokenexit.errors import UserError

if TYPE_CHECKING:
    from tokenexit.workflows.commands import Commands

# Typer exports this class only through the one that is built on it.
_UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Token-level early exit: evaluate, calibrate, time, use and explain a model folder.",
)

Model = Annotated[str, typer.Argument(help="Model or run folder, or a Hub id.")]
Data = Annotated[str, typer.Option(help="Hub id, folder or file of labelled sentences.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
PolicyText = Annotated[
    str | None, typer.Option(help="Policy as a name or JSON; the model's own by default.")
]
Plugin = Annotated[
    list[str] | None, typer.Option(help="Your own .py file that registers a policy or head.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Sentences a batch.")]
Column = Annotated[str | None, typer.Option(help="Column of the tags.")]
Lang = Annotated[
    str | None, typer.Option(help="Direction of a column of translations, such as en-de.")
]
PendingText = Annotated[
    str | None,
    typer.Option("--pending", help="When generating: lazy, eager, parallel or verify."),
]


@app.command()
def evaluate(
    model: Model,
    data: Data,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "test",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    decode: Annotated[str | None, typer.Option(help="argmax, legal or crf.")] = None,
    column: Column = None,
    lang: Lang = None,
    pending: PendingText = None,
    unknown: Annotated[
        str, typer.Option(help="Labels the model does not know: error, or keep (as wrong).")
    ] = "error",
    plugin: Plugin = None,
    json_file: Json = None,
) -> None:
    """Quality, mean depth, multiply-accumulates and exit histogram on a split."""
    from tokenexit.evaluation.processes import is_main
    from tokenexit.reporting.tables import results_text

    opened = _open(model, plugin)
    result = opened.evaluate(
        opened.split(data, split, column=column, lang=lang),
        split,
        _policy(policy),
        batch_size=batch_size,
        decode=decode,
        pending=pending,
        on_unknown=unknown,
    )
    if is_main():
        typer.echo(results_text(result.to_json()))
        _write(json_file, result.to_json())


@app.command()
def calibrate(
    model: Model,
    data: Data,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "validation",
    min_quality: Annotated[
        float | None, typer.Option(help="Share of full-depth quality to keep (default 0.99).")
    ] = None,
    speedup: Annotated[float | None, typer.Option(help="Layers to save instead.")] = None,
    confidence: Annotated[
        float | None, typer.Option(help="Keep the quality in this share of bootstrap resamples.")
    ] = None,
    risk: Annotated[
        float | None,
        typer.Option(help="Share of unseen texts that may differ from full depth; no labels."),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Probability that the risk is exceeded; else on average.")
    ] = None,
    risk_of: Annotated[
        Literal["text", "words"],
        typer.Option(help="What may differ: anything in a text, or the share of its words."),
    ] = "text",
    policy: Annotated[
        str | None, typer.Option(help="Family to calibrate; a few by default.")
    ] = None,
    batch_size: BatchSize = 32,
    column: Column = None,
    lang: Lang = None,
    plugin: Plugin = None,
    dry_run: Annotated[bool, typer.Option(help="Do not change the model folder.")] = False,
    json_file: Json = None,
) -> None:
    """Choose the policy that keeps a promise, and save it with the model."""
    from tokenexit.calibration import CalibrateConfig
    from tokenexit.evaluation.processes import is_main
    from tokenexit.models.persistence import save_settings

    if not dry_run and not Path(model).is_dir():
        raise UserError(f"Only a local model folder can be changed, not {model!r}; add --dry-run.")
    config = CalibrateConfig(min_quality, speedup, confidence, risk, delta, risk_of)
    opened = _open(model, plugin)
    labels = risk is None or min_quality is not None  # else full depth is all it is held to
    found = opened.calibrate(
        opened.split(data, split, labels, column=column, lang=lang),
        split,
        config,
        _policy(policy),
        batch_size,
    )
    if not is_main():
        return
    best = found.chosen
    typer.echo(f"policy:          {json.dumps(found.policy)}")
    if found.promise is not None:
        kept = "" if found.reached else ", which only full depth keeps"
        typer.echo(f"promise:         {found.promise['promise']}{kept}")
        typer.echo(
            f"grounds:         {found.promise['texts_changed']} of {found.promise['n']} texts "
            f"differ, bound {found.promise['bound']:.4f}; {found.promise['method']}"
        )
    typer.echo(f"quality kept:    {best['relative_quality']:.2%} of {found.quality_full_depth:.4f}")
    typer.echo(
        f"layers saved:    {best['depth_speedup']:.2f}x (mean exit {best['mean_exit_layer']:.2f})"
    )
    typer.echo(f"multiply-adds:   {best['mac_ratio']:.2f} of the plain model's")
    data_out = found.to_json()
    if not dry_run:
        short = {k: v for k, v in data_out.items() if k not in ("candidates", "chosen")}
        # Results were measured with the policy of before.
        opened.model.configure(policy=found.policy, calibration=short, results=None)
        save_settings(opened.model, Path(model))
        _write(Path(model) / "calibration.json", data_out)
    _write(json_file, data_out)


@app.command()
def bench(
    model: Model,
    data: Data,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "test",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes over the texts.")] = 5,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many texts.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads torch computes with.")] = None,
    column: Column = None,
    lang: Lang = None,
    pending: PendingText = None,
    plugin: Plugin = None,
    json_file: Json = None,
) -> None:
    """Wall-clock against the plain transformers model, interleaved in one run."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    opened = _open(model, plugin)
    found = opened.bench(
        opened.split(data, split, column=column, lang=lang),
        limit,
        _policy(policy),
        batch_size=batch_size,
        repeats=repeats,
        pending=pending,
    )
    for key, value in found.to_json().items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        typer.echo(f"{key + ':':<18}{shown}")
    _write(json_file, found.to_json())


@app.command()
def predict(
    model: Model,
    file: Annotated[str, typer.Argument(help="Text file, one text a line; - for stdin.")] = "-",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    plugin: Plugin = None,
) -> None:
    """Text in, JSON lines out: labels and entities, or the text written, and exit layers."""
    lines = _lines(file)
    for result in _open(model, plugin).predict(lines, _policy(policy), batch_size):
        typer.echo(json.dumps(result, ensure_ascii=False))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    figures: Annotated[
        str | None, typer.Option(help="Also save figures: pdf, png or svg (needs matplotlib).")
    ] = None,
) -> None:
    """Draw report.html anew from a run's saved figures."""
    from tokenexit.reporting import write_report

    typer.echo(write_report(run))
    if figures is not None:
        from tokenexit.reporting.figures import save_figures

        for path in save_figures(run, figures):
            typer.echo(path)


@app.command()
def policies(plugin: Plugin = None) -> None:
    """What policies exist, with their settings."""
    import dataclasses

    from tokenexit.policies import POLICIES
    from tokenexit.registry import load_plugin

    for source in plugin or []:
        load_plugin(source)
    for name, cls in POLICIES.items():
        fields = ", ".join(
            f"{f.name}={getattr(cls.examples()[0], f.name)!r}"
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        )
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        typer.echo(f"{name:<18}{summary}")
        typer.echo(f"{'':<18}levels: {', '.join(cls.levels)}" + (f"; {fields}" if fields else ""))


@app.command()
def methods() -> None:
    """What published methods there are, and at which levels: for method= of the recipes."""
    from tokenexit.methods import METHODS
    from tokenexit.policies import from_config

    for name, cls in METHODS.items():
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        knobs = []
        for family in cls.policies:
            policy = from_config(family)
            dial = policy.dial()
            knobs.append(f"{policy!r}" + (f" by {dial.field}" if dial else ""))
        typer.echo(f"{name:<16}{summary}")
        typer.echo(f"{'':<16}{cls.paper}; levels: {', '.join(cls.levels)}; {'; '.join(knobs)}")
        if cls.regression is not None:
            told = "; ".join(repr(from_config(family)) for family in cls.regression)
            typer.echo(f"{'':<16}regression: {told or 'nobody leaves early'}")


@app.command()
def backbones() -> None:
    """What transformers families are supported: encoders, then encoder-decoders."""
    from tokenexit.backbones import BACKBONES
    from tokenexit.decoders import DECODERS

    for name, cls in [*BACKBONES.items(), *DECODERS.items()]:
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        typer.echo(f"{name:<16}{summary}")


def main() -> None:
    """Run the console script: 0 on success, 2 and one message on a user's mistake."""
    with friendly_errors():
        try:
            code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
        except _UsageError as error:
            place = error.ctx.command_path if error.ctx else "tokenexit"
            text = error.format_message().rstrip(".")
            raise UserError(f"{text}. {place} --help lists what there is.") from None
        except typer.Abort:
            raise SystemExit(130) from None
        raise SystemExit(code if isinstance(code, int) else 0)


def _open(model: str, plugin: list[str] | None) -> Commands:
    from transformers.utils import logging

    from tokenexit.registry import load_plugin
    from tokenexit.workflows.commands import open_model

    logging.disable_progress_bar()
    for source in plugin or []:
        load_plugin(source)
    return open_model(model)


def _lines(file: str) -> list[str]:
    """Lines of a text file or of standard input, empty ones included."""
    if file != "-" and not Path(file).is_file():
        raise UserError(f"There is no file {file!r}; give a text file, or - for standard input.")
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file!r} cannot be read as UTF-8 text: {error}.") from error
    # Not splitlines: form feeds and the like stand inside lines.
    return text.removesuffix("\n").split("\n") if text else []


def _policy(text: str | None) -> Any:
    from tokenexit.policies import from_config

    return None if text is None else from_config(text)


def _write(path: Path | None, data: Any) -> None:
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(data, indent=2, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}.") from error


if __name__ == "__main__":
    main()
