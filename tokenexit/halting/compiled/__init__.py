"""The encoder engine in compiled kernels: recipes in, decisions out.

Equal to ``halting.encode`` up to rounding, in whichever precision the network was compiled.
"""

from __future__ import annotations

from tokenexit.halting.compiled.encoder import CompiledEncoder, compile_encoder
from tokenexit.halting.compiled.rules import CompiledRule, compiled_rule
from tokenexit.halting.compiled.run import Decided, run_exits, run_rule
from tokenexit.halting.compiled.steps import run_states, run_visitor

__all__ = [
    "CompiledEncoder",
    "CompiledRule",
    "Decided",
    "compile_encoder",
    "compiled_rule",
    "run_exits",
    "run_rule",
    "run_states",
    "run_visitor",
]
