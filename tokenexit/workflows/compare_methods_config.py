"""Settings of a comparison of methods."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from tokenexit.calibration import CalibrateConfig
from tokenexit.config import dump_config
from tokenexit.config.limits import SEED, about, setting
from tokenexit.errors import UserError
from tokenexit.registry import load_plugin
from tokenexit.tasks import task_named, tasks_by_policy_unit
from tokenexit.training import TrainConfig
from tokenexit.units import LEVEL_OF, UNIT_OF
from tokenexit.workflows.base_config import BaseConfig
from tokenexit.workflows.recipes import RECIPES, Recipe

_FREE = (
    "output_dir", "methods", "trainings", "seeds", "clock", "threads", "retry", "keep_checkpoints",
    "elue_reference", "jobs",
)  # fmt: skip


@dataclass(frozen=True)
class CompareMethodsConfig(BaseConfig):
    """Train published methods, or trainings of your own, and measure each one's whole trade-off.

    Network, seeds, splits, steps and batches are the same for all; a method sets its heads,
    objective and policies, and what else its preset names. Trainings set heads and objective, and
    each is calibrated with the same policies.
    """

    output_dir: str = field(metadata=about("where the comparison and its runs go"))
    data: str | None = setting(None, "Hub id, folder or file; generated data when empty")
    model: str | dict[str, Any] | None = setting(
        None,
        "Hub id or folder all start from, or a description of a fresh small model; "
        "bert-base-uncased or google-t5/t5-small when empty",
    )
    methods: list[str] | str | None = setting(
        None, "names such as [pabee,deebert], or all of the level, as usual without trainings"
    )
    # Targets, so that few texts tell methods apart; promises are for what is served.
    calibrate: CalibrateConfig = field(default_factory=lambda: CalibrateConfig(loose=True))
    trainings: list[Any] = setting(
        list, "heads and objectives, such as [joint, mlp+joint, past_future+imitation]"
    )
    seeds: list[int] = setting(lambda: [0], "a run for each", low=0, high=SEED)
    level: Literal["sentence", "token", "step"] | None = setting(
        None, "what leaves: texts, words or generated tokens; what the task says if empty"
    )
    task: str | None = setting(None, "what is learned; the level's usual task when empty")
    recipe: dict[str, Any] = setting(
        dict, "other keys of the task's recipe, for all: lang, max_target, generation ..."
    )
    column: str | None = setting(None, "column of the texts, or of the tags")
    pair_column: str | None = setting(None, "column of the second texts")
    label_column: str = setting("label", "column of the texts' labels")
    convert_tags: bool = setting(False, "convert BIOES and IOB1 tags to BIO")
    pool: Literal["first", "mean"] | None = setting(
        None, "what all heads below the top read of a text or word; each preset's own"
    )
    settings: int = setting(
        12, "settings of a policy's threshold to run at most, the loosest in any case", low=1
    )
    clock: bool = setting(True, "time a few settings as well")
    clock_texts: int = setting(32, "test texts to time", low=1)
    clock_batch: int = setting(1, "texts a batch when timing", low=1)
    repeats: int = setting(3, "timed passes", low=1)
    keep_checkpoints: bool = setting(
        False, "keep trainer states, from which methods added later can take a training"
    )
    elue_reference: list[list[float]] = setting(
        list,
        "points that the ELUE score is against, [share of multiply-accumulates, quality] each, "
        "such as ElasticBERT's on this data; the first layers of this comparison when empty",
    )
    jobs: int = setting(1, "runs at the same time, a process each; a GPU holds several", low=1)
    retry: bool = setting(False, "try again what has failed")

    def __post_init__(self) -> None:
        default = TrainConfig(label_smoothing=self.train.label_smoothing)
        for name in ("objective", "gradient_equilibrium", "phases"):
            if getattr(self.train, name) != getattr(default, name):
                raise UserError(f"train.{name} is what methods differ in; leave it to them.")
        if self.calibrate.policies and not self.trainings:
            raise UserError("calibrate.policies is what methods differ in; leave it to them.")
        super().__post_init__()
        if any(len(point) != 2 or point[0] < 0 for point in self.elue_reference):
            raise UserError(
                "elue_reference must be points of a cost from 0 and a quality, such as "
                f"[[0.25, 0.86], [1, 0.93]], not {self.elue_reference!r}."
            )
        if self.jobs > 1 and self.clock:
            raise UserError("Runs beside each other disturb the clock: jobs=1, or clock=false.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds must be one or more different numbers, not {self.seeds!r}.")
        for plugin in self.plugins:  # one of them may bring the task
            load_plugin(plugin)
        unit = UNIT_OF[self.level] if self.level else self._unit_of_task()
        level, tasks = LEVEL_OF[unit], tasks_by_policy_unit(unit)
        served = ", ".join(tasks)
        if unit not in RECIPES:
            raise UserError(f"There is no comparison for {self.task}; there is for {served}.")
        task = self.task or RECIPES[unit].schema.task
        if task not in tasks:
            raise UserError(f"There is no {task} at the level {level!r}; it has: {served}.")
        object.__setattr__(self, "level", level)
        object.__setattr__(self, "task", task)
        if self.model is None:
            object.__setattr__(self, "model", RECIPES[unit].usual_model)
        taken = sorted(self.recipe.keys() & {field.name for field in fields(self)})
        if taken:
            raise UserError(f"recipe.{taken[0]} is a key of the comparison itself: {taken[0]}=...")

    def _unit_of_task(self) -> str:
        return task_named(self.task).policy_unit if self.task else "text"

    @property
    def trains(self) -> type[Recipe]:
        """The recipe of the task."""
        assert self.level is not None
        return RECIPES[UNIT_OF[self.level]]

    @property
    def wanted(self) -> list[str] | None:
        """Names of methods, None for all."""
        names = self.methods
        if names is None:
            return [] if self.trainings else None
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",") if name.strip()]
        return None if names == ["all"] else list(names)

    def protocol(self) -> dict[str, Any]:
        """What may not change while a comparison is added to."""
        return {key: value for key, value in dump_config(self).items() if key not in _FREE}
