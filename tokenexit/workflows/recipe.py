"""What a comparison asks of the recipes, by what leaves: texts, words or generated tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit
from tokenexit.decoding import plain_decode_macs
from tokenexit.evaluation.evaluate import Result, evaluate
from tokenexit.evaluation.generation import evaluate_texts, trace_texts
from tokenexit.halting.cost import plain_macs
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.seq2seq import read_pair_splits, run_seq2seq, training_pairs
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig
from tokenexit.workflows.tagging import read_splits, run_tagging

Measure = Callable[[Policy], Result]


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


class Recipe(ABC):
    """A recipe seen from a comparison; the same five things whatever it trains.

    Attributes:
        tasks: What it can be asked for, the usual one first.
        schema: Its configuration.
        of_words: Whether its tokenizer gets words.
        usual_model: What a comparison starts from when it is not told.
    """

    tasks: ClassVar[tuple[str, ...]]
    schema: ClassVar[type[Any]]
    of_words: ClassVar[bool] = False
    usual_model: ClassVar[str] = "bert-base-uncased"

    @abstractmethod
    def run(self, config: Any) -> Path:
        """Train, calibrate, evaluate and report."""

    @abstractmethod
    def read(self, config: Any, folder: Path) -> dict[str, Any]:
        """The splits of a run."""

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


class _OfEncoder(Recipe):
    def run(self, config: Any) -> Path:
        return run_tagging(config)

    def read(self, config: Any, folder: Path) -> dict[str, TaggedSplit]:
        return read_splits(config, folder)

    def whole(self, model: Any, split: TaggedSplit) -> Whole:
        # Of a cascade the last model is the whole network.
        network = model if isinstance(model, EncoderModel) else model.stages[-1]
        lengths = [len(piece.sentence.input_ids) for piece in network.encoder.encode(split.tokens)]
        costs = plain_macs(network.backbone, lengths, batches=len(lengths))
        return Whole(network.backbone.num_layers, costs, model.uniform_depth)

    def guess(self, train: TaggedSplit, test: TaggedSplit, metric: str) -> float:
        """That of the commonest class of the training split as the answer.

        Anything but an accuracy counts entities, of which such answers have none.
        """
        if metric != "accuracy":
            return 0.0
        common = Counter(tag for tags in train.tags or [] for tag in tags).most_common(1)[0][0]
        answers = [tag == common for tags in test.tags or [] for tag in tags]
        return sum(answers) / len(answers)

    def measuring(
        self, model: Any, split: TaggedSplit, known: Mapping[str, Any], size: int
    ) -> Measure:
        return lambda policy: evaluate(
            model, split, known["split"], policy,
            full_depth=known["quality_full_depth"], batch_size=size, on_unknown=None,
        )[0]  # fmt: skip


class _OfTexts(_OfEncoder):
    tasks = ("classification",)
    schema = ClassificationConfig


class _OfWords(_OfEncoder):
    tasks = ("ner", "pos")
    schema = TaggingConfig
    of_words = True


class _OfGenerator(Recipe):
    tasks = ("translation", "data_to_text", "summarization")
    schema = Seq2SeqConfig
    usual_model = "google-t5/t5-small"

    def run(self, config: Any) -> Path:
        return run_seq2seq(config)

    def read(self, config: Any, folder: Path) -> dict[str, PairSplit]:
        return read_pair_splits(config, folder)

    def whole(self, model: ExitModelForSeq2SeqLM, split: PairSplit) -> Whole:
        pairs = training_pairs(model, split)
        lengths = [len(p.input_ids) for p in pairs], [len(p.targets) for p in pairs]
        return Whole(model.decoder.num_layers, plain_decode_macs(model.decoder, *lengths))

    def guess(self, train: PairSplit, test: PairSplit, metric: str) -> float:
        """No text shares anything with what was never written."""
        return 0.0

    def measuring(
        self, model: ExitModelForSeq2SeqLM, split: PairSplit, known: Mapping[str, Any], size: int
    ) -> Measure:
        full = cache(lambda: trace_texts(model, split, Never(), batch_size=size))
        return lambda policy: evaluate_texts(
            model, split, known["split"], policy, full=full(), batch_size=size
        )[0]


RECIPES: dict[str, Recipe] = {"sentence": _OfTexts(), "token": _OfWords(), "step": _OfGenerator()}
"""By the level at which a method leaves."""
