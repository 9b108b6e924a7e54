"""What can be done with a model of any kind, and with the data it understands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.found import Calibration
from tokenexit.calibration.sampling import sample
from tokenexit.data.groups import with_groups
from tokenexit.errors import UserError
from tokenexit.evaluation.bench import BenchResult, bench
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.evaluation.processes import state
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.settings import task_of
from tokenexit.policies import Policy
from tokenexit.results import Result
from tokenexit.workflows.reading import Reading
from tokenexit.workflows.selection import LISTING


class Commands(ABC):
    """A loaded model with the data it understands.

    Args:
        source: Its folder.
        device: Where it computes; an accelerator if there is one when None.
        dtype: Type of its weights; as they were saved when None.
        precision: What inference computes with; as its weights are when None.
        runtime: Who plans it.
    """

    model: Any
    loader: ClassVar[Any]
    kind: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    """What else its ``read`` can be told."""
    predicting: ClassVar[tuple[str, ...]] = ()
    """What else its ``predict`` can be told."""
    measuring: ClassVar[tuple[str, ...]] = ()
    """What else its ``evaluate`` can be told."""
    timing: ClassVar[tuple[str, ...]] = ()
    """What else its ``bench`` can be told."""

    reading = Reading()

    def __init__(
        self,
        source: Path,
        device: Any = None,
        dtype: str | None = None,
        precision: str | None = None,
        runtime: str | None = None,
    ) -> None:
        if precision is not None and dtype is None:
            dtype = "float32"  # which other precisions are made from
        options = {} if dtype is None else {"dtype": dtype}
        loaded = self.loader.from_pretrained(source, **options)
        placed = loaded.to(state().device if device is None else device)
        self.model = placed.use(precision, runtime)

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """Splits of a data set; without ``labels``, of texts that need not have any.

        Raises:
            UserError: An option of another kind of model, or data that cannot be read.
        """
        check_only(options, (*self.columns, "group_column", "data_name"), self.kind)
        name = options.get("data_name")
        told = {column: options[column] for column in self.columns if column in options}
        found = self._read(data, name, labels, **told)
        return with_groups(found, data, options.get("group_column"), name)

    @abstractmethod
    def _read(self, data: str, name: str | None, labels: bool, **told: Any) -> dict[str, Any]:
        """The same without documents; told is what of ``columns`` the user says."""

    @abstractmethod
    def texts(self, split: Any) -> Sequence[Any]:
        """What a split asks, without the answers."""

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        """Measure a policy.

        Raises:
            UserError: An option of another kind of model.
        """
        given = self._given(options, "batch_size", "oracle", *self.measuring)
        return evaluate(self.model, split, name, policy, **given)[0]

    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Any, size: int, **more: Any
    ) -> Calibration:
        """Choose a policy; by the clock, ``costs`` may be known."""
        families = None if family is None else [family]
        told = {"families": families, "batch_size": size, **more}
        return calibrate(self.model, split, config, name=name, **told)

    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult:
        """Time a policy.

        Raises:
            UserError: An option of another kind of model.
        """
        given = self._given(options, "batch_size", "repeats", "against", *self.timing)
        chosen = chosen_policy(self.model, policy)
        return bench(self.model, self.texts(split)[:limit], chosen, **given)

    def _given(self, options: Mapping[str, Any], *known: str) -> dict[str, Any]:
        given = {name: value for name, value in options.items() if value is not None}
        check_only(given, known, self.kind)
        return given

    def fit_gate(self, split: Any, **settings: Any) -> Any:
        """Fit a context gate to the model.

        Raises:
            UserError: Its rows have none.
        """
        raise UserError(f"Context gates are not fitted to {self.kind}.")

    def predict(
        self, texts: Iterable[Any], policy: Policy | None, size: int, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """Results for texts, in order and as they are read.

        Raises:
            UserError: An option of another kind of model, or two that exclude each other.
        """
        given = self._given(options, *self.predicting)
        if given.pop("pretokenized", False):
            if "splitter" in given:
                raise UserError(
                    "--pretokenized takes the words between spaces, so there is nothing left for "
                    "--splitter to split; give one of the two."
                )
            texts = (text.split() for text in texts)
        found = self.model.predict_iter(texts, policy=policy, batch_size=size, **given)
        return (one.to_dict() for one in found)

    def measure_by(self, metric: str | None) -> None:
        """Take another figure for quality than the model's usual one; None changes nothing.

        Raises:
            UserError: There is no such metric for the model's task, or it cannot be scored here.
        """
        task_of(self.model.settings).check_metric(metric)
        if metric is not None:
            self.model.configure(metric=metric)

    def listing(
        self, data: str | None, name: str | None, labels: bool = True, /, **options: Any
    ) -> Any:
        """Texts that fix which settings are tested; None where there are none.

        Args:
            data: See ``split``.
            name: The split; the training split if there is one when None.
            labels: See ``split``.
            options: See ``split``.

        Raises:
            UserError: A split that was named is not there.
        """
        splits, source = self._splits(data, labels, options), self.source(data)
        if (
            "validation" not in splits
            and {"train", "all"} & {*splits}
            and self.reading.owns(source)
        ):
            splits = self.held_out(splits)
        if (name or "train") in splits:
            return sample(splits[name or "train"], LISTING)
        if name is not None:
            raise UserError(f"{source} has no split {name!r} to list settings on: {[*splits]}.")
        return None

    def split(self, data: str | None, name: str, labels: bool = True, /, **options: Any) -> Any:
        """One split of a data set, read as the model's run read its own.

        Args:
            data: The data set; that of the run when None.
            name: The split.
            labels: Whether it has to have labels.
            options: Reading options to use in place of the run's; None for the run's.

        Raises:
            UserError: There is no such split, an option of another kind of model, or the data of
                the run is not known.
        """
        splits, source = self._splits(data, labels, options), self.source(data)
        if name == "validation" and name not in splits and self.reading.owns(source):
            splits = self.held_out(splits)
        if name not in splits:
            if set(splits) == {"all"}:
                return splits["all"]
            raise UserError(
                f"{source} has no split {name!r}; it has {', '.join(splits)}. Choose one with "
                "--split."
            )
        return splits[name]

    def _splits(self, data: str | None, labels: bool, options: dict[str, Any]) -> dict[str, Any]:
        """All splits, as ``split`` reads them."""
        source = self.source(data)
        given = {k: v for k, v in options.items() if v is not None}
        told = self.reading.for_data(source)
        if "lang" in given:  # says what to read instead of columns, and they instead of it
            told = {k: v for k, v in told.items() if k not in ("source_column", "target_column")}
        elif given.keys() & {"source_column", "target_column"}:
            told.pop("lang", None)
        return self.read(source, {**told, **given}, labels)

    def source(self, data: str | None) -> str:
        """The data set that is named, or that of the run.

        Raises:
            UserError: None is named, and that of the run is not known.
        """
        source = self.reading.data if data is None else data
        if source is None:
            raise UserError("The model does not know what data its run was on; give --data.")
        if data is None and Path(source).is_absolute() and not Path(source).exists():
            raise UserError(
                f"The data of the run, {source}, is not there any more; say with --data where "
                "it is."
            )
        return source

    def held_out(self, splits: dict[str, Any]) -> dict[str, Any]:
        """With the validation split that the run held out of its training data, if it did."""
        return splits


def check_only(given: Mapping[str, Any], known: Sequence[str], kind: str) -> None:
    """Refuse options of another kind of model.

    Args:
        given: By name.
        known: Those of this kind.
        kind: Its name, in the plural.

    Raises:
        UserError: Names the first.
    """
    for name in given:
        if name not in known:
            raise UserError(f"--{name.replace('_', '-')} has no meaning for {kind}; leave it out.")
