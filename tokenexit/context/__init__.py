"""Context gates: how likely an exit is wrong, judged by it, earlier exits and its neighbours.

Small gates fitted after training to numbers that cost next to nothing. The policy ``context_gate``
asks them.
"""

from __future__ import annotations

from tokenexit.context.config import GateConfig
from tokenexit.context.features import FEATURES
from tokenexit.context.fit import fit_table
from tokenexit.context.gate import ContextGate
from tokenexit.context.table import Table
from tokenexit.context.targets import TARGETS

__all__ = ["FEATURES", "TARGETS", "ContextGate", "GateConfig", "Table", "fit_table"]
