"""The recipes for text generation: translation, data to text, summarisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

from tokenexit.context import ContextGate
from tokenexit.data.groups import with_groups
from tokenexit.data.pairs import PairSplit, read_pairs
from tokenexit.decoding import DRY_RUN, check_settings, plain_decode_macs
from tokenexit.decoding.source_exits import check_source_policy
from tokenexit.errors import UserError
from tokenexit.evaluation.curve import CurveRow, Keep, measured_curve
from tokenexit.evaluation.generation import evaluate_texts, trace_texts
from tokenexit.evaluation.oracle_tokens import oracle_exits
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.evaluation.text_metrics import check_parts
from tokenexit.metrics import build_metric
from tokenexit.models.generation.generate import check_generator_policy
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy, from_config
from tokenexit.policies.never import Never
from tokenexit.tasks import Unit, generation_task
from tokenexit.tasks.generation import Generation
from tokenexit.training.fit_gate_texts import fit_gate_texts, step_config
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule
from tokenexit.workflows.folder import Demo, generated
from tokenexit.workflows.recipes.base import Measure, Measured, Recipe, TrainingData, Values, Whole
from tokenexit.workflows.recipes.generators import (
    build_generator,
    usual_prefixes,
    with_embedding_rate,
)
from tokenexit.workflows.recipes.pairs import training_pairs
from tokenexit.workflows.recipes.presets import DEMO_OF_GENERATION, GENERATION
from tokenexit.workflows.selection import uses_of
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig


class GenerationRecipe(Recipe):
    """A text is written for each source."""

    unit: ClassVar[Unit] = "token"
    demo_settings: ClassVar[Mapping[str, Any]] = DEMO_OF_GENERATION
    schema: ClassVar[type[Any]] = Seq2SeqConfig
    usual_model: ClassVar[str] = "google-t5/t5-small"

    @classmethod
    def usual(cls, task: str) -> Mapping[str, Any]:
        """See ``Recipe``."""
        return GENERATION.get(task, {})

    @classmethod
    def demo_of_methods(cls) -> dict[str, Any]:
        """See ``Recipe``; the objective is what methods differ in."""
        told = DEMO_OF_GENERATION
        train = {key: value for key, value in told["train"].items() if key != "objective"}
        return {
            "model": told["model"],
            "train": train,
            "calibrate": {"limit": 100},
            "recipe": {"generation": told["generation"]},
        }

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__(config)
        self.config = with_embedding_rate(self.config)

    @property
    def task(self) -> Generation:
        """What is learned."""
        return generation_task(self.config.task)

    # --- before ----------------------------------------------------------------------------

    def check_policies(self, policies: Sequence[Policy]) -> None:
        """See ``Recipe``."""
        for policy in policies:
            check_generator_policy(policy)

    def check(self) -> None:
        """See ``Recipe``."""
        config = self.config
        if config.encoder_policy:
            check_source_policy(from_config(config.encoder_policy))
        check_settings(config.generation, plain=True)
        if config.calibrate.confidence is not None and not config.calibrate.promises_quality:
            check_parts(build_metric(config.metric or self.task.metric, "texts"))

    def read(self, folder: Path, demo: Demo | None = None) -> dict[str, PairSplit]:
        """See ``Recipe``."""
        config = self.config
        source = config.data or generated(folder, config.task, demo)
        splits = read_pairs(
            source,
            lang=config.lang,
            source_column=config.source_column,
            target_column=config.target_column,
            name=config.data_name,
        )
        splits = with_groups(splits, source, config.group_column, config.data_name)
        for needed in ("train", "validation"):
            if needed not in splits:
                raise UserError(
                    f"{source} has no {needed} split; it has {', '.join(splits)}. Give a folder "
                    "with files named train, validation and test."
                )
        for name, count in (("train", config.train_on), ("test", config.test_on)):
            if count is not None and name in splits:
                splits[name] = splits[name].sample(count)
        return splits

    def build(self, split: PairSplit) -> ExitModelForSeq2SeqLM:
        """See ``Recipe``."""
        return build_generator(self.config, split)

    def configure(self, model: ExitModelForSeq2SeqLM, split: PairSplit) -> None:
        """See ``Recipe``."""
        config = self.config
        own: Any = model.network.generation_config
        check_settings(config.generation, own, vocab_size=model.decoder.vocab_size, plain=True)
        model.configure(
            metric=config.metric,
            pending=config.pending,
            generation=config.generation,
            source_prefix=config.source_prefix,
        )
        if config.encoder_policy:
            model.configure(encoder_policy=from_config(config.encoder_policy))

    def dry_run(
        self, model: ExitModelForSeq2SeqLM, split: PairSplit, policies: Sequence[Policy]
    ) -> None:
        """Generate a token."""
        told = {**self.config.generation, **DRY_RUN}
        for policy in self.asking(model, policies):
            model.predict(split.sources[:1], policy=policy, **told)

    def describe(self, model: ExitModelForSeq2SeqLM) -> str:
        """See ``Recipe``."""
        sizes = model.decoder
        return f"{sizes.vocab_size} vocabulary entries; {sizes.num_layers} decoder layers"

    def hint(self, model: ExitModelForSeq2SeqLM) -> str:
        """What stands before sources as the checkpoint was trained, where nothing was said."""
        usual = usual_prefixes(model)
        if not usual or self.config.source_prefix:
            return ""
        return f"The model knows sources by what stands before them ({usual}): see source_prefix."

    # --- training --------------------------------------------------------------------------

    def uses(self, model: ExitModelForSeq2SeqLM) -> list[str]:
        """See ``Recipe``."""
        return uses_of(self.config.train)

    def training_data(
        self, model: ExitModelForSeq2SeqLM, splits: Mapping[str, Any], choosing: PairSplit
    ) -> TrainingData:
        """See ``Recipe``."""
        config = self.config
        few = choosing.sample(config.validate_on)
        pairs = training_pairs(model, splits["train"], config.max_source, config.max_target)
        loss_module = partial(Seq2SeqLossModule, pad_to=config.train.pad_to)
        options = {"loss_module": loss_module, "bucket": True}
        return TrainingData(pairs, partial(self.graded, few), options)

    def graded(self, split: PairSplit, model: ExitModelForSeq2SeqLM) -> dict[str, Any]:
        """Quality by which the best weights are chosen: BLEU at full depth."""
        result, _ = evaluate_texts(
            model, split, "validation", Never(), batch_size=self.config.batch_size
        )
        bleu = result.figures.get("bleu", result.quality)
        return {"quality": bleu, "chrf": result.figures["chrf"]}

    def fit_heads(self, model: ExitModelForSeq2SeqLM, data: TrainingData) -> None:
        """Nothing: all exits share the vocabulary's head."""

    def check_gate(self, model: ExitModelForSeq2SeqLM) -> None:
        """See ``Recipe``."""
        step_config(model, self.config.context_gate)

    def fit_gate(
        self, model: ExitModelForSeq2SeqLM, split: PairSplit, **settings: Any
    ) -> ContextGate:
        """See ``Recipe``."""
        return fit_gate_texts(model, split.sources, **settings)

    # --- after -----------------------------------------------------------------------------

    def decide(self, model: ExitModelForSeq2SeqLM, split: PairSplit) -> None:
        """Nothing: tokens are chosen by the settings of generation."""

    def measure(self, model: ExitModelForSeq2SeqLM, split: PairSplit, name: str) -> Measured:
        """See ``Recipe``."""
        size = self.config.batch_size
        with in_full_precision(model):
            full, deep = evaluate_texts(model, split, name, Never(), batch_size=size)
        oracle = oracle_exits(model, split, deep, batch_size=size)
        also = [metric for metric in self.task.further() if metric != self.config.metric]
        result, trace = evaluate_texts(
            model, split, name, full=deep, batch_size=size, oracle=oracle, also=also
        )
        return Measured(result, lambda path: trace.save(path, split, deep, oracle), full, deep)

    def curve(
        self, model: Any, split: Any, last: Measured, values: Values, keep: Keep | None = None
    ) -> list[CurveRow]:
        """See ``Recipe``."""

        def run(policy: Policy) -> Any:
            name, size = last.result.split, self.config.batch_size
            return evaluate_texts(model, split, name, policy, full=last.deep, batch_size=size)

        assert last.full is not None
        full = run(Never()) if is_reduced(model) else (last.full, last.deep)
        return measured_curve(run, full, model.settings.exit_layers, model.policy, values, keep)

    # --- comparisons -----------------------------------------------------------------------

    def whole(self, model: ExitModelForSeq2SeqLM, split: PairSplit) -> Whole:
        """See ``Recipe``."""
        pairs = training_pairs(model, split)
        lengths = [len(p.input_ids) for p in pairs], [len(p.targets) for p in pairs]
        return Whole(model.decoder.num_layers, plain_decode_macs(model.decoder, *lengths))

    def guess(self, train: PairSplit, test: PairSplit, metric: str) -> float:
        """No text shares anything with what was never written."""
        return 0.0

    def measuring(
        self, model: ExitModelForSeq2SeqLM, split: PairSplit, known: Mapping[str, Any], size: int
    ) -> Measure:
        """See ``Recipe``."""
        full = cache(lambda: trace_texts(model, split, Never(), batch_size=size))
        return lambda policy: evaluate_texts(
            model, split, known["split"], policy, full=full(), batch_size=size
        )[0]
