"""Everything about the exits that is saved beside a plain checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tokenexit import reducers, widths
from tokenexit.decoding import PENDING
from tokenexit.embeddings import first_exit
from tokenexit.errors import UserError, unknown_name
from tokenexit.halting import Halted
from tokenexit.models.record import check_told, check_version, checked, named
from tokenexit.models.scale import Scale
from tokenexit.models.splitting.splitter import splitter as splitter_of
from tokenexit.policies import from_config
from tokenexit.reducers.base import check_scorers
from tokenexit.selectors import check_selectors
from tokenexit.tasks import Task, task_named

FORMAT_VERSION = 1
"""Version of ``exit_config.json`` that this code writes, and the newest it reads."""

DECODE = ("argmax", "legal", "crf")
"""Ways of choosing labels from scores."""


@dataclass(frozen=True)
class ExitSettings:
    """Contents of ``exit_config.json``.

    Attributes:
        labels: Names of the classes; none for a model that generates text.
        exit_layers: Layers with an exit, from 1, the top included.
        heads: Kind and settings of the heads.
        task: Name of the task (``tokenexit.tasks``); without labels any name is one of text
            generation.
        policy: The default policy, as plain data.
        halted: What halted rows still give to the others.
        decode: How labels are chosen from scores.
        splitter: How a tagger splits raw text into words, ``words+clitics`` for example.
        reducer: Which rows are computed no further, as plain data; nothing is taken out when None.
        batching: ``by_depth`` where batches of a text classifier are made anew between exits.
        embeddings: What stands for lower layers, as plain data; nothing when None.
        widths: Heads and neurons of each layer that are computed, as plain data; all when None.
        encoder_policy: When generating, the policy of the source's tokens.
        pending: When generating, what tokens that left early give to later ones.
        generation: When generating, arguments of ``generate`` that go with the model.
        source_prefix: When generating from texts, what stands before each, as T5 wants it.
        source_lang: Language of the sources, as the tokenizer writes it, where it marks them.
        target_lang: The same of what is written.
        calibration: How the policy was chosen, if it was.
        metric: Which figure stands for quality; the task's usual one when None.
        scale: Of a regression, mean and standard deviation of the training values.
        training: What the model was trained on and how, for the model card.
        results: Measured quality and cost, for the model card.
    """

    labels: tuple[str, ...]
    exit_layers: tuple[int, ...]
    heads: Mapping[str, Any]
    task: str = "ner"
    policy: Mapping[str, Any] = field(default_factory=lambda: {"name": "never"})
    halted: Halted = "copy"
    decode: str = "argmax"
    splitter: str = "words"
    encoder_policy: Mapping[str, Any] = field(default_factory=lambda: {"name": "never"})
    pending: str = "lazy"
    generation: Mapping[str, Any] = field(default_factory=dict)
    source_prefix: str = ""
    source_lang: str | None = None
    target_lang: str | None = None
    calibration: Mapping[str, Any] | None = None
    metric: str | None = None
    scale: Mapping[str, float] | None = None
    training: Mapping[str, Any] | None = None
    results: Mapping[str, Any] | None = None
    reducer: Mapping[str, Any] | None = None
    embeddings: Mapping[str, Any] | None = None
    widths: Mapping[str, Any] | None = None
    batching: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data, with the format version."""
        data = {"format_version": FORMAT_VERSION, **asdict(self)}
        for later in ("reducer", "embeddings", "widths", "batching"):
            if data[later] is None:  # as folders were before there were any
                del data[later]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any], origin: str) -> ExitSettings:
        """Read plain data.

        Args:
            data: Parsed ``exit_config.json``.
            origin: Where it came from, for messages.

        Raises:
            UserError: A newer format, missing entries, or values that no model has.
        """
        check_version(data, FORMAT_VERSION, origin)
        missing = [name for name in ("labels", "exit_layers", "heads") if name not in data]
        if missing:
            raise UserError(f"{origin} lacks {', '.join(missing)}; the file is incomplete.")
        settings = checked(cls, data, origin)
        with named(origin):
            _check(settings)
        return settings


def task_of(settings: ExitSettings) -> Task:
    """What a model does.

    Raises:
        UserError: No task of that name has labels.
    """
    return task_named(settings.task, labelled=bool(settings.labels))


def _check(settings: ExitSettings) -> None:
    """Refuse what is of the right types and still belongs to no model."""
    exits, labels = settings.exit_layers, settings.labels
    if list(exits) != sorted(set(exits)) or not exits or exits[0] < 1:
        raise UserError(f"exit_layers must be layers from 1, upwards, not {list(exits)}.")
    if len(set(labels)) != len(labels):
        raise UserError(f"labels must be different names, not {list(labels)}.")
    for what, given, allowed in (
        ("way of decoding", settings.decode, DECODE),
        ("rule for pending tokens", settings.pending, (*PENDING, "verify")),
        ("way of batching", settings.batching or "fixed", ("fixed", "by_depth")),
    ):
        if given not in allowed:
            raise unknown_name(what, given, allowed)
    splitter_of(settings.splitter)
    if task_of(settings).countable != (settings.scale is None):
        raise UserError("a regression, and nothing else, has a scale.")
    Scale.saved(settings.scale)
    from_config(settings.policy)
    from_config(settings.encoder_policy)
    if settings.reducer is not None:
        reducer = reducers.from_config(settings.reducer)
        check_scorers(reducer, settings.heads.get("scorers"))
    if first_exit(settings.embeddings, exits[-1]) > exits[0]:
        raise UserError(f"embeddings stand for layers that have exits, {list(exits)}.")
    if settings.widths is not None:
        check_selectors(widths.from_config(settings.widths), settings.heads.get("selectors"))
    check_told(settings.training, settings.calibration, settings.results)
