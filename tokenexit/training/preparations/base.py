"""A preparation: looks at the model as a phase begins, and at the texts it will learn from.

Some give columns, which the objective reads as ``BatchInfo.columns``; others change the model:
fit a temperature, order heads by importance, set a reducer. Each is done once, when its phase
begins for the first time, and kept with the checkpoints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from tokenexit.errors import UserError
from tokenexit.registry import Registry, settings_of
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.column import Column
from tokenexit.training.loss_module import Laid, LossModule

PREPARATIONS: Registry[Preparation] = Registry("preparation", "tokenexit.training.preparations")


@dataclass(frozen=True)
class Material:
    """What a preparation may use.

    Attributes:
        texts: What the phase learns from; columns have a value for each.
        splits: All shares of the training texts, by name.
        module: Wraps a model so that batches can be laid out and run, as training does, with the
            phase's objective and teacher.
        batch_size: Texts a batch.
        seed: Of the phase.
    """

    texts: Sequence[Any]
    splits: Mapping[str, Sequence[Any]]
    module: Callable[[Any], LossModule]
    batch_size: int = 32
    seed: int = 0

    def batches(self, module: LossModule) -> Iterator[Laid]:
        """The phase's texts, batch by batch, as a network reads them; each knows its ``numbers``.

        Args:
            module: From ``self.module``.
        """
        return map(module.lay, self.parts())

    def parts(self) -> Iterator[MicroBatch]:
        """The same as a loss wants them."""
        for start in range(0, len(self.texts), self.batch_size):
            part = list(self.texts[start : start + self.batch_size])
            numbers = list(range(start, start + len(part)))
            words = sum(map(labelled_words, part))
            yield MicroBatch(part, list(range(len(part))), words, texts=numbers)


class Preparation(ABC):
    """What is done as a phase begins. Subclasses are frozen, registered dataclasses."""

    gives: ClassVar[tuple[str, ...]] = ()
    """Names of the columns that it gives."""

    @abstractmethod
    def __call__(self, model: Any, material: Material) -> Mapping[str, Column] | None:
        """Compute columns, or change the model in place.

        On every process alike, in evaluation mode.

        Args:
            model: As the phase before left it.
            material: Texts, and how to run them.
        """

    def check(self, splits: Mapping[str, Any]) -> None:  # noqa: B027
        """Refuse settings that do not go with the training, before it begins.

        Args:
            splits: ``train.splits``.
        """


def from_config(config: Mapping[str, Any]) -> Preparation:
    """Build a preparation from ``{"name": "difficulty"}``.

    Raises:
        UserError: Unknown preparation or setting, or a bad value.
    """
    if "name" not in config:
        raise UserError(f"A preparation needs a 'name'; {dict(config)!r} has none.")
    name = str(config["name"])
    cls = PREPARATIONS.get(name)
    settings = settings_of(config, cls, "preparation")
    try:
        return cls(**settings)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(f"{name!r} cannot be built from {settings}: {error}.") from error


def prepared(
    preparations: Sequence[Preparation], model: nn.Module, material: Material
) -> dict[str, Column]:
    """Do them one after another; the columns that they gave.

    Raises:
        UserError: A column without a value for each text, word or row.
    """
    found: dict[str, Column] = {}
    for one in preparations:
        model.eval()
        for name, column in (one(model, material) or {}).items():
            column.check(name, material.texts)
            found[name] = column
    return found
