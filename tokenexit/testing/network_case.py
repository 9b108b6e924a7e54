"""A family with a configuration, its networks built when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tokenexit.backbones import Backbone
from tokenexit.errors import UserError
from tokenexit.testing.networks import LENGTHS, Batch, attentions, make_batch, tiny_backbone


@dataclass(frozen=True)
class BackboneCase:
    """What promises of a backbone are checked on.

    Attributes:
        model_type: A registered family.
        changes: Of its example configuration.
    """

    model_type: str
    changes: dict[str, Any]
    _built: dict[str, Backbone] = field(default_factory=dict, compare=False)

    def fresh(self, attention: str = "eager") -> Backbone:
        """A network of one's own."""
        try:
            return tiny_backbone(self.model_type, self.changes, attention)
        except UserError as error:
            raise AssertionError(f"a network of example_config() is refused: {error}") from error

    def shared(self, attention: str = "eager") -> Backbone:
        """A network that nobody changes."""
        if attention not in self._built:
            self._built[attention] = self.fresh(attention)
        return self._built[attention]

    def every(self) -> Iterator[tuple[Backbone, Batch]]:
        """Networks of every kind of attention, with a padded batch and one without padding."""
        for attention in attentions(self.model_type):
            for batch in self.batches():
                yield self.shared(attention), batch

    def batches(self) -> list[Batch]:
        """A padded batch and one without padding."""
        return [make_batch(lengths) for lengths in LENGTHS]
