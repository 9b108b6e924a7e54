"""What a run does that depends on what leaves: words, texts or generated tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from tokenexit.calibration import Calibration, calibrate
from tokenexit.calibration.goal import check_family
from tokenexit.context import ContextGate
from tokenexit.errors import unknown_name
from tokenexit.evaluation.curve import CurveRow, Keep
from tokenexit.evaluation.evaluate import Result
from tokenexit.policies import Policy, from_config
from tokenexit.policies.base import walk
from tokenexit.policies.context_gate import ContextGate as AsksGate
from tokenexit.registry import load_plugin
from tokenexit.tasks import Task, Unit, task_named, tasks_of
from tokenexit.workflows.folder import Demo
from tokenexit.workflows.same_run import with_whole_paths
from tokenexit.workflows.selection import Selection

if TYPE_CHECKING:
    from accelerate import Accelerator

Measure = Callable[[Policy], Result]
Save = Callable[[Path], None]


@dataclass(frozen=True)
class Whole:
    """The network that costs of a run are relative to.

    Attributes:
        num_layers: Its depth.
        plain_macs: Its multiply-accumulates on a few texts, without exits.
        uniform_depth: Whether depth is counted in its layers.
    """

    num_layers: int
    plain_macs: int
    uniform_depth: bool = True


@dataclass(frozen=True)
class TrainingData:
    """What training is given.

    Attributes:
        examples: To learn from.
        evaluate: Says how good the model is, after each epoch.
        options: Further arguments of ``train``.
        held_out: Labelled examples of the validation split, for heads that look at it again.
    """

    examples: Sequence[Any]
    evaluate: Callable[[Any], dict[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    held_out: Sequence[Any] = ()


Values = Sequence[float]
"""Of a threshold."""


@dataclass(frozen=True)
class Measured:
    """The finished model on one split.

    Attributes:
        result: Its figures.
        save: Writes the trace.
        full: The figures of full depth in float32, where they were taken apart.
        deep: Its trace.
    """

    result: Result
    save: Save
    full: Result | None = None
    deep: Any = None


class Recipe(ABC):
    """A recipe's run, step by step; ``run_task`` goes through them, ``compare_methods`` too.

    Args:
        config: The run.

    Attributes:
        unit: What its rows are; it trains all tasks with such rows.
        schema: Its configuration, whose task is the usual one unless it is told.
        demo_settings: What is set where neither data nor model is given.
        of_words: Whether its tokenizer gets words.
        usual_model: What a comparison starts from when it is not told.
    """

    unit: ClassVar[Unit]
    demo_settings: ClassVar[Mapping[str, Any]]
    schema: ClassVar[type[Any]]
    of_words: ClassVar[bool] = False
    usual_model: ClassVar[str] = "bert-base-uncased"

    def __init__(self, config: Any) -> None:
        self.config = with_whole_paths(config)

    @classmethod
    def usual(cls, task: str) -> Mapping[str, Any]:
        """Settings of a task, with data of one's own."""
        return {}

    @classmethod
    def demo_of_methods(cls) -> dict[str, Any]:
        """What a comparison sets where neither data nor model is given."""
        return dict(cls.demo_settings)

    @property
    def task(self) -> Task:
        """What is learned."""
        return task_named(self.config.task)

    # --- before ----------------------------------------------------------------------------

    def prepare(self) -> tuple[Policy | None, list[Policy]]:
        """Load plugins, set threads, and read the policy and the families to calibrate.

        Raises:
            UserError: Anything that can be seen before the data is read.
        """
        config = self.config
        for plugin in config.plugins:
            load_plugin(plugin)
        if config.task not in (served := tasks_of(self.unit)):
            raise unknown_name("value of task", config.task, served)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        policy = from_config(config.policy) if config.policy else None
        families = [from_config(family) for family in config.calibrate.policies]
        for family in families:
            check_family(family)
        self.check_policies([*families, *([policy] if policy else [])])
        self.task.check_metric(config.metric)
        self.task.check_run(config)
        self.check()
        return policy, families

    @abstractmethod
    def check_policies(self, policies: Sequence[Policy]) -> None:
        """Refuse policies that cannot be used so.

        Raises:
            UserError: Says why.
        """

    @abstractmethod
    def check(self) -> None:
        """Refuse settings that do not go together.

        Raises:
            UserError: Says which.
        """

    @abstractmethod
    def read(self, folder: Path, demo: Demo | None = None) -> dict[str, Any]:
        """The splits of a run, or generated data in the run folder."""

    @abstractmethod
    def build(self, split: Any) -> Any:
        """The model that a run starts from, for its training split."""

    @abstractmethod
    def configure(self, model: Any, split: Any) -> None:
        """Tell the model what goes with it: how it decodes, generates, reads raw text."""

    def asking(self, model: Any, policies: Sequence[Policy]) -> Sequence[Policy]:
        """Policies to try before training; a gate that is fitted after it cannot be asked yet."""
        if self.config.context_gate.fit:
            self.check_gate(model)
            policies = [p for p in policies if not any(isinstance(q, AsksGate) for q in walk(p))]
        return policies or [model.policy]

    @abstractmethod
    def dry_run(self, model: Any, split: Any, policies: Sequence[Policy]) -> None:
        """Run a text before training, so that no mistake in the settings shows only after it."""

    @abstractmethod
    def describe(self, model: Any) -> str:
        """The model in a line."""

    def hint(self, model: Any) -> str:
        """What the user may want to set, if anything."""
        return ""

    def described(self, splits: Mapping[str, Any], model: Any, accelerator: Accelerator) -> str:
        """Data, model and machine in a line."""
        sizes = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
        return (
            f"{sizes} {self.task.holder}s; {self.describe(model)} with exits at "
            f"{list(model.settings.exit_layers)}; {accelerator.num_processes} process(es) on "
            f"{accelerator.device}"
        )

    # --- training --------------------------------------------------------------------------

    @abstractmethod
    def uses(self, model: Any) -> list[str]:
        """What the validation split serves for until the policy is calibrated."""

    @abstractmethod
    def training_data(self, model: Any, splits: Mapping[str, Any], choosing: Any) -> TrainingData:
        """What training is given.

        Args:
            model: The model.
            splits: The data.
            choosing: Texts of the validation split that choose the weights.
        """

    @abstractmethod
    def fit_heads(self, model: Any, data: TrainingData) -> None:
        """After training: let heads look at a split once more, those that want it."""

    @abstractmethod
    def check_gate(self, model: Any) -> None:
        """Refuse settings of a context gate that the model cannot have."""

    @abstractmethod
    def fit_gate(self, model: Any, split: Any, **settings: Any) -> ContextGate:
        """Fit a context gate to the trained model."""

    def fitted_gate(self, model: Any, split: Any) -> ContextGate:
        """A context gate for the trained model, so that calibration tries it."""
        asked, config = self.config.context_gate, self.config
        told = {one.name: getattr(asked, one.name) for one in fields(asked) if one.name != "fit"}
        return self.fit_gate(
            model, split, **{"batch_size": config.batch_size, "seed": config.seed, **told}
        )

    # --- after -----------------------------------------------------------------------------

    def calibrate(
        self, model: Any, held: Selection[Any], families: Sequence[Policy] | None
    ) -> Calibration:
        """Choose a policy."""
        return calibrate(
            model,
            held.calibrating,
            self.config.calibrate,
            families=families,
            batch_size=self.config.batch_size,
            on_unknown="keep",
            design=held.design,
            looks=held.shared_by,
        )

    def fixed(self, model: Any) -> bool:
        """Whether nobody can leave below the top, so that there is no policy to choose."""
        phases = self.config.train.each()
        single = all(phase.objective.get("name") == "single" for phase in phases)
        return single or len(model.settings.exit_layers) == 1

    @abstractmethod
    def decide(self, model: Any, split: Any) -> None:
        """After the policy is chosen: learn what decides among answers, if anything does."""

    @abstractmethod
    def measure(self, model: Any, split: Any, name: str) -> Measured:
        """The finished model on a split."""

    @abstractmethod
    def curve(
        self, model: Any, split: Any, last: Measured, values: Values, keep: Keep | None = None
    ) -> list[CurveRow]:
        """Quality and cost at settings of the model's policy.

        Args:
            model: The model.
            split: To measure on.
            last: The model's own policy on it.
            values: Of the threshold.
            keep: Takes each point with its trace.
        """

    # --- comparisons -----------------------------------------------------------------------

    @abstractmethod
    def whole(self, model: Any, split: Any) -> Whole:
        """The network behind a trained model, and what it costs on a split."""

    @abstractmethod
    def guess(self, train: Any, test: Any, metric: str) -> float:
        """Quality of what costs nothing."""

    @abstractmethod
    def measuring(self, model: Any, split: Any, known: Mapping[str, Any], size: int) -> Measure:
        """What runs a policy on a split; full depth is run once at most.

        Args:
            model: Whose exits are taken.
            split: The texts.
            known: A result on the whole split, which knows its name and full depth.
            size: Texts a batch.
        """
