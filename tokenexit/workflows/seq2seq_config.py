"""Settings of a text-to-text recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tokenexit.config.limits import setting
from tokenexit.tasks import tasks_of
from tokenexit.training.gate_config import StepGateConfig
from tokenexit.workflows.base_config import RunConfig


@dataclass(frozen=True)
class Seq2SeqConfig(RunConfig):
    """Train, calibrate, evaluate and report a text generator with exits, into ``output_dir``."""

    data: str | None = setting(None, "Hub id, folder or file of pairs")
    task: str = setting("translation", f"what the pairs are: {', '.join(tasks_of('token'))}")
    lang: str | None = setting(None, "direction of a column of translations, such as en-de")
    source_column: str | None = setting(None, "column of the sources")
    target_column: str | None = setting(None, "column of the targets")
    model: str | dict[str, Any] = setting(
        "google-t5/t5-small", "Hub id or folder, or a description of a fresh small model"
    )
    source_lang: str | None = setting(
        None, "language of the sources in the tokenizer; as lang by default"
    )
    target_lang: str | None = setting(None, "language of the targets in the tokenizer")
    source_prefix: str = setting("", "what stands before each source, such as 'summarize: ' for T5")
    exit_layers: list[int] | int | None = setting(
        None, "decoder layers with an exit, from 1; all by default"
    )
    gate: bool = setting(False, "train CALM's classifier as a gate")
    depth: bool = setting(False, "train Depth-Adaptive's prediction of the depth needed")
    max_source: int = setting(512, "tokens of a source; longer ones are cut", low=2)
    max_target: int = setting(128, "tokens of a target; longer ones are cut", low=2)
    context_gate: StepGateConfig = field(default_factory=StepGateConfig)
    metric: str | None = setting(
        None, "figure that is the quality: bleu, chrf, ter, rougeL, ...; BLEU when empty"
    )
    encoder_policy: dict[str, Any] = setting(
        dict, "policy of the source's tokens, in training too; none leaves when empty"
    )
    pending: Literal["lazy", "eager", "parallel"] = setting(
        "lazy", "what tokens that left early give to later ones"
    )
    generation: dict[str, Any] = setting(
        lambda: {"max_new_tokens": 128}, "arguments of generate when evaluating, such as num_beams"
    )
    validate_on: int = setting(
        200, "validation texts generated after each epoch, drawn at random", low=1
    )
