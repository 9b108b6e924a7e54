"""A text-to-text run from data to report: what the recipes do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import AutoModelForSeq2SeqLM

from tokenexit.calibration.goal import check_family
from tokenexit.context import ContextGate
from tokenexit.data.pairs import PairSplit, read_pairs
from tokenexit.decoding import REHEARSAL, check_settings
from tokenexit.decoding.source_exits import check_source_policy
from tokenexit.decoding.teach import Pair
from tokenexit.errors import UserError
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.evaluation.text_metrics import check_parts
from tokenexit.metrics import build_metric
from tokenexit.models.generate import check_policy
from tokenexit.models.languages import begin_in, knows_languages, with_languages
from tokenexit.models.persistence import load_network, load_tokenizer
from tokenexit.models.scratch_seq2seq import (
    fresh_seq2seq,
    like_t5,
    train_subword_tokenizer,
)
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.text_ids import cut, special_ends
from tokenexit.models.texts import encode_texts
from tokenexit.policies import Policy, from_config
from tokenexit.policies.base import walk
from tokenexit.policies.context_gate import ContextGate as AsksGate
from tokenexit.policies.never import Never
from tokenexit.registry import load_plugin
from tokenexit.tasks import generation_task
from tokenexit.tasks.generation import Generation
from tokenexit.training import make_accelerator, train
from tokenexit.training.fit_gate_texts import fit_gate_texts, step_config
from tokenexit.training.lesson_seq2seq import Seq2SeqClassroom
from tokenexit.workflows.folder import Demo, begin, generated, run_folder
from tokenexit.workflows.same_run import with_whole_paths
from tokenexit.workflows.seeds import run_seeds
from tokenexit.workflows.selection import selection, uses_of
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig
from tokenexit.workflows.seq2seq_results import finish_texts
from tokenexit.workflows.speaking import logger, quiet

Splits = dict[str, PairSplit]

EMBEDDING_RATE = 20.0
"""Of a fresh T5's word embeddings, in rates of its network. After 200 and 400 steps of 128 pairs
of Tatoeba the validation loss stood at 4.8 and 4.4 in place of 5.5 and 5.2."""


def run_seq2seq(config: Seq2SeqConfig, demo: Demo | None = None) -> Path:
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
        return run_seeds(config, lambda one: run_seq2seq(one, demo))
    config = with_embedding_rate(with_whole_paths(config))
    for plugin in config.plugins:
        load_plugin(plugin)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    policy = from_config(config.policy) if config.policy else None
    families = [from_config(family) for family in config.calibrate.policies]
    for family in families:
        check_family(family)
    for chosen in [*families, *([policy] if policy else [])]:
        check_policy(chosen)
    if config.encoder_policy:
        check_source_policy(from_config(config.encoder_policy))
    check_settings(config.generation, plain=True)
    generation_task(config.task).check_metric(config.metric)
    if config.calibrate.confidence is not None:
        check_parts(build_metric(config.metric or Generation.metric, "texts"))
    accelerator = make_accelerator(config.train, Path(config.output_dir))
    quiet(accelerator)
    with run_folder(config, accelerator.is_main_process):
        return _run(config, policy, families, accelerator, demo)


def _run(
    config: Seq2SeqConfig,
    policy: Policy | None,
    families: list[Policy],
    accelerator: Accelerator,
    demo: Demo | None,
) -> Path:
    """The run in a folder that is its own; nothing is written there before all is checked."""
    run = Path(config.output_dir)
    with accelerator.main_process_first():
        splits = read_pair_splits(config, run, demo if accelerator.is_main_process else None)
    set_seed(config.seed)
    model = build_generator(config, splits["train"])
    model.configure(metric=config.metric)
    own: Any = model.network.generation_config
    check_settings(config.generation, own, vocab_size=model.decoder.vocab_size, plain=True)
    model.configure(pending=config.pending, generation=config.generation)
    model.configure(source_prefix=config.source_prefix)
    if config.encoder_policy:
        model.configure(encoder_policy=from_config(config.encoder_policy))
    _rehearse(config, model, splits["train"], [*families, *([policy] if policy else [])])
    say = logger.info if accelerator.is_main_process else logger.debug
    if config.data is None:
        say("No data was given, so this is a trial on generated data.")
    say("%s", _describe(splits, model, accelerator))
    usual = usual_prefixes(model)
    if usual and not config.source_prefix:
        say("The model knows sources by what stands before them (%s): see source_prefix.", usual)
    held = selection(splits["validation"], config.calibrate, uses_of(config.train))
    few = held.choosing.sample(config.validate_on)
    pairs = training_pairs(model, splits["train"], config.max_source, config.max_target)
    begin(config, accelerator)
    state = train(
        model,
        pairs,
        config.train,
        accelerator=accelerator,
        folder=run,
        seed=config.seed,
        resume=config.resume,
        evaluate=lambda trained: _graded(config, trained, few),
        chosen_on=len(held.choosing),
        classroom=partial(Seq2SeqClassroom, pad_to=config.train.pad_to),
        bucket=True,
    )
    model.use(config.precision)
    if config.context_gate.fit:
        model.use_context(fitted_gate(config, model, splits["train"]))
    finish_texts(config, model, splits, run, policy, accelerator, held.after(state.chosen_on))
    accelerator.wait_for_everyone()
    if config.train.trackers:
        accelerator.end_training()
    return run


def fitted_gate(
    config: Seq2SeqConfig, model: ExitModelForSeq2SeqLM, split: PairSplit
) -> ContextGate:
    """A context gate for the trained model, so that calibration tries it."""
    asked = config.context_gate
    settings = {one.name: getattr(asked, one.name) for one in fields(asked) if one.name != "fit"}
    told = {"batch_size": config.batch_size, "seed": config.seed, **settings}
    return fit_gate_texts(model, split.sources, **told)


def with_embedding_rate(config: Seq2SeqConfig) -> Seq2SeqConfig:
    """Let a fresh T5's word embeddings, drawn with deviation 1, keep up with its other weights.

    Adam moves every weight by about its rate, which is little to an entry of that size.
    """
    if config.train.embedding_lr is not None or not like_t5(config.model):
        return config
    rate = EMBEDDING_RATE * config.train.lr
    return replace(config, train=replace(config.train, embedding_lr=rate))


def build_generator(config: Seq2SeqConfig, train_split: PairSplit) -> ExitModelForSeq2SeqLM:
    """The model that a run starts from: a checkpoint, or a fresh one with its tokenizer."""
    if isinstance(config.model, Mapping):
        description = dict(config.model)
        vocabulary = description.pop("vocab_size", 4000)
        lowercase = description.pop("lowercase", False)
        texts = [*train_split.sources, *(train_split.targets or [])]
        tokenizer = train_subword_tokenizer(texts, vocabulary, lowercase)
        network = fresh_seq2seq(description, tokenizer)
    else:
        tokenizer = load_tokenizer(config.model, split_words=False)
        network = load_network(config.model, AutoModelForSeq2SeqLM, dtype=torch.float32)
    languages = spoken(config, tokenizer)
    if languages:
        tokenizer = with_languages(tokenizer, *languages)
        begin_in(network, tokenizer)
    model = ExitModelForSeq2SeqLM.from_transformers(
        network,
        tokenizer,
        exit_layers=config.exit_layers,
        gate=config.gate,
        depth=config.depth,
        task=config.task,
    )
    if languages:
        model.configure(source_lang=tokenizer.src_lang, target_lang=tokenizer.tgt_lang)
    return model


def spoken(config: Seq2SeqConfig, tokenizer: Any) -> tuple[str, str] | None:
    """Languages to set in a tokenizer, from and to; None where it marks none.

    Raises:
        UserError: It marks languages, and nobody says which.
    """
    lang = config.lang.split("-") if config.lang else [None, None]
    source, target = config.source_lang or lang[0], config.target_lang or lang[-1]
    if not knows_languages(tokenizer):
        if config.source_lang or config.target_lang:
            with_languages(tokenizer, str(source), str(target))  # says why not
        return None
    target = target or tokenizer.tgt_lang
    if not target:
        raise UserError(
            "The model reads and writes many languages: say which with lang=en-de, or with "
            "source_lang and target_lang."
        )
    return source or tokenizer.src_lang, target


def usual_prefixes(model: ExitModelForSeq2SeqLM) -> str:
    """What the configuration of a checkpoint says should stand before sources, task by task."""
    tasks = getattr(model.network.config, "task_specific_params", None)
    if not isinstance(tasks, Mapping):
        return ""
    told = [task.get("prefix") for task in tasks.values() if isinstance(task, Mapping)]
    return ", ".join(repr(prefix) for prefix in told if isinstance(prefix, str) and prefix)


def training_pairs(
    model: ExitModelForSeq2SeqLM, split: PairSplit, max_source: int = 512, max_target: int = 128
) -> list[Pair]:
    """Token ids of a split; special tokens stay where a text is cut.

    The decoder reads what the plain model makes of labels: its start token, and what it has
    written so far. mBART's is the last of the labels instead: a language, or the end token.
    """
    if split.targets is None:
        raise UserError(f"{split.origin} has no targets to train on.")
    wrapped = model.network.config.model_type == "mbart"
    start = None if wrapped else model.start_token
    most = min(max_target, model.decoder.max_length or max_target)
    sources = encode_texts(model, split.sources)
    targets: Any = model.tokenizer(text_target=split.targets, verbose=False)["input_ids"]
    of_source = special_ends(model.tokenizer)
    of_target = special_ends(model.tokenizer, target=True)
    pairs = []
    for source, target in zip(sources, targets, strict=True):
        source, target = cut(source, max_source, of_source), cut(target, most, of_target)
        first = target[-1] if start is None else start
        pairs.append(Pair(source, target, [first, *target[:-1]]))
    return pairs


def _rehearse(
    config: Seq2SeqConfig, model: ExitModelForSeq2SeqLM, split: PairSplit, policies: Sequence[Any]
) -> None:
    """Generate a token before training, so that no mistake in the settings shows only after it."""
    if config.context_gate.fit:
        step_config(model, config.context_gate)  # there is none to ask yet
        policies = [p for p in policies if not any(isinstance(q, AsksGate) for q in walk(p))]
    for policy in policies or [model.policy]:
        model.predict(split.sources[:1], policy=policy, **{**config.generation, **REHEARSAL})


def _graded(
    config: Seq2SeqConfig, model: ExitModelForSeq2SeqLM, split: PairSplit
) -> dict[str, Any]:
    """Quality by which the best weights are chosen: BLEU at full depth."""
    result, _ = evaluate_texts(model, split, "validation", Never(), batch_size=config.batch_size)
    bleu = result.figures.get("bleu", result.quality)
    return {"quality": bleu, "chrf": result.figures["chrf"]}


def read_pair_splits(config: Seq2SeqConfig, run: Path, demo: Demo | None = None) -> Splits:
    """The data of a run, or generated data in the run folder."""
    source = config.data or generated(run, config.task, demo)
    splits = read_pairs(
        source,
        lang=config.lang,
        source_column=config.source_column,
        target_column=config.target_column,
        name=config.data_name,
    )
    for needed in ("train", "validation"):
        if needed not in splits:
            raise UserError(
                f"{source} has no {needed} split; it has {', '.join(splits)}. Give a folder with "
                "files named train, validation and test."
            )
    for name, count in (("train", config.train_on), ("test", config.test_on)):
        if count is not None and name in splits:
            splits[name] = splits[name].sample(count)
    return splits


def _describe(splits: Splits, model: ExitModelForSeq2SeqLM, accelerator: Accelerator) -> str:
    sizes = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    return (
        f"{sizes} texts; {model.decoder.vocab_size} vocabulary entries; "
        f"{model.decoder.num_layers} decoder layers with exits at "
        f"{list(model.settings.exit_layers)}; {accelerator.num_processes} process(es) on "
        f"{accelerator.device}"
    )
