"""Settings of a text-to-text recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tokenexit.config.limits import about
from tokenexit.tasks import tasks_of
from tokenexit.training.gate_config import StepGateConfig
from tokenexit.workflows.base_config import RunConfig


@dataclass(frozen=True)
class Seq2SeqConfig(RunConfig):
    """Train, calibrate, evaluate and report a text generator with exits, into ``output_dir``."""

    data: str | None = field(default=None, metadata=about("Hub id, folder or file of pairs"))
    task: str = field(
        default="translation",
        metadata=about(f"what the pairs are: {', '.join(tasks_of('token'))}"),
    )
    lang: str | None = field(
        default=None, metadata=about("direction of a column of translations, such as en-de")
    )
    source_column: str | None = field(default=None, metadata=about("column of the sources"))
    target_column: str | None = field(default=None, metadata=about("column of the targets"))
    model: str | dict[str, Any] = field(
        default="google-t5/t5-small",
        metadata=about("Hub id or folder, or a description of a fresh small model"),
    )
    source_lang: str | None = field(
        default=None,
        metadata=about("language of the sources in the tokenizer; as lang by default"),
    )
    target_lang: str | None = field(
        default=None, metadata=about("language of the targets in the tokenizer")
    )
    source_prefix: str = field(
        default="", metadata=about("what stands before each source, such as 'summarize: ' for T5")
    )
    exit_layers: list[int] | int | None = field(
        default=None, metadata=about("decoder layers with an exit, from 1; all by default")
    )
    gate: bool = field(default=False, metadata=about("train CALM's classifier as a gate"))
    depth: bool = field(
        default=False, metadata=about("train Depth-Adaptive's prediction of the depth needed")
    )
    max_source: int = field(
        default=512, metadata=about("tokens of a source; longer ones are cut", low=2)
    )
    max_target: int = field(
        default=128, metadata=about("tokens of a target; longer ones are cut", low=2)
    )
    context_gate: StepGateConfig = field(default_factory=StepGateConfig)
    metric: str | None = field(
        default=None,
        metadata=about("figure that is the quality: bleu, chrf, ter, rougeL, ...; BLEU when empty"),
    )
    encoder_policy: dict[str, Any] = field(
        default_factory=dict,
        metadata=about("policy of the source's tokens, in training too; none leaves when empty"),
    )
    pending: Literal["lazy", "eager", "parallel"] = field(
        default="lazy", metadata=about("what tokens that left early give to later ones")
    )
    generation: dict[str, Any] = field(
        default_factory=lambda: {"max_new_tokens": 128},
        metadata=about("arguments of generate when evaluating, such as num_beams"),
    )
    validate_on: int = field(
        default=200,
        metadata=about("validation texts generated after each epoch, drawn at random", low=1),
    )
