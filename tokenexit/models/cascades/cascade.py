"""A cascade of complete models: what a small one is not sure of, a larger one classifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelHubMixin
from torch import nn

from tokenexit.errors import UserError
from tokenexit.halting import Halted, Trace
from tokenexit.halting.cost import macs, plain_macs
from tokenexit.models.cascades import folder as cascade_folder
from tokenexit.models.cascades.compatibility import (
    check_stages,
    check_tokenizers,
    differences,
    label_columns,
)
from tokenexit.models.cascades.run import Reading, cascade_exits, run_cascade
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.exits import ExitTable
from tokenexit.models.inputs import Texts, read_parts
from tokenexit.models.predict_iter import Predicts
from tokenexit.models.sequences.sequence_classification import (
    ExitModelForSequenceClassification,
    answered,
    check_text_options,
)
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Policy, from_config
from tokenexit.policies.base import check_level


class CascadeForSequenceClassification(
    Predicts,
    nn.Module,
    ModelHubMixin,
    library_name="tokenexit",
    tags=["early-exit", "text-classification"],
):
    """Text classifiers that are asked one after the other, the cheapest first.

    The policies are those of exits, with a model in the place of a layer: a policy sees the texts
    that reached a model and says which of them are done; the next model gets the others, in fresh
    batches. So work TangoBERT (Mamou et al. 2022), E-LANG (Akbari et al. 2022), Model Cascading
    (Varshney and Baral 2022) and CascadeBERT (Li et al. 2021). Every model runs at full depth;
    exits that it has of its own are not used.

    Args:
        stages: Two or more models with the same labels, which may stand in another order.
        policy: Who is done after which model; nobody before the last when None.
        allow_different_tokenizers: Let each model read texts with a tokenizer of its own.

    Raises:
        UserError: Fewer than two models, or something else; other labels; tokenizers that differ;
            a policy that has no meaning for texts.
    """

    uniform_depth: ClassVar[bool] = False
    look_ahead = 16  # what one model lets pass is pooled for the next
    read = staticmethod(read_parts)

    def __init__(
        self,
        stages: Sequence[ExitModelForSequenceClassification],
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        allow_different_tokenizers: bool = False,
    ) -> None:
        super().__init__()
        check_stages(stages)
        self.columns = label_columns(stages)
        if not allow_different_tokenizers:
            check_tokenizers(stages)
        chosen = from_config("never" if policy is None else policy)
        check_level(chosen, "sentence")
        self.models = nn.ModuleList(stages)
        self.allow_different_tokenizers = allow_different_tokenizers
        self.settings = ExitSettings(
            labels=stages[-1].labels,
            exit_layers=tuple(range(1, len(stages) + 1)),
            heads={},
            task=stages[-1].settings.task,
            policy=chosen.to_config(),
        )
        last = stages[-1]
        self._alike = [
            _limit(stage) == _limit(last) and not [*differences(stage.tokenizer, last.tokenizer)]
            for stage in stages
        ]

    @property
    def stages(self) -> list[ExitModelForSequenceClassification]:
        """The models, the cheapest first."""
        return list(self.models)  # type: ignore[arg-type]

    @property
    def last_stage(self) -> ExitModelForSequenceClassification:
        """The model that decides in the end."""
        return self.stages[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the last model."""
        return self.settings.labels

    @property
    def policy(self) -> Policy:
        """The policy used when none is given."""
        return from_config(self.settings.policy)

    @property
    def device(self) -> torch.device:
        """Where the models compute."""
        return self.stages[0].device

    def use(
        self, precision: str | None = None, runtime: str | None = None, *, free: bool = False
    ) -> Self:
        """Say what inference computes with in every model; see ``ExitModel.use``.

        Raises:
            UserError: As there; and a cascade is planned on the host.
        """
        _check_runtime(runtime)
        for stage in self.stages:
            stage.use(precision, runtime, free=free)
        return self

    @property
    def precision(self) -> str:
        """What inference computes with: of all models, or of each from the cheapest on."""
        return _common([stage.precision for stage in self.stages])

    @property
    def products(self) -> str:
        """By what it is multiplied, likewise."""
        return _common([stage.products for stage in self.stages])

    @property
    def runtime(self) -> str:
        """Who plans inference, likewise."""
        return _common([stage.runtime for stage in self.stages])

    @property
    def runtime_used(self) -> str:
        """Who plans it now, likewise."""
        return _common([stage.runtime_used for stage in self.stages])

    def reads_as_last(self, number: int) -> bool:
        """Whether stage ``number`` gets the same tokens of every text as the last."""
        return self._alike[number - 1]

    def configure(self, **settings: Any) -> None:
        """Change what is saved with the cascade: ``policy``, ``calibration``, ``results``."""
        if isinstance(settings.get("policy"), Policy):
            settings["policy"] = settings["policy"].to_config()
        self.settings = replace(self.settings, **settings)

    def tag(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[int]] | None = None,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
        halted: Halted | None = None,
        decode: str | None = None,
    ) -> Trace:
        """Classify texts and tell what happened to each: one entry a text, a layer is a model.

        Args:
            texts: One or two strings each.
            targets: Gold class of each text, in a list of one.
            policy: Who is done after which model; the cascade's own policy when None.
            batch_size: Texts a batch.
            halted: Of taggers.
            decode: Of taggers.

        Raises:
            UserError: A bad policy or setting.
        """
        check_text_options(batch_size, halted, decode)
        chosen = chosen_policy(self, policy)
        check_level(chosen, "sentence")
        return run_cascade(self, Reading(self, texts, targets), chosen, batch_size)

    def predict(
        self,
        texts: Texts,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
    ) -> list[Any]:
        """Classify texts.

        Args:
            texts: Strings, or pairs of strings, in anything that can be gone through.
            policy: Who is done after which model; the cascade's own policy when None.
            batch_size: Texts a batch.

        Returns:
            One result a text, in order; its ``exit_layer`` is the number of the model.

        Raises:
            UserError: Something that is no text, or texts and pairs mixed.
        """
        return answered(self, texts, policy=policy, batch_size=batch_size)

    def exit_table(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[int]] | None = None,
        batch_size: int = 32,
    ) -> ExitTable:
        """What every model says of every text."""
        return cascade_exits(self, Reading(self, texts, targets), batch_size)

    def mac_ratio(self, trace: Trace) -> float:
        """Multiply-accumulates of all models on the texts that reached them, and of confidences.

        They are divided by those of the last model in plain transformers, on all texts.
        """
        total, start = 0, 0
        for stage in self.stages:
            work = trace.work[start : start + stage.backbone.num_layers]
            total += macs(stage.backbone, stage.heads, work)
            start += len(work)
            if start < len(trace.work):  # nobody asks how sure the last one is
                total += work[-1].head * len(self.labels)
        plain = plain_macs(
            self.stages[-1].backbone, trace.lengths.tolist(), batches=len(trace.lengths)
        )
        return total / plain if plain else 1.0

    def settings_files(self) -> dict[str, str]:
        """Files that say everything but weights, by name."""
        return cascade_folder.settings_files(self)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:  # type: ignore[override]
        """Write ``cascade.json`` and one model folder a stage, ``stage-1`` first."""
        push = kwargs.pop("push_to_hub", False)
        repo = kwargs.pop("repo_id", None)
        folder = Path(save_directory)
        cascade_folder.save(self, folder)
        if push:
            self.push_to_hub(repo or folder.name, **kwargs)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        folder: str | Path,
        *,
        precision: str | None = None,
        runtime: str | None = None,
        free: bool = False,
        **hub: Any,
    ) -> Self:
        """Load a folder written by ``save_pretrained``, or one from the Hub.

        Args:
            folder: The folder, or a Hub id.
            precision: See ``use``.
            runtime: See ``use``.
            free: See ``use``.
            hub: ``revision``, ``token``, ``cache_dir``, ``dtype`` and the like.

        Raises:
            UserError: No such folder, a format newer than this version reads, something else than
                a cascade, or a stage that is missing or damaged; or a runtime that serves none.
        """
        _check_runtime(runtime)
        used: dict[str, Any] = {"precision": precision, "runtime": runtime, "free": free}
        stages, values, settings = cascade_folder.read(folder, **used, **hub)
        cascade = cls(stages, **values)
        cascade.configure(**settings)
        return cascade.eval()


def _limit(stage: ExitModelForSequenceClassification) -> int:
    return min(stage.backbone.max_length, int(stage.tokenizer.model_max_length))


def _common(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else "+".join(values)


def _check_runtime(runtime: str | None) -> None:
    if runtime == "static":
        raise UserError(
            'runtime="static" does not serve cascades: choose runtime="eager", or use a single '
            "model of the cascade."
        )
