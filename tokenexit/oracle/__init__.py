"""The oracle: how early rows could leave if it were known which exit suffices."""

from __future__ import annotations

from tokenexit.oracle.account import Account, account
from tokenexit.oracle.definition import oracle_layers
from tokenexit.oracle.rows import Rows
from tokenexit.oracle.tally import Tally, reached, tallies, tally
from tokenexit.oracle.tokens import compared, token_rows

__all__ = [
    "Account",
    "Rows",
    "Tally",
    "account",
    "compared",
    "oracle_layers",
    "reached",
    "tallies",
    "tally",
    "token_rows",
]
