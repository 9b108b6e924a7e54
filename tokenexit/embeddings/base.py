"""Embeddings: what a text's rows are when they enter the first layer that reads the whole text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from tokenexit.embeddings.table import NGramTable
from tokenexit.errors import UserError
from tokenexit.registry import Registry, settings_of

EMBEDDINGS: Registry[Embeddings] = Registry("kind of embeddings", "tokenexit.embeddings")


@dataclass(frozen=True, eq=False)
class Shape:
    """What embeddings have to know of a network.

    Attributes:
        width: Width of the states, ``H``.
        num_layers: Its depth, ``L``.
        places: Its own embeddings of places in a text, ``[P, H]``, to start from; with no values
            yet where they have another width; None where places enter in its layers.
        segments: The same of segments, ``[S, H]``.
    """

    width: int
    num_layers: int
    places: Tensor | None = None
    segments: Tensor | None = None


class Tokens(Protocol):
    """A packed batch, as far as embeddings read it; see ``halting.PackedBatch``."""

    @property
    def input_ids(self) -> Tensor:
        """Vocabulary ids, ``[T]``."""
        ...

    @property
    def positions(self) -> Tensor:
        """Place of each token in its text, from 0, ``[T]``."""
        ...

    @property
    def segments(self) -> Tensor | None:
        """Which of two texts each token belongs to, ``[T]``, or None."""
        ...


class Below(Protocol):
    """The part of a network under the layers that read the whole text."""

    def embed(self) -> Tensor:
        """The batch as the network itself embeds it, ``[T, H]``."""
        ...

    def alone(self, ids: Tensor, real: Tensor) -> Tensor:
        """Windows through embedding and lower layers, each on its own.

        Args:
            ids: Vocabulary ids, ``[N, n]``, at the places 0 to ``n - 1``.
            real: Which of them there are, ``[N, n]`` bool; the others are not read.

        Returns:
            States, ``[N, n, H]``; those of ids that are not real mean nothing.
        """
        ...


class Embeddings(nn.Module, ABC):
    """What the rows of a text enter with. Subclasses take ``(shape, *, settings)``.

    Attributes:
        layers: Lower layers that it stands for; those above see the whole text, and exits.
        table: States that are looked up, if there are any.
    """

    layers: int = 0
    table: NGramTable | None = None
    tabled: ClassVar[bool] = False
    """Whether it can look states up."""

    @abstractmethod
    def forward(self, tokens: Tokens, below: Below) -> Tensor:
        """States that enter the first layer above, ``[T, H]``."""

    @classmethod
    def stands_for(cls, num_layers: int, **settings: Any) -> int:
        """Lower layers that embeddings with such settings stand for in a network so deep."""
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates beside those of layers, per computed row."""
        return 0

    def use_table(self, table: NGramTable | None) -> None:
        """Look states up from now on, or no longer."""
        self.table = table


def build_embeddings(config: Mapping[str, Any] | str | None, shape: Shape) -> Embeddings:
    """Build embeddings from ``{"name": "ngram", "layers": 6}`` or a bare name; None: plain.

    Args:
        config: Name and settings.
        shape: Of the network.

    Raises:
        UserError: There is no such kind or setting (the nearest name is given), or a bad value.
    """
    cls, settings = _read(config)
    return cls(shape, **settings)


def first_exit(config: Mapping[str, Any] | str | None, num_layers: int) -> int:
    """The lowest layer that may have an exit, from 1.

    Args:
        config: As ``build_embeddings``.
        num_layers: Depth of the network.
    """
    cls, settings = _read(config)
    return cls.stands_for(num_layers, **settings) + 1


def looks_up(config: Mapping[str, Any] | str | None) -> bool:
    """Whether embeddings of this kind can have a table."""
    return _read(config)[0].tabled


def _read(config: Mapping[str, Any] | str | None) -> tuple[Any, dict[str, Any]]:
    """Class and settings."""
    if isinstance(config, str) or config is None:
        config = {"name": config or "plain"}
    if not isinstance(config, Mapping) or "name" not in config:
        raise UserError(
            f'embeddings must be a name or a mapping such as {{"name": "ngram"}}, not {config!r}.'
        )
    cls = EMBEDDINGS.get(str(config["name"]))
    return cls, settings_of(config, cls, "embeddings", given=("shape",))
