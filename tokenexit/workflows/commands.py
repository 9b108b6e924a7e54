"""What the console script does with a model folder, for each kind of model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.search import Calibration
from tokenexit.calibration.texts import calibrate_texts
from tokenexit.data.pairs import read_pairs
from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError
from tokenexit.evaluation.bench import BenchResult, bench
from tokenexit.evaluation.bench_texts import TextBenchResult, bench_texts
from tokenexit.evaluation.evaluate import Result, evaluate
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.evaluation.processes import state
from tokenexit.models.cascade import CascadeForSequenceClassification
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.persistence import is_cascade, kind_of, read_settings, resolve
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.token_classification import ExitModelForTokenClassification
from tokenexit.policies import Policy

BLOCK = 1024  # texts predicted before the first of them is written


class Commands(ABC):
    """A loaded model with the data it understands."""

    model: Any

    @abstractmethod
    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """Splits of a data set; without ``labels``, of texts that need not have any."""

    @abstractmethod
    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        """Measure a policy."""

    @abstractmethod
    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Policy | None, size: int
    ) -> Calibration:
        """Choose a policy."""

    @abstractmethod
    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult | TextBenchResult:
        """Time a policy."""

    @abstractmethod
    def predict(
        self, lines: Sequence[str], policy: Policy | None, size: int
    ) -> Iterator[dict[str, Any]]:
        """Results for lines of text, in order."""

    def split(self, data: str, name: str, labels: bool = True, /, **options: Any) -> Any:
        """One split of a data set.

        Raises:
            UserError: There is no such split, or an option of another kind of model.
        """
        given = {k: v for k, v in options.items() if v is not None}
        splits = self.read(data, given, labels)
        if name not in splits:
            if set(splits) == {"all"}:
                return splits["all"]
            raise UserError(
                f"{data} has no split {name!r}; it has {', '.join(splits)}. Choose one with "
                "--split."
            )
        return splits[name]


class _Tagger(Commands):
    model: EncoderModel | CascadeForSequenceClassification

    def __init__(self, source: Path) -> None:
        self.model = ExitModelForTokenClassification.from_pretrained(source).to(state().device)

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        _only(options, ("column",), "taggers")
        usual = f"{self.model.settings.task}_tags" if labels else None
        return read_tagged(data, options.get("column", usual))

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        given = {k: v for k, v in options.items() if v is not None}
        _only(given, ("batch_size", "decode", "on_unknown"), "taggers")
        return evaluate(self.model, split, name, policy, **given)[0]

    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Policy | None, size: int
    ) -> Calibration:
        families = None if family is None else [family]
        return calibrate(self.model, split, config, name=name, families=families, batch_size=size)

    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult:
        given = {k: v for k, v in options.items() if v is not None}
        _only(given, ("batch_size", "repeats"), "taggers")
        return bench(self.model, split.tokens[:limit], policy or self.model.policy, **given)

    def predict(
        self, lines: Sequence[str], policy: Policy | None, size: int
    ) -> Iterator[dict[str, Any]]:
        for start in range(0, len(lines), BLOCK):
            part = lines[start : start + BLOCK]
            for one in self.model.predict(part, policy=policy, batch_size=size):
                yield one.to_dict()


class _Classifier(_Tagger):
    def __init__(self, source: Path) -> None:
        self.model = ExitModelForSequenceClassification.from_pretrained(source).to(state().device)

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        _only(options, ("column",), "text classifiers")
        return read_texts(
            data,
            column=options.get("column"),
            label_column="label" if labels else None,
            regression=self.model.settings.task == "regression",
        )


class _Cascade(_Classifier):
    def __init__(self, source: Path) -> None:
        self.model = CascadeForSequenceClassification.from_pretrained(source).to(state().device)


class _Generator(Commands):
    def __init__(self, source: Path) -> None:
        self.model = ExitModelForSeq2SeqLM.from_pretrained(source).to(state().device)

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        _only(options, ("lang",), "text generators")
        return read_pairs(data, lang=options.get("lang"), sources_only=not labels)

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        given = {k: v for k, v in options.items() if v is not None}
        given.pop("on_unknown", None)
        _only(given, ("batch_size", "pending"), "text generators")
        return evaluate_texts(self.model, split, name, policy, oracle=True, **given)[0]

    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Policy | None, size: int
    ) -> Calibration:
        families = None if family is None else [family]
        return calibrate_texts(
            self.model, split, config, name=name, families=families, batch_size=size
        )

    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> TextBenchResult:
        given = {k: v for k, v in options.items() if v is not None}
        _only(given, ("batch_size", "repeats", "pending"), "text generators")
        chosen = policy or self.model.policy
        return bench_texts(self.model, split.sources[:limit], chosen, **given)

    def predict(
        self, lines: Sequence[str], policy: Policy | None, size: int
    ) -> Iterator[dict[str, Any]]:
        for start in range(0, len(lines), BLOCK):
            part = lines[start : start + BLOCK]
            for one in self.model.predict(part, policy=policy, batch_size=size):
                yield one.to_dict()


def open_model(source: str) -> Commands:
    """Load a model folder of either kind.

    Raises:
        UserError: It is none.
    """
    folder = resolve(source)
    if is_cascade(folder):
        return _Cascade(folder)
    kinds: dict[str, type[Commands]] = {
        "ExitModelForTokenClassification": _Tagger,
        "ExitModelForSequenceClassification": _Classifier,
        "ExitModelForSeq2SeqLM": _Generator,
    }
    _, loader = kind_of(read_settings(folder))
    opened: Any = kinds[loader]
    return opened(folder)


def _only(given: dict[str, Any], known: Sequence[str], kind: str) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"--{name.replace('_', '-')} has no meaning for {kind}; leave it out.")
