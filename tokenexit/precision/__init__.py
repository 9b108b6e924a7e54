"""Numbers that inference computes with: their names, and integer arithmetic that is exact."""

from tokenexit.precision.names import (
    PRECISIONS,
    RUNTIMES,
    check_place,
    check_precision,
    check_runtime,
    precision_of,
)
from tokenexit.precision.product import integer_product
from tokenexit.precision.rows import QuantisedRows, quantise_rows
from tokenexit.precision.weights import QuantisedWeights, quantise_weights

__all__ = [
    "PRECISIONS",
    "RUNTIMES",
    "QuantisedRows",
    "QuantisedWeights",
    "check_place",
    "check_precision",
    "check_runtime",
    "integer_product",
    "precision_of",
    "quantise_rows",
    "quantise_weights",
]
