"""What recipes for words and for texts share: each row gets a label or a number."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tokenexit.backbones import adapt
from tokenexit.calibration.goal import check_goals
from tokenexit.context import ContextGate
from tokenexit.data.tagged import TaggedSplit
from tokenexit.embeddings import first_exit, looks_up
from tokenexit.errors import UserError
from tokenexit.evaluation.curve import CurveRow, Keep, trace_curve
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.evaluation.exits import exit_quality
from tokenexit.evaluation.oracle_words import oracle_words
from tokenexit.halting import Sentence
from tokenexit.halting.cost import plain_macs
from tokenexit.heads import check_exit_layers
from tokenexit.models.encoders.classifier import for_training
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.ngram_table import make_table
from tokenexit.models.encoders.selected import check_selected
from tokenexit.models.folders import load_network, load_tokenizer
from tokenexit.models.fresh.encoder import fresh_encoder, train_tokenizer
from tokenexit.models.fresh.truncate import keep_layers
from tokenexit.policies import Policy
from tokenexit.policies.base import walk
from tokenexit.tasks import LabelledTask, labelled_task
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.training.fit import fit_heads
from tokenexit.training.fit_gate import fit_gate, gate_config
from tokenexit.widths import Widths
from tokenexit.workflows.folder import Demo, generated
from tokenexit.workflows.recipes.base import Measure, Measured, Recipe, TrainingData, Values, Whole
from tokenexit.workflows.recipes.counted import counted_reducer
from tokenexit.workflows.selection import uses_of


class LabelRecipe(Recipe):
    """A recipe whose rows get a label or a number each."""

    @property
    def task(self) -> LabelledTask:
        """What is learned."""
        return labelled_task(self.config.task)

    # --- before ----------------------------------------------------------------------------

    def check_policies(self, policies: Sequence[Policy]) -> None:
        """See ``Recipe``."""
        for policy in policies:
            if any(part.needs_target for part in walk(policy)):
                raise UserError(f"{policy!r} looks at gold labels; it serves analysis only.")

    def check(self) -> None:
        """See ``Recipe``."""
        check_goals(self.config.calibrate, self.config.task, self.config.metric)
        if self.config.ngram_table is not None and not looks_up(self.config.embeddings):
            raise UserError(
                "ngram_table is for models that look states up: set embeddings.name=ngram as well, "
                "or leave it out."
            )

    @abstractmethod
    def read_source(self, source: str) -> dict[str, Any]:
        """Every split of a data set, a validation split among them."""

    def read(self, folder: Path, demo: Demo | None = None) -> dict[str, Any]:
        """See ``Recipe``."""
        config = self.config
        splits = self.read_source(config.data or generated(folder, config.task, demo))
        if config.train_on is not None:
            splits["train"] = splits["train"].sample(config.train_on)
        self.task.check_known(splits, self.labels(splits["train"]))
        for name, count in (("validation", config.validate_on), ("test", config.test_on)):
            if count is not None and name in splits:
                splits[name] = splits[name].sample(count)
        return splits

    @abstractmethod
    def labels(self, split: Any) -> tuple[str, ...]:
        """Names of the classes of a training split."""

    @abstractmethod
    def vocabulary_of(self, split: Any) -> list[list[str]]:
        """Words that a fresh tokenizer is trained on."""

    @abstractmethod
    def with_exits(
        self, network: Any, tokenizer: Any, labels: tuple[str, ...], split: Any, **exits: Any
    ) -> EncoderModel:
        """The model of a network."""

    auto: Any
    """The class of transformers that loads its networks."""

    def build(self, split: Any) -> EncoderModel:
        """The model that a run starts from: a checkpoint, or a fresh one with its tokenizer."""
        config, labels = self.config, self.labels(split)
        if isinstance(config.model, Mapping):
            description = dict(config.model)
            vocabulary = description.pop("vocab_size", 4000)
            lowercase = description.pop("lowercase", False)
            tokenizer = train_tokenizer(self.vocabulary_of(split), vocabulary, lowercase)
            network = fresh_encoder(description, tokenizer, len(labels))
        else:
            tokenizer = load_tokenizer(config.model, split_words=self.of_words)
            network = load_network(
                config.model,
                self.auto,
                num_labels=len(labels),
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
            )
            network = for_training(network, labels)
        if config.keep_layers is not None:
            network = keep_layers(network, config.keep_layers)
        depth = adapt(network).num_layers
        lowest = first_exit(config.embeddings, depth)
        layers = check_exit_layers(config.exit_layers, depth, lowest)
        exits = {"exit_layers": layers, "heads": config.heads}
        return self.with_exits(network, tokenizer, labels, split, **exits)

    @abstractmethod
    def wording(self, split: Any, labels: tuple[str, ...]) -> dict[str, Any]:
        """Settings of how raw text is read and labels are chosen."""

    def configure(self, model: EncoderModel, split: Any) -> None:
        """See ``Recipe``."""
        told = self.wording(split, model.labels)
        model.configure(halted=self.config.halted, metric=self.config.metric, **told)
        model.use_reducer(counted_reducer(model, self.config.reducer, split))
        model.use_embeddings(self.config.embeddings)
        model.use_widths(self.config.widths)
        if model.heads.selectors is not None:  # said before they are trained
            device = "cuda" if torch.cuda.is_available() else "cpu"
            check_selected(Widths(selected=0.5), self.config.precision, device, static=False)

    @abstractmethod
    def few(self, text: Sequence[str]) -> Sequence[str]:
        """As much of a text as is enough to try a policy."""

    def dry_run(self, model: EncoderModel, split: Any, policies: Sequence[Policy]) -> None:
        """See ``Recipe``."""
        text = next(words for words in split.tokens if words)
        for policy in self.asking(model, policies):
            model.trace([self.few(text)], policy=policy, batch_size=self.config.batch_size)

    def describe(self, model: EncoderModel) -> str:
        """See ``Recipe``."""
        return f"{len(self.task.listed(model.labels))} labels; {model.backbone.num_layers} layers"

    # --- training --------------------------------------------------------------------------

    def uses(self, model: EncoderModel) -> list[str]:
        """See ``Recipe``."""
        return uses_of(self.config.train, model.heads)

    def training_data(
        self, model: EncoderModel, splits: Mapping[str, Any], choosing: Any
    ) -> TrainingData:
        """See ``Recipe``."""

        def labelled(split: TaggedSplit) -> list[Sentence]:
            numbers = class_numbers(split, model.labels)
            windows = model.with_depths(model.encoder.encode(split.tokens, numbers))
            return training_sentences(windows)

        return TrainingData(
            labelled(splits["train"]), partial(self.graded, choosing), held_out=labelled(choosing)
        )

    def graded(self, split: TaggedSplit, model: EncoderModel) -> dict[str, Any]:
        """Quality by which the best weights are chosen: that of the top, beside all exits'.

        Where the top is done before the exits are, training takes the mean over exits.
        """
        return exit_quality(model, split, self.config.batch_size)

    def fit_heads(self, model: EncoderModel, data: TrainingData) -> None:
        """See ``Recipe``."""
        sentences = {"train": data.examples, "validation": data.held_out}
        fit_heads(model, sentences, self.config.batch_size)
        if self.config.ngram_table is not None:
            model.use_table(make_table(model, data.examples, self.config.ngram_table))

    def check_gate(self, model: EncoderModel) -> None:
        """See ``Recipe``."""
        gate_config(model, self.config.context_gate)

    def fit_gate(self, model: EncoderModel, split: Any, **settings: Any) -> ContextGate:
        """See ``Recipe``."""
        return fit_gate(model, split.tokens, class_numbers(split, model.labels), **settings)

    # --- after -----------------------------------------------------------------------------

    def decide(self, model: Any, split: Any) -> None:
        """See ``Recipe``; the best score decides."""

    def measure(self, model: Any, split: Any, name: str) -> Measured:
        """See ``Recipe``."""
        size = self.config.batch_size
        oracle = oracle_words(model, split, size) if self.task.countable else None
        result, trace = evaluate(
            model, split, name, oracle=oracle or False, batch_size=size, on_unknown="keep"
        )

        def save(path: Path) -> None:
            trace.save(path, split.words, oracle.columns(trace) if oracle else None)

        return Measured(result, save)

    def curve(
        self, model: Any, split: Any, last: Measured, values: Values, keep: Keep | None = None
    ) -> list[CurveRow]:
        """See ``Recipe``."""
        return trace_curve(
            model,
            split,
            last.result.split,
            model.policy,
            values,
            batch_size=self.config.batch_size,
            on_unknown=None,  # said before
            keep=keep,
        )

    # --- comparisons -----------------------------------------------------------------------

    def whole(self, model: Any, split: TaggedSplit) -> Whole:
        """See ``Recipe``."""
        network = model.last_stage
        lengths = [
            len(window.sentence.input_ids) for window in network.encoder.encode(split.tokens)
        ]
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
        """See ``Recipe``."""
        return lambda policy: evaluate(
            model, split, known["split"], policy,
            full_depth=known["quality_full_depth"], batch_size=size, on_unknown=None,
        )[0]  # fmt: skip


def training_sentences(windows: Any) -> list[Sentence]:
    """Windows as training examples; a word is learned only where its window answers for it.

    Labels that the model does not know, whose numbers lie below -100, are not learned.
    """
    sentences = []
    for window in windows:
        start, end = (place - window.first for place in window.keep)
        targets = [
            max(target, -100) if start <= place < end else -100
            for place, target in enumerate(window.sentence.targets)
        ]
        sentences.append(replace(window.sentence, targets=targets))
    return sentences
