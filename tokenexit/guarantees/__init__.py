"""Guarantees: promises about texts not yet seen, and the tests that make them.

``Guarantee.parse("f1 kept >= 0.99 with 90%")`` is a value; ``FixedSequence`` tests settings of a
policy on it. What is counted of each text is given; nothing here knows of models.
"""

from __future__ import annotations

from tokenexit.guarantees.guarantee import Guarantee, parse
from tokenexit.guarantees.order import order_of
from tokenexit.guarantees.sequence import FixedSequence, Tested
from tokenexit.guarantees.terms import Terms

__all__ = ["FixedSequence", "Guarantee", "Terms", "Tested", "order_of", "parse"]
