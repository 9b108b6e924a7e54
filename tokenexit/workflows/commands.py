"""What the console script does with a model folder, for each kind of model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.found import Calibration
from tokenexit.calibration.texts import calibrate_texts
from tokenexit.data.pairs import read_pairs
from tokenexit.data.tagged import read_tagged, with_validation
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError, unknown_name
from tokenexit.evaluation.bench import BenchResult, bench, bench_texts
from tokenexit.evaluation.evaluate import Result, evaluate
from tokenexit.evaluation.generation import evaluate_texts, usual_figures
from tokenexit.evaluation.processes import state
from tokenexit.evaluation.quality import check_metric
from tokenexit.models.cascade import CascadeForSequenceClassification
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.persistence import is_cascade, kind_of, read_settings, resolve
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.token_classification import ExitModelForTokenClassification
from tokenexit.policies import Policy
from tokenexit.precision import check_precision, check_runtime
from tokenexit.workflows.reading import Reading, remembered

DTYPES = ("float32", "bfloat16", "float16")


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
    predicting: ClassVar[tuple[str, ...]] = ()
    """What else its ``predict`` can be told."""

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

    @abstractmethod
    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """Splits of a data set; without ``labels``, of texts that need not have any."""

    @abstractmethod
    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        """Measure a policy."""

    @abstractmethod
    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Any, size: int, **more: Any
    ) -> Calibration:
        """Choose a policy; by the clock, ``costs`` may be known."""

    @abstractmethod
    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult:
        """Time a policy."""

    def predict(
        self, texts: Iterable[Any], policy: Policy | None, size: int, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """Results for texts, in order and as they are read.

        Raises:
            UserError: An option of another kind of model, or two that exclude each other.
        """
        given = {k: v for k, v in options.items() if v is not None}
        _only(given, self.predicting, self.kind)
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
            UserError: There is no such metric for the model's task.
        """
        if metric is not None:
            check_metric(metric, self.model.settings.task)
            self.model.configure(metric=metric)

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
        source = self.source(data)
        given = {k: v for k, v in options.items() if v is not None}
        told = self.reading.for_data(source)
        if "lang" in given:  # says what to read instead of columns, and they instead of it
            told = {k: v for k, v in told.items() if k not in ("source_column", "target_column")}
        elif given.keys() & {"source_column", "target_column"}:
            told.pop("lang", None)
        splits = self.read(source, {**told, **given}, labels)
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


class _Tagger(Commands):
    model: EncoderModel | CascadeForSequenceClassification

    loader = ExitModelForTokenClassification
    kind = "taggers"
    predicting = ("decode", "splitter", "pretokenized")

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        _only(options, ("column", "convert_tags", "data_name"), "taggers")
        column = options.get("column") or f"{self.model.settings.task}_tags"
        return read_tagged(
            data,
            column if labels else None,
            name=options.get("data_name"),
            convert=options.get("convert_tags", False),
        )

    def held_out(self, splits: dict[str, Any]) -> dict[str, Any]:
        return with_validation(splits, seed=self.reading.seed)

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        given = {k: v for k, v in options.items() if v is not None}
        _only(given, ("batch_size", "decode", "on_unknown"), "taggers")
        return evaluate(self.model, split, name, policy, **given)[0]

    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Any, size: int, **more: Any
    ) -> Calibration:
        families = None if family is None else [family]
        told = {"families": families, "batch_size": size, **more}
        return calibrate(self.model, split, config, name=name, **told)

    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult:
        given = {k: v for k, v in options.items() if v is not None}
        _only(given, ("batch_size", "repeats", "against"), "taggers")
        return bench(self.model, split.tokens[:limit], chosen_policy(self.model, policy), **given)


class _Classifier(_Tagger):
    loader = ExitModelForSequenceClassification
    kind = "text classifiers"
    predicting = ()

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        known = ("column", "pair_column", "label_column", "data_name")
        _only(options, known, "text classifiers")
        return read_texts(
            data,
            column=options.get("column"),
            pair_column=options.get("pair_column"),
            label_column=options.get("label_column", "label") if labels else None,
            name=options.get("data_name"),
            regression=self.model.settings.task == "regression",
        )

    def held_out(self, splits: dict[str, Any]) -> dict[str, Any]:
        name = "all" if set(splits) == {"all"} else "train"
        if name not in splits or splits[name].tags is None:
            return super().held_out(splits)
        return super().held_out({**splits, name: splits[name].labelled()})


class _Cascade(_Classifier):
    loader = CascadeForSequenceClassification


class _Generator(Commands):
    loader = ExitModelForSeq2SeqLM
    kind = "text generators"
    predicting = ("pending",)

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        known = ("lang", "source_column", "target_column", "data_name")
        _only(options, known, "text generators")
        return read_pairs(
            data,
            lang=options.get("lang"),
            source_column=options.get("source_column"),
            target_column=options.get("target_column"),
            name=options.get("data_name"),
            sources_only=not labels,
        )

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        given = {k: v for k, v in options.items() if v is not None}
        given.pop("on_unknown", None)
        _only(given, ("batch_size", "pending"), "text generators")
        settings = self.model.settings
        also = [name for name in usual_figures(settings.task) if name != settings.metric]
        return evaluate_texts(self.model, split, name, policy, oracle=True, also=also, **given)[0]

    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Any, size: int, **more: Any
    ) -> Calibration:
        families = None if family is None else [family]
        told = {"families": families, "batch_size": size, **more}
        return calibrate_texts(self.model, split, config, name=name, **told)

    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult:
        given = {k: v for k, v in options.items() if v is not None}
        _only(given, ("batch_size", "repeats", "pending", "against"), "text generators")
        chosen = chosen_policy(self.model, policy)
        return bench_texts(self.model, split.sources[:limit], chosen, **given)


def open_model(
    source: str,
    device: str | None = None,
    dtype: str | None = None,
    precision: str | None = None,
    runtime: str | None = None,
) -> Commands:
    """Load a model folder of either kind.

    Args:
        source: The folder, or a Hub id.
        device: Where it computes, such as ``cpu``; an accelerator if there is one when None.
        dtype: ``float32``, ``bfloat16`` or ``float16``; as it was saved when None.
        precision: ``int8``, ``bf16``, ``fp16`` or ``fp32``; as the weights are when None.
        runtime: ``auto`` or ``eager``; None is ``auto``.

    Raises:
        UserError: It is none, there is no such device or name, or it is not served so.
    """
    if precision is not None:
        check_precision(precision)
    if runtime is not None:
        check_runtime(runtime)
    if dtype is not None and dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    place = None if device is None else _device(device)
    folder = resolve(source)
    kinds: dict[str, type[Commands]] = {
        "ExitModelForTokenClassification": _Tagger,
        "ExitModelForSequenceClassification": _Classifier,
        "ExitModelForSeq2SeqLM": _Generator,
    }
    kind = _Cascade if is_cascade(folder) else kinds[kind_of(read_settings(folder))[1]]
    build: Any = kind
    opened: Commands = build(folder, place, dtype, precision, runtime)
    opened.reading = remembered(folder, opened.model.settings.training)
    return opened


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"There is no device {name!r} here: {reason}") from error
    return device


def _only(given: dict[str, Any], known: Sequence[str], kind: str) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"--{name.replace('_', '-')} has no meaning for {kind}; leave it out.")
