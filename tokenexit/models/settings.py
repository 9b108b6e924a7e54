"""Everything about the exits that is saved beside a plain checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tokenexit.errors import UserError
from tokenexit.halting import Halted

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
        task: ``ner``, ``pos``, ``classification``, ``regression``, or the name of a text-to-text
            task: it decides how quality is measured.
        policy: The default policy, as plain data.
        halted: What halted rows still give to the others.
        decode: How labels are chosen from scores.
        encoder_policy: When generating, the policy of the source's tokens.
        pending: When generating, what tokens that left early give to later ones.
        generation: When generating, arguments of ``generate`` that go with the model.
        calibration: How the policy was chosen, if it was.
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
    encoder_policy: Mapping[str, Any] = field(default_factory=lambda: {"name": "never"})
    pending: str = "lazy"
    generation: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None
    scale: Mapping[str, float] | None = None
    training: Mapping[str, Any] | None = None
    results: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data, with the format version."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], origin: str) -> ExitSettings:
        """Read plain data.

        Args:
            data: Parsed ``exit_config.json``.
            origin: Where it came from, for messages.

        Raises:
            UserError: A newer format, or missing entries.
        """
        version = data.get("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise UserError(
                f"{origin} has format version {version!r}; this version of tokenexit reads up to "
                f"{FORMAT_VERSION}. Upgrade tokenexit to load the model."
            )
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        missing = [name for name in ("labels", "exit_layers", "heads") if name not in values]
        if missing:
            raise UserError(f"{origin} lacks {', '.join(missing)}; the file is incomplete.")
        values["labels"] = tuple(values["labels"])
        values["exit_layers"] = tuple(values["exit_layers"])
        return cls(**values)
