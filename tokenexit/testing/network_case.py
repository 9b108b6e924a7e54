"""A family with a configuration, its networks built when they are first asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch

from tokenexit.backbones import Backbone
from tokenexit.decoders import Decoder
from tokenexit.errors import UserError
from tokenexit.testing.contract import require
from tokenexit.testing.networks import LENGTHS, Batch, attentions, make_batch, tiny_backbone

N = TypeVar("N", Backbone, Decoder)


@dataclass(frozen=True)
class NetworkCase(ABC, Generic[N]):
    """What promises of a backbone or a decoder are checked on.

    Attributes:
        model_type: A registered family.
        changes: Of its example configuration.
    """

    model_type: str
    changes: dict[str, Any]
    _built: dict[str, N] = field(default_factory=dict, compare=False)

    @abstractmethod
    def build(self, attention: str) -> N:
        """A network with an implementation of attention."""

    def fresh(self, attention: str = "eager") -> N:
        """A network of one's own."""
        try:
            return self.build(attention)
        except UserError as error:
            raise AssertionError(f"a network of example_config() is refused: {error}") from error

    def shared(self, attention: str = "eager") -> N:
        """A network that nobody changes."""
        if attention not in self._built:
            self._built[attention] = self.fresh(attention)
        return self._built[attention]


class BackboneCase(NetworkCase[Backbone]):
    """What promises of a backbone are checked on."""

    def build(self, attention: str) -> Backbone:
        """A network with an implementation of attention."""
        return tiny_backbone(self.model_type, self.changes, attention)

    def every(self) -> Iterator[tuple[Backbone, Batch]]:
        """Networks of every kind of attention, with a padded batch and one without padding."""
        for attention in attentions(self.model_type):
            for batch in self.batches():
                yield self.shared(attention), batch

    def batches(self) -> list[Batch]:
        """A padded batch and one without padding."""
        return [make_batch(lengths) for lengths in LENGTHS]


def require_whole_head(network: Backbone | Decoder, name: str) -> None:
    """Require that ``final_head`` holds the weights behind a method of states, and no others."""
    getattr(network, name)(torch.randn(3, network.hidden_size)).sum().backward()
    used = {name for name, weight in network.model.named_parameters() if weight.grad is not None}
    told = {id(weight) for weight in network.final_head().parameters()}
    named = {name for name, weight in network.model.named_parameters() if id(weight) in told}
    require(used == named, f"{name}() uses {sorted(used)}, and final_head() has {sorted(named)}.")
