"""What a backbone and a decoder have in common: they hold a transformers model, unmodified."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from tokenexit.precision import PRECISIONS


def of_config(name: str) -> cached_property[int]:
    """A size that the configuration holds, under the name that the family has for it."""
    return cached_property(lambda adapter: int(getattr(adapter.config, name)))


class Adapter(ABC):
    """One family of transformers networks, whose layers run in pieces.

    Subclasses are registered under the ``model_type`` of every configuration they serve.

    Args:
        model: A transformers model, left unmodified.
    """

    stack: ClassVar[str] = ""
    """Path of the list of layers, if each layer is a module there."""

    precisions: ClassVar[Sequence[str]] = PRECISIONS
    """What inference may compute with."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.config: Any = model.config

    @property
    def capturable(self) -> bool:
        """Whether the pieces run on fixed shapes without the host looking at any number.

        Only then may they be captured; neither may they copy anything to or from the host.
        """
        return False

    @property
    def reducible(self) -> nn.Module:
        """The part of the model whose linear layers may be computed in fewer bits."""
        return self.model

    @property
    def eager(self) -> bool:
        """Whether the model was asked for eager attention rather than sdpa."""
        return self.config._attn_implementation == "eager"

    @classmethod
    @abstractmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """A tiny configuration of the family, for tests: 4 layers to leave, width 32."""

    @abstractmethod
    def in_pieces(self) -> list[nn.Module]:
        """Modules whose own ``forward`` the engine replaces, calling what is inside of them.

        Those that hold them need not be named.
        """

    def lean(self, module: Any) -> nn.Module | None:
        """What inference on a CPU may compute with in the place of a module; None for itself.

        Args:
            module: Of a twin of the model, whose own modules have been replaced already.
        """
        return None

    def attention_dropout(self, index: int) -> float:
        """Dropout on the attention weights of layer ``index``, 0 outside training."""
        return 0.0
