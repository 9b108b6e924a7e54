"""A run from data to report: what the recipes do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.calibration.rows.choose import check_tunable
from tokenexit.extras import require_libraries
from tokenexit.models.folders.kinds import read_settings
from tokenexit.models.folders.names import CONFIG
from tokenexit.policies import Policy
from tokenexit.training import check_phases, make_accelerator, train
from tokenexit.workflows.cascade import train_cascade
from tokenexit.workflows.finish import finish
from tokenexit.workflows.folder import Demo, begin, run_folder
from tokenexit.workflows.logs import logger, quiet
from tokenexit.workflows.recipes import Recipe, recipe_of
from tokenexit.workflows.seeds import run_seeds
from tokenexit.workflows.selection import Selection, selection
from tokenexit.workflows.served_texts import TRAINING

if TYPE_CHECKING:
    from accelerate import Accelerator


def run_task(config: Any, demo: Demo | None = None) -> Path:
    """Train, calibrate, evaluate and report.

    Args:
        config: The run: ``TaggingConfig``, ``ClassificationConfig`` or ``Seq2SeqConfig``.
        demo: Writes generated data for a task into a folder; used when no data is given.

    Returns:
        The run folder.

    Raises:
        UserError: Anything wrong with the configuration, the data or the model.
    """
    require_libraries("accelerate")
    if config.seeds:
        return run_seeds(config, lambda one: run_task(one, demo))
    recipe = recipe_of(config)
    policy, families = recipe.prepare()
    if getattr(config, "stages", ()):
        return train_cascade(recipe, policy, families, run_task, demo)
    accelerator = make_accelerator(recipe.config.train, Path(config.output_dir))
    quiet(accelerator)
    with run_folder(recipe.config, accelerator.is_main_process):
        return _run(recipe, policy, families, accelerator, demo)


def _run(
    recipe: Recipe,
    policy: Policy | None,
    families: list[Policy],
    accelerator: Accelerator,
    demo: Demo | None,
) -> Path:
    """The run in a folder that is its own; nothing is written there before all is checked."""
    config, run = recipe.config, Path(recipe.config.output_dir)
    with accelerator.main_process_first():
        splits = recipe.read(run, demo if accelerator.is_main_process else None)
    from accelerate.utils import set_seed

    set_seed(config.seed)
    model = recipe.build(splits["train"])
    recipe.configure(model, splits["train"])
    if config.data is None:
        say = logger.info if accelerator.is_main_process else logger.debug
        say("No data was given, so this is a trial on generated data.")
    held = taught(
        recipe, model, splits, policy, families, accelerator, lambda: begin(config, accelerator)
    )
    finish(recipe, model, splits, policy, accelerator, held)
    accelerator.wait_for_everyone()
    if config.train.trackers:
        accelerator.end_training()
    return run


def taught(
    recipe: Recipe,
    model: Any,
    splits: Mapping[str, Any],
    policy: Policy | None,
    families: list[Policy],
    accelerator: Accelerator,
    begins: Callable[[], None] | None = None,
) -> Selection[Any]:
    """Train a model, fit what is fitted after it, and deal out the validation split.

    Args:
        recipe: The run, prepared.
        model: Learns in place.
        splits: The data.
        policy: As the user gave it, or None.
        families: Policies to calibrate.
        accelerator: Of this process.
        begins: Called when all is checked and before anything is written.

    Raises:
        UserError: Anything wrong with settings or texts that shows before the training.
    """
    config = recipe.config
    if config.calibrate.reducer.by is not None:
        check_tunable(model, config.calibrate.reducer)
    recipe.dry_run(model, splits["train"], [*families, *([policy] if policy else [])])
    check_phases(model, config.train)
    say = logger.info if accelerator.is_main_process else logger.debug
    say("%s", recipe.described(splits, model, accelerator))
    if hint := recipe.hint(model):
        say("%s", hint)
    held = selection(splits["validation"], config.calibrate, recipe.uses(model), splits["train"])
    held = held.going_on(_earlier(model, config.model))
    if TRAINING in held.used_for and accelerator.is_main_process:
        logger.warning(
            "The earlier run that this one goes on from was trained on texts that are validation "
            "texts here, so what is promised by them does not strictly hold. Keep the splits "
            "apart, or calibrate on texts that neither run has seen (tokenexit calibrate)."
        )
    data = recipe.training_data(model, splits, held.choosing)
    if begins is not None:
        begins()
    state = train(
        model,
        data.examples,
        config.train,
        accelerator=accelerator,
        folder=Path(config.output_dir),
        seed=config.seed,
        resume=config.resume,
        evaluate=data.evaluate,
        chosen_on=len(held.choosing),
        **data.options,
    )
    recipe.fit_heads(model, data)
    model.use(config.precision)
    if config.context_gate.fit:
        model.use_context(recipe.fitted_gate(model, splits["train"]))
    return held.after(state.chosen_on, state.looks)


def _earlier(model: Any, source: Any) -> Mapping[str, Any] | None:
    """What is known of the training that a run goes on from: the model's own, or its folder's."""
    if model.settings.training is not None:
        return model.settings.training
    folder = Path(source) if isinstance(source, str) else None
    return read_settings(folder).training if folder and (folder / CONFIG).is_file() else None
