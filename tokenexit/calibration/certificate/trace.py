"""The trace of a certificate on disk: a row a text, a column for whatever promises read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.errors import UserError
from tokenexit.extras import require_libraries
from tokenexit.files import replacing
from tokenexit.guarantees import Guarantee
from tokenexit.guarantees.losses import Columns

TRACE = "traces/certificate.parquet"
"""In the folder of the model."""

FULL = "full"


def save_trace(evidence: Evidence, path: Path) -> None:
    """Write evidence as parquet.

    Columns: ``row``, the place of the text; ``text``, its hash; ``full.NAME`` and, of the first
    setting, ``1.NAME`` where that differs from full depth; ``document`` if there are any. Promises
    and settings stand in the header.
    """
    require_libraries("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"row": np.arange(len(evidence.texts)), "text": list(evidence.texts)}
    if evidence.documents is not None:
        columns["document"] = evidence.documents
    columns |= {f"{FULL}.{name}": _plain(values) for name, values in evidence.full.items()}
    for number, setting in enumerate(evidence.settings, 1):
        for name, values in setting.items():
            if _plain_list(values) != _plain_list(evidence.full[name]):
                columns[f"{number}.{name}"] = _plain(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "promises": json.dumps([one.to_json() for one in evidence.guarantees]),
        "policies": json.dumps([dict(policy) for policy in evidence.policies]),
    }
    table = pa.table(columns).replace_schema_metadata(header)
    with replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_trace(path: Path) -> Evidence:
    """Read what ``save_trace`` wrote, whatever order its rows are in now.

    Raises:
        UserError: It is no such file, or lacks what a promise reads.
    """
    columns, header = _read(path)
    guarantees = tuple(Guarantee(**told) for told in header["promises"])
    policies = header["policies"]
    rows = np.argsort(columns["row"], kind="stable")
    held = {name: _taken(values, rows) for name, values in columns.items()}

    def named(prefix: str) -> dict[str, Any]:
        start = f"{prefix}."
        return {n.removeprefix(start): v for n, v in held.items() if n.startswith(start)}

    full = named(FULL)
    for one in guarantees:
        apart = [one.every.partition(":")[0]] if one.every else []
        for name in (*one.kind.needs, *apart):
            if name not in full:
                raise UserError(f"{path} lacks the column {FULL}.{name}, which {one} reads.")
    settings: list[Columns] = [full | named(str(n)) for n in range(1, len(policies) + 1)]
    documents = held.get("document")
    return Evidence(guarantees, held["text"], full, policies, settings, documents)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns, and what the header says."""
    require_libraries("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {error}. Certify again.") from error
    found: dict[str, Any] = {}
    for name in table.column_names:
        values = table.column(name)
        plain = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
        found[name] = values.to_numpy() if plain else values.to_pylist()
    told = {name.decode(): text for name, text in (table.schema.metadata or {}).items()}
    if not {"row", "text"} <= found.keys() or not {"promises", "policies"} <= told.keys():
        raise UserError(f"{path} is no trace of a certificate. Certify again.")
    return found, {name: json.loads(told[name]) for name in ("promises", "policies")}


def _plain(values: Any) -> Any:
    """As arrow takes them."""
    return values if isinstance(values, np.ndarray) and values.dtype != object else list(values)


def _plain_list(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _taken(values: Any, rows: Any) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]
