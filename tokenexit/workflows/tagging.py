"""A run of a tagger or text classifier from data to report: what the recipes do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from tokenexit.calibration.goal import check_family, check_goals
from tokenexit.context import ContextGate
from tokenexit.data.tagged import (
    TaggedSplit,
    label_names,
    read_tagged,
    with_validation,
)
from tokenexit.data.texts import UNLABELLED, ScoredSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.exits import exit_quality
from tokenexit.halting import Sentence
from tokenexit.models.classifier import for_training
from tokenexit.models.crf import TagCRF
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.persistence import load_network, load_tokenizer
from tokenexit.models.scale import VALUE, Scale
from tokenexit.models.scratch import fresh_encoder, train_tokenizer
from tokenexit.models.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.token_classification import ExitModelForTokenClassification
from tokenexit.models.truncate import keep_layers
from tokenexit.models.words import split_words
from tokenexit.objectives import OBJECTIVES
from tokenexit.policies import Policy, from_config
from tokenexit.policies.base import walk
from tokenexit.policies.context_gate import ContextGate as AsksGate
from tokenexit.registry import load_plugin
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.training import make_accelerator, train
from tokenexit.training.fit import fit_heads
from tokenexit.training.fit_gate import fit_gate, gate_config
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.folder import Demo, begin, generated, run_folder
from tokenexit.workflows.results import finish
from tokenexit.workflows.same_run import with_whole_paths
from tokenexit.workflows.seeds import run_seeds
from tokenexit.workflows.selection import selection, uses_of
from tokenexit.workflows.speaking import logger, quiet
from tokenexit.workflows.texts import check_regression_run, read_text_splits
from tokenexit.workflows.wording import check_wording, wording

Splits = dict[str, TaggedSplit]
AnyConfig = TaggingConfig | ClassificationConfig


def run_tagging(
    config: TaggingConfig | ClassificationConfig,
    demo: Demo | None = None,
) -> Path:
    """Train, calibrate, evaluate and report.

    Args:
        config: The run.
        demo: Writes generated data for a task into a folder; used when no data is given.

    Returns:
        The run folder.

    Raises:
        UserError: Anything wrong with the configuration, the data or the model.
    """
    if config.seeds:
        return run_seeds(config, lambda one: run_tagging(one, demo))
    if isinstance(config, ClassificationConfig) and config.stages and not config.regression:
        from tokenexit.workflows.cascade import run_cascade  # it runs each stage by this function

        return run_cascade(config, demo)
    config = with_whole_paths(config)
    policy, families = prepare(config)
    labelled_task(config.task).check_metric(config.metric)
    check_goals(config.calibrate, config.task, config.metric)
    if isinstance(config, ClassificationConfig) and config.regression:
        check_regression_run(config)
    if config.calibrate.risk is not None and config.decode == "crf":
        raise UserError(
            "calibrate.risk cannot promise what decode=crf will say, since a CRF is learned after "
            "the policy is chosen. Use decode=legal or argmax, or leave calibrate.risk out and "
            "give the finished model to `tokenexit calibrate --risk`."
        )
    accelerator = make_accelerator(config.train, Path(config.output_dir))
    quiet(accelerator)
    with run_folder(config, accelerator.is_main_process):
        return _run(config, policy, families, accelerator, demo)


def _run(
    config: AnyConfig,
    policy: Policy | None,
    families: list[Policy],
    accelerator: Accelerator,
    demo: Demo | None,
) -> Path:
    """The run in a folder that is its own; nothing is written there before all is checked."""
    run = Path(config.output_dir)
    with accelerator.main_process_first():
        splits = read_splits(config, run, demo if accelerator.is_main_process else None)
    set_seed(config.seed)
    model = build_model(config, splits["train"])
    told = wording(config, splits["train"], model.labels)
    model.configure(halted=config.halted, metric=config.metric, **told)
    _rehearse(config, model, splits["train"], [*families, *([policy] if policy else [])])
    say = logger.info if accelerator.is_main_process else logger.debug
    if config.data is None:
        say("No data was given, so this is a trial on generated data.")
    say("%s", _describe(splits, model, accelerator))
    held = selection(splits["validation"], config.calibrate, uses_of(config.train, model.heads))
    sentences = {"train": _labelled(model, splits["train"])}
    sentences["validation"] = _labelled(model, held.choosing)
    begin(config, accelerator)
    state = train(
        model,
        sentences["train"],
        config.train,
        accelerator=accelerator,
        folder=run,
        seed=config.seed,
        resume=config.resume,
        evaluate=lambda trained: _graded(config, trained, held.choosing),
        chosen_on=len(held.choosing),
    )
    fit_heads(model, sentences, config.batch_size)
    model.use(config.precision)
    if config.context_gate.fit:
        model.use_context(fitted_gate(config, model, splits["train"]))
    finish(config, model, splits, run, policy, accelerator, held.after(state.chosen_on))
    accelerator.wait_for_everyone()
    if config.train.trackers:
        accelerator.end_training()
    return run


def fitted_gate(config: AnyConfig, model: EncoderModel, split: TaggedSplit) -> ContextGate:
    """A context gate for the trained model, so that calibration tries it."""
    asked = config.context_gate
    settings = {one.name: getattr(asked, one.name) for one in fields(asked) if one.name != "fit"}
    told = {"batch_size": config.batch_size, "seed": config.seed, **settings}
    return fit_gate(model, split.tokens, class_numbers(split, model.labels), **told)


def prepare(config: AnyConfig) -> tuple[Policy | None, list[Policy]]:
    """Load plugins, set threads, and read the policy and the families to calibrate.

    Raises:
        UserError: An unknown policy, or one that cannot be used so.
    """
    for plugin in config.plugins:
        load_plugin(plugin)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    policy = from_config(config.policy) if config.policy else None
    if policy is not None and any(part.needs_target for part in walk(policy)):
        raise UserError(f"{policy!r} looks at gold labels; it serves analysis only.")
    check_wording(config)
    families = [from_config(family) for family in config.calibrate.policies]
    for family in families:
        check_family(family)
    return policy, families


def build_model(config: AnyConfig, train_split: TaggedSplit) -> EncoderModel:
    """The model that a run starts from: a checkpoint, or a fresh one with its tokenizer."""
    labels = _labels(config, train_split)
    texts = isinstance(config, ClassificationConfig)
    scale = Scale.of(train_split) if isinstance(train_split, ScoredSplit) else None
    kind = AutoModelForSequenceClassification if texts else AutoModelForTokenClassification
    if isinstance(config.model, Mapping):
        description = dict(config.model)
        vocabulary = description.pop("vocab_size", 4000)
        lowercase = description.pop("lowercase", False)
        words = [split_words(text)[0] for text in train_split.words] if texts else None
        tokenizer = train_tokenizer(words or train_split.tokens, vocabulary, lowercase)
        network = fresh_encoder(description, tokenizer, len(labels))
    else:
        tokenizer = load_tokenizer(config.model, split_words=not texts)
        network = load_network(
            config.model,
            kind,
            num_labels=len(labels),
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
        )
        network = for_training(network, labels)
    if config.keep_layers is not None:
        network = keep_layers(network, config.keep_layers)
    exits: dict[str, Any] = {"exit_layers": config.exit_layers, "heads": config.heads}
    if texts:
        return ExitModelForSequenceClassification.from_transformers(
            network, tokenizer, labels, **exits, scale=scale
        )
    return ExitModelForTokenClassification.from_transformers(
        network, tokenizer, labels, task=config.task, **exits
    )


def _labels(config: AnyConfig, split: TaggedSplit) -> tuple[str, ...]:
    if isinstance(config, ClassificationConfig):
        if config.regression:
            return (VALUE,)
        known = {label for labels in split.tags or [] for label in labels} - {UNLABELLED}
        return tuple(sorted(known))
    return label_names(split, config.tag_column)


def _labelled(model: EncoderModel, split: TaggedSplit) -> list[Sentence]:
    return training_sentences(
        model.encoder.encode(split.tokens, class_numbers(split, model.labels))
    )


def training_sentences(pieces: Any) -> list[Sentence]:
    """Pieces as training examples; a word is learned only where its piece answers for it."""
    sentences = []
    for piece in pieces:
        start, end = (place - piece.first for place in piece.keep)
        targets = [
            target if start <= place < end else -100
            for place, target in enumerate(piece.sentence.targets)
        ]
        sentences.append(replace(piece.sentence, targets=targets))
    return sentences


def _rehearse(
    config: AnyConfig,
    model: EncoderModel,
    split: TaggedSplit,
    policies: Sequence[Policy],
) -> None:
    """Tag one text before training, so that no mistake in the settings shows only after it."""
    if config.decode == "crf":
        TagCRF(len(model.labels))
    text = next(words for words in split.tokens if words)
    few = text if isinstance(config, ClassificationConfig) else text[:8]
    if config.context_gate.fit:
        gate_config(model, config.context_gate)  # there is none to ask yet
        policies = [p for p in policies if not any(isinstance(q, AsksGate) for q in walk(p))]
    for policy in policies or [model.policy]:
        model.tag([few], policy=policy, batch_size=config.batch_size)


def _graded(config: AnyConfig, model: EncoderModel, split: TaggedSplit) -> dict[str, Any]:
    """Quality by which the best weights are chosen: that of the top.

    Where training has stages, the top is done before the exits are; there it is the mean over
    exits.
    """
    found = exit_quality(model, split, config.batch_size)
    if OBJECTIVES.get(str(config.train.objective["name"])).staged:
        found["quality"] = sum(found["by_exit"]) / len(found["by_exit"])
    return found


def read_splits(config: AnyConfig, run: Path, demo: Demo | None = None) -> Splits:
    """The data of a run, with a validation split, or generated data in the run folder."""
    source = config.data or generated(run, config.task, demo)
    splits: Splits
    if isinstance(config, ClassificationConfig):
        splits = read_text_splits(config, source)
    else:
        found = read_tagged(
            source, config.tag_column, name=config.data_name, convert=config.convert_tags
        )
        splits = with_validation(found, seed=config.seed)
    if config.train_on is not None:
        splits["train"] = splits["train"].sample(config.train_on)
    task = labelled_task(config.task)
    task.check_known(splits, _labels(config, splits["train"]))
    for name, count in (("validation", config.validate_on), ("test", config.test_on)):
        if count is not None and name in splits:
            splits[name] = splits[name].sample(count)
    return splits


def _describe(splits: Splits, model: Any, accelerator: Accelerator) -> str:
    sizes = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    return (
        f"{sizes} sentences; {len(model.labels)} labels; {model.backbone.num_layers} layers with "
        f"exits at {list(model.settings.exit_layers)}; {accelerator.num_processes} process(es) "
        f"on {accelerator.device}"
    )
