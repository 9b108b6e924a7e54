"""What a generator has beside its network, and what its exits are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor, nn

from tokenexit.backbones import Inference
from tokenexit.context import ContextGate
from tokenexit.decoders import Decoder
from tokenexit.decoding import Exits
from tokenexit.gates import LinearGate
from tokenexit.heads.stack import DepthHead
from tokenexit.models.context_gate import Judged
from tokenexit.models.generation.gate_of_decoder import decoder_weights

if TYPE_CHECKING:
    from tokenexit.models.settings import ExitSettings


class GeneratorHeads(Judged):
    """The part of a generator that knows its small heads."""

    settings: ExitSettings
    decoder: Decoder
    gate: LinearGate | None
    depth: DepthHead | None
    _context: ContextGate | None
    _inference: Inference[Decoder]

    rows_level = "step"

    def exit_weights(self) -> dict[str, Tensor]:
        """Weights of the gates and the depth head."""
        return self._side.state_dict()

    @property
    def _side(self) -> nn.ModuleDict:
        """What there is beside the network, by the names it is saved under."""
        found = {"gate": self.gate, "depth": self.depth, "context": self._context}
        return nn.ModuleDict({name: head for name, head in found.items() if head is not None})

    def exits(self, decoder: Decoder) -> Exits:
        """The exits, scored by a decoder of this model."""
        side = self._inference.beside
        layers = self.settings.exit_layers[:-1]
        return Exits(decoder, layers, side(self.gate), side(self.depth), side(self._context))

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that start from nothing: those of gate and depth head."""
        yield from self._side.parameters()

    @property
    def context(self) -> ContextGate | None:
        """The gate that the policy ``context_gate`` asks, if one was fitted."""
        return self._context

    def put_context(self, gate: ContextGate | None) -> None:
        """See ``Judged``."""
        self._context = gate

    def judged_weights(self) -> dict[str, Tensor]:
        """See ``Judged``."""
        return decoder_weights(self.decoder)
