"""The run folder: one run each, never half of one and half of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.config import dump_config, to_yaml
from tokenexit.errors import UserError
from tokenexit.files import clear_partials, sync, write_text, writing
from tokenexit.precision import check_place
from tokenexit.training import check_training
from tokenexit.workflows.lock import LOCK, locked
from tokenexit.workflows.ours import CLEARING, CONFIG, MARKERS, clear, is_run, ours, stages
from tokenexit.workflows.same_run import AFTER_TRAINING, check_same, read_settings, whole_path

if TYPE_CHECKING:
    from accelerate import Accelerator

Demo = Callable[[Path, str], None]
"""Writes generated data for a task into a folder."""

DATA = "data"
"""Folder of the data that a run generates when it is given none."""


@contextmanager
def run_folder(config: Any, main: bool = True) -> Iterator[None]:
    """Keep a folder for a run while the block runs, or refuse one that is taken.

    Nothing is left of a run that fails before there is anything to keep.

    Args:
        config: The run.
        main: Whether this process writes; the others only look.

    Raises:
        UserError: As ``check_run``, or another process writes there.
    """
    check_run(config)
    if not main:
        yield
        return
    run = Path(config.output_dir)
    generated = not (run / DATA).exists()
    with locked(run):
        check_run(config)  # again: another run may have ended there meanwhile
        try:
            yield
        except BaseException:
            if _never_began(run, config):
                (run / CONFIG).unlink(missing_ok=True)
            if generated and not (run / CONFIG).exists() and config.data is None:
                shutil.rmtree(run / DATA, ignore_errors=True)
            raise


def check_run(config: Any) -> None:
    """Refuse a folder that is taken. Nothing is written.

    For every process, before any of them writes.

    Args:
        config: The run.

    Raises:
        UserError: The folder holds another run and neither ``overwrite`` nor ``resume`` was
            given, or the run to resume had other settings.
    """
    if not config.output_dir.strip():
        raise UserError("output_dir is empty; give a folder for the run.")
    run = Path(config.output_dir)
    if run.exists() and not run.is_dir():
        raise UserError(f"output_dir {str(run)!r} is a file; give a folder.")
    with writing(run):
        free = not run.is_dir() or _empty(run, config) or _never_began(run, config)
    if free:
        return
    if config.resume and (run / CONFIG).is_file():
        check_same(run / CONFIG, config)
    elif config.resume and any((run / name).exists() for name in MARKERS):
        raise UserError(
            f"output_dir {str(run)!r} holds a model without {CONFIG}, the settings of its run, so "
            "there is nothing to resume. Give overwrite=true to replace it, or another folder."
        )
    elif config.overwrite or config.resume:
        _spare_models(run, config)
    elif is_run(run):
        began = stages(run) if not any(_kept(run)) else []
        raise UserError(
            f"output_dir {str([*began, run][0])!r} already holds a run. Give overwrite=true to "
            "replace it, resume=true to go on with it, or another folder."
        )
    else:
        raise UserError(
            f"output_dir {str(run)!r} is not empty and holds no run of tokenexit. Give "
            "another folder, or overwrite=true to write into it."
        )


def _spare_models(run: Path, config: Any) -> None:
    """Refuse to write a run over a model that it starts from."""
    stages = [stage for stage in getattr(config, "stages", ()) if isinstance(stage, dict)]
    for model in (config.model, *(stage.get("model") for stage in stages)):
        place = whole_path(model)
        if (
            isinstance(place, str)
            and Path(place).is_relative_to(run.resolve())
            and (Path(place).exists())
        ):
            raise UserError(
                f"output_dir {str(run)!r} holds the model that the run starts from, {model!r}, "
                "which would be lost on the way. Give another output_dir."
            )


def open_run(config: Any) -> Path:
    """Make the run folder, or clear it. For one process, after ``check_run``."""
    run = Path(config.output_dir)
    going_on = config.resume and (run / CONFIG).is_file() and not _never_began(run, config)
    settings = dump_config(config)
    if going_on:
        settings = read_settings(run / CONFIG) | {
            key: settings[key] for key in AFTER_TRAINING if key in settings
        }
        clear_partials(run)
    elif is_run(run):
        clear(run)
    write_text(run / CONFIG, to_yaml(settings))
    (run / CLEARING).unlink(missing_ok=True)
    sync(run)
    return run


def begin(config: Any, accelerator: Accelerator) -> None:
    """Open the folder, on the main process. For every process.

    Raises:
        UserError: The training or the precision would be refused, or the folder cannot be written.
    """
    if config.precision is not None:
        check_place(config.precision, accelerator.device)
    check_training(config.train, evaluated=True)  # now: opening may clear an older run
    accelerator.wait_for_everyone()  # the others have looked at the folder as it was
    if accelerator.is_main_process:
        open_run(config)
    accelerator.wait_for_everyone()


def generated(run: Path, task: str, demo: Demo | None) -> str:
    """The folder of a run's own data, which is generated if it is not there.

    Args:
        run: The run folder.
        task: Of which task.
        demo: Writes the data; None for a process that only reads.
    """
    folder, partial = run / DATA, run / f".{DATA}.partial"
    if demo is not None and not (folder / "test.parquet").is_file():
        shutil.rmtree(partial, ignore_errors=True)
        with writing(folder):
            demo(partial, task)
            folder.mkdir(exist_ok=True)
            # The test split last: it says that the others are there.
            for path in sorted(partial.iterdir(), key=lambda path: path.stem == "test"):
                path.replace(folder / path.name)
            partial.rmdir()
    return str(folder)


def _empty(run: Path, config: Any) -> bool:
    """Whether there is nothing but what a run leaves that is killed before it opens its folder."""
    mine = {LOCK, *([DATA, f".{DATA}.partial"] if config.data is None else [])}
    return all(path.name in mine for path in run.iterdir())


def _never_began(run: Path, config: Any) -> bool:
    """Whether a run stopped here before there was anything to keep.

    At a mistake of the user, say, or while it was clearing away what it was told to overwrite.
    """
    if (run / CLEARING).is_file():
        return True
    if not (run / CONFIG).is_file() or any(_kept(run)) or stages(run):
        return False
    try:
        saved = read_settings(run / CONFIG)
    except UserError:
        return False
    return saved.keys() == dump_config(config).keys()  # else it is a file of the user's own


def _kept(run: Path) -> Iterator[Path]:
    yield from run.glob("checkpoints/*")
    # An empty log is opened before the first step.
    yield from (path for path in ours(run) if path.name != "train_log.jsonl" or path.stat().st_size)
