"""A run of a cascade: each model trained in a run of its own, then calibrated together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.config import dump_config, load_config
from tokenexit.errors import UserError
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.cascades.folder import stage_name
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.policies import Policy
from tokenexit.training import TrainConfig, check_training, make_accelerator
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.finish import finish
from tokenexit.workflows.folder import Demo, begin, check_run, run_folder
from tokenexit.workflows.logs import logger, quiet
from tokenexit.workflows.recipes import Recipe, recipe_of
from tokenexit.workflows.selection import selection
from tokenexit.workflows.served_texts import COUNT, EARLIER, LOOKS

if TYPE_CHECKING:
    from accelerate import Accelerator

RunStage = Callable[[Any], Path]

_OF_THE_CASCADE = ("output_dir", "data", "stages", "method", "policy", "calibrate", "column",
                   "pair_column", "label_column", "group_column", "data_name", "seed", "seeds",
                   "resume", "overwrite", "plugins", "threads")  # fmt: skip
"""Keys that a stage cannot have of its own."""


def train_cascade(
    recipe: Recipe,
    policy: Policy | None,
    families: list[Policy],
    run_stage: RunStage,
    demo: Demo | None = None,
) -> Path:
    """Train every model into ``stage-1``, ``stage-2``, ..., and make them one cascade.

    Before anything is trained, the cascade is put together of untrained models and classifies a
    text, so that no mistake in the settings shows only at the end.

    Args:
        recipe: The run, prepared.
        policy: As the user gave it, or None.
        families: Policies to calibrate.
        run_stage: Does the run of one model.
        demo: Writes generated data for a task into a folder; used when no data is given.

    Returns:
        The run folder, which is that of the cascade.

    Raises:
        UserError: Anything wrong with the configuration, the data or the models.
    """
    config = recipe.config
    untracked = replace(config.train, trackers=[])  # trackers follow the stages
    accelerator = make_accelerator(untracked, Path(config.output_dir))
    quiet(accelerator)
    stages = [stage_config(config, number) for number in range(1, len(config.stages) + 1)]
    with run_folder(config, accelerator.is_main_process):
        if not config.overwrite:  # else they are cleared with the cascade
            for stage in stages:
                check_run(stage)
        return _run(recipe, stages, policy, families, accelerator, run_stage, demo)


def _run(
    recipe: Recipe,
    stages: list[ClassificationConfig],
    policy: Policy | None,
    families: list[Policy],
    accelerator: Accelerator,
    run_stage: RunStage,
    demo: Demo | None,
) -> Path:
    config, run = recipe.config, Path(recipe.config.output_dir)
    main = accelerator.is_main_process
    with accelerator.main_process_first():
        splits = recipe.read(run, demo if main else None)
    trained = [recipe_of(stage) for stage in stages]
    tried_out = CascadeForSequenceClassification(
        [one.build(splits["train"]).eval() for one in trained]
    )
    for tried in [*families, *([policy] if policy else [])]:
        tried_out.trace(splits["train"].tokens[:1], policy=tried)
    uses = [one.uses(m) for one, m in zip(trained, tried_out.stages, strict=True)]
    held = selection(
        splits["validation"],
        config.calibrate,
        list(dict.fromkeys(u for part in uses for u in part)),
        splits["train"],
    )
    del tried_out
    for stage in stages:
        check_training(stage.train, evaluated=True)
    begin(config, accelerator)
    for number, stage in _in_order(config, stages):
        if main:
            logger.info("model %d of %d", number, len(stages))
        run_stage(stage)
    cascade = CascadeForSequenceClassification(
        [ExitModelForSequenceClassification.from_pretrained(s.output_dir) for s in stages]
    ).to(accelerator.device)
    cascade.configure(metric=config.metric)
    for stage, used in zip(cascade.stages, uses, strict=True):
        if used:
            told = stage.settings.training or {}
            held = held.after(told.get(COUNT, 0), told.get(LOOKS, 1))
        held = held.going_on({EARLIER: (stage.settings.training or {}).get(EARLIER, ())})
    cascade.use(config.precision)
    finish(recipe, cascade, splits, policy, accelerator, held)
    accelerator.wait_for_everyone()
    return run


def stage_config(config: ClassificationConfig, number: int) -> ClassificationConfig:
    """The run of one model: that of the cascade, with what ``stages`` says of it besides.

    It has no exits below the top, where nobody would leave.

    Args:
        config: The run of the cascade.
        number: Of the model, from 1.

    Raises:
        UserError: Fewer than two stages, an unknown key, or one that belongs to the cascade.
    """
    if len(config.stages) < 2:
        raise UserError("stages must list two or more models, the cheapest first.")
    own: Mapping[str, Any] = config.stages[number - 1]
    for key in own:
        if key in _OF_THE_CASCADE:
            raise UserError(
                f"stages[{number - 1}] sets {key!r}, which all models of a cascade share; set it "
                "beside stages."
            )
    if config.calibrate.reducer.by is not None:
        raise UserError(
            "calibrate.reducer.by chooses the reducer of one model, and a cascade has several: "
            "choose that of each model in a run of its own."
        )
    if "validate_on" in own and config.calibrate.risk is not None:
        raise UserError(
            "calibrate.risk needs validation texts that no model was chosen on, so all models "
            "have to see the same ones; set validate_on beside stages."
        )
    run = Path(config.output_dir)
    shared = replace(
        config,
        output_dir=str(run / stage_name(number)),
        data=config.data or str(run / "data"),
        exit_layers=[],
        plugins=[],  # loaded already; a second time, policies made before would be strangers
        stages=[],
        method=None,
        policy={},
        calibrate=replace(config.calibrate, policies=[]),
    )
    told = [f"{key}={json.dumps(value)}" for key, value in own.items()]
    made = load_config(ClassificationConfig, told, dump_config(shared))
    if not _learns_from_next(made.train):
        return made
    if number == len(config.stages):
        raise UserError(f"teacher={NEXT} is the next larger model, and the last one has none.")
    teacher = str(run.resolve() / stage_name(number + 1))
    return replace(made, train=_with_teacher(made.train, teacher))


NEXT = "next"
"""As a teacher: the next larger model of the cascade."""


def _learns_from_next(train: TrainConfig) -> bool:
    return any(phase.teacher == NEXT for phase in train.each())


def _with_teacher(train: TrainConfig, folder: str) -> TrainConfig:
    """The same, with the folder of the next model in the place of its name."""
    own = folder if train.teacher == NEXT else train.teacher
    phases = [
        {**phase, "teacher": folder} if phase.get("teacher") == NEXT else phase
        for phase in train.phases
    ]
    return replace(train, teacher=own, phases=phases)


def _in_order(
    config: ClassificationConfig, stages: Sequence[ClassificationConfig]
) -> list[tuple[int, ClassificationConfig]]:
    """The models with their numbers, those that teach first."""
    numbered = list(enumerate(stages, start=1))
    taught = any(f'"{NEXT}"' in json.dumps(stage.get("train")) for stage in config.stages)
    return numbered[::-1] if taught else numbered
