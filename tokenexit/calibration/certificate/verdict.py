"""What follows from evidence: all tests, and the loosest setting that may be served."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.guarantees import FixedSequence, Guarantee, Tested
from tokenexit.guarantees.losses import Columns
from tokenexit.policies.never import Never


def verdict(evidence: Evidence) -> dict[str, Any]:
    """The part of a certificate that can be derived from its trace, as plain data."""
    sequence = evidence.sequence()
    needed = sequence.needed()
    passed, tests = sequence.last(evidence.settings)
    certified, savings = sequence.afterwards(evidence.settings[:passed])
    lost = [_lost(sequence, columns) for columns in evidence.settings]
    return {
        "promises": [_promise(one, sequence, needed) for one in evidence.guarantees],
        "test": {
            "method": "settings tested strict to loose until one fails",
            "order": "of sha256 of seed, 0x1f and text; of equal texts the first",
            "seed": 0,
            "texts": len(sequence.order),
            "unit": sequence.unit,
            "units": sequence.units,
            "horizon": sequence.units,
        },
        "texts_sha256": texts_hash(evidence.texts),
        "sequence": [
            {"policy": policy, "texts_lost": count, "tests": _plain(row)}
            for policy, count, row in zip(evidence.policies, lost, tests, strict=False)
        ],
        "savings": [_plain(row) for row in savings],
        "certified": certified,
        "policy": dict(evidence.policies[certified - 1]) if certified else Never().to_config(),
    }


def texts_hash(hashes: Sequence[str]) -> str:
    """SHA-256 of the sorted hashes of texts, a line each."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def _promise(
    one: Guarantee, sequence: FixedSequence, needed: dict[str, int | None]
) -> dict[str, Any]:
    return {
        "promise": str(one),
        "sentence": one.told(sequence.unit),
        **one.to_json(),
        "clip": sequence.counts_up_to(one),
        "needed": needed.get(str(one)),
    }


def _lost(sequence: FixedSequence, exits: Columns) -> dict[str, int]:
    """Texts that do worse than at full depth, by promise."""
    return {
        str(one): int(np.count_nonzero(_worse(one, exits, sequence.full)[sequence.order]))
        for one in sequence.in_order
    }


def _worse(one: Guarantee, exits: Columns, full: Columns) -> NDArray[np.bool_]:
    here, deep = (one.kind.terms(columns, full, one.allowed) for columns in (exits, full))
    worse: NDArray[np.bool_] = here.middle < deep.middle - 1e-12
    return worse


def _plain(row: Sequence[Tested]) -> list[dict[str, Any]]:
    return [one.to_json() for one in row]
