"""The trace of a certificate on disk: a row a text, a column for whatever promises read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    setting, ``1.NAME`` where that differs from full depth; ``document`` if there are any.
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
    with replacing(path) as partial:
        pq.write_table(pa.table(columns), partial, compression="zstd")


def read_trace(
    path: Path, guarantees: Sequence[Guarantee], policies: Sequence[Mapping[str, Any]]
) -> Evidence:
    """Read what ``save_trace`` wrote, whatever order its rows are in now.

    Args:
        path: The file.
        guarantees: The promises.
        policies: Settings that were tested.

    Raises:
        UserError: It is no such file, or lacks what a promise reads.
    """
    columns = _columns(path)
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
    return Evidence(tuple(guarantees), held["text"], full, policies, settings, documents)


def _columns(path: Path) -> dict[str, Any]:
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
    if not {"row", "text"} <= found.keys():
        raise UserError(f"{path} is no trace of a certificate: it lacks row or text.")
    return found


def _plain(values: Any) -> Any:
    """As arrow takes them."""
    return values if isinstance(values, np.ndarray) and values.dtype != object else list(values)


def _plain_list(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _taken(values: Any, rows: Any) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]
