"""One halting unit an exit (DACT-BERT)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tokenexit.gates.base import GATES, ExitGate
from tokenexit.signals import Signals


@GATES.register("units")
class UnitsGate(ExitGate):
    """A linear unit for each exit, as in DACT-BERT (Eyzaguirre et al. 2021).

    It says how much of what is still undecided goes on to later exits. The objective ``dact``
    trains it, the policy ``dact`` multiplies it up. Units start at one half of doubt, or as
    ``bias`` says.

    Args:
        width: Width of the states, ``H``.
        num_classes: Not looked at.
        exits: Layers with an exit, the top excluded.
        bias: Where each unit starts, before the sigmoid.
    """

    taught = None

    def __init__(
        self, width: int, num_classes: int, exits: Sequence[int], *, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.width = width
        self.units = nn.ModuleDict({str(layer): nn.Linear(width, 1) for layer in exits})
        for unit in self.units.values():
            assert isinstance(unit, nn.Linear)
            nn.init.constant_(unit.bias, bias)

    def forward(self, signals: Signals) -> Tensor:
        """Shares that go on, ``[N]``."""
        return self.units[str(signals.layer)](signals.hidden).squeeze(-1).float().sigmoid()

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return self.width
