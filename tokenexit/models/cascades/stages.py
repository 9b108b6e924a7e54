"""Whole models one after the other: which they are, and what they compute with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import nn

from tokenexit.errors import UserError
from tokenexit.halting import Trace
from tokenexit.halting.cost import macs, plain_macs
from tokenexit.models.cascades.compatibility import (
    check_stages,
    check_tokenizers,
    differences,
    label_columns,
)
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.sequences.text_labeller import TextLabeller
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import PolicyLike, from_config
from tokenexit.policies.base import check_unit


def _of_each(name: str, what: str) -> property:
    """Something of each model from the cheapest on, told once where it is the same of all."""

    def told(self: Stages) -> str:
        values = [getattr(stage, name) for stage in self.stages]
        return values[0] if len(set(values)) == 1 else "+".join(values)

    return property(told, doc=f"{what}: of all models, or of each from the cheapest on.")


class Stages(TextLabeller):
    """The part of a cascade that has to do with its models.

    Args:
        stages: Two or more models with the same labels, which may stand in another order.
        policy: Who is done after which model; nobody before the last when None.
        allow_different_tokenizers: Let each model read texts with a tokenizer of its own.
    """

    uniform_depth: ClassVar[bool] = False

    def __init__(
        self,
        stages: Sequence[ExitModelForSequenceClassification],
        *,
        policy: PolicyLike | None = None,
        allow_different_tokenizers: bool = False,
    ) -> None:
        super().__init__()
        check_stages(stages)
        self.columns = label_columns(stages)
        if not allow_different_tokenizers:
            check_tokenizers(stages)
        chosen = from_config("never" if policy is None else policy)
        check_unit(chosen, "text")
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
        check_runtime(runtime)
        for stage in self.stages:
            stage.use(precision, runtime, free=free)
        return self

    precision = _of_each("precision", "What inference computes with")  # type: ignore[override]
    products = _of_each("products", "By what it is multiplied")  # type: ignore[override]
    runtime = _of_each("runtime", "Who plans inference")
    runtime_used = _of_each("runtime_used", "Who plans it now")  # type: ignore[override]

    def reads_as_last(self, number: int) -> bool:
        """Whether stage ``number`` gets the same tokens of every text as the last."""
        return self._alike[number - 1]

    def mac_ratio(self, trace: Trace) -> float:
        """Multiply-accumulates of all models on the texts that reached them, and of confidences.

        They are divided by those of the last model in plain transformers, on all texts.
        """
        total, start = 0, 0
        for stage in self.stages:
            work = trace.work[start : start + stage.backbone.num_layers]
            total += macs(stage.used_backbone, stage.heads, work)
            start += len(work)
            if start < len(trace.work):  # nobody asks how sure the last one is
                total += work[-1].head * len(self.labels)
        plain = plain_macs(
            self.stages[-1].backbone, trace.lengths.tolist(), batches=len(trace.lengths)
        )
        return total / plain if plain else 1.0


def _limit(stage: ExitModelForSequenceClassification) -> int:
    return min(stage.backbone.max_length, int(stage.tokenizer.model_max_length))


def check_runtime(runtime: str | None) -> None:
    """Refuse a runtime that serves no cascade.

    Raises:
        UserError: Says what to do.
    """
    if runtime == "static":
        raise UserError(
            'runtime="static" does not serve cascades: choose runtime="eager", or use a single '
            "model of the cascade."
        )
