"""With what an output folder was begun: a run with anything else does not go on in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenexit.data.table import shown
from tokenexit.errors import UserError
from tokenexit.models.folders import read_json
from tokenexit.policies import from_config
from tokenexit.workflows.corpus.config import CorpusConfig
from tokenexit.workflows.corpus.plan import FORMAT_VERSION, MANIFEST, Plan
from tokenexit.workflows.corpus.served import Served
from tokenexit.workflows.same_run import whole_path

_SETTINGS = ("split", "decode", "pending", "splitter", "pretokenized", "precision", "dtype")
"""What answers depend on; the size of batches, the device and the runtime are free."""


_LATER = ("reducer", "widths")
"""The same, of settings that older folders do not know: said where they are given."""


def manifest_of(plan: Plan, config: CorpusConfig, served: Served) -> dict[str, Any]:
    """What a folder says of its answers."""
    policy = None if config.policy is None else from_config(config.policy).to_config()
    files = [
        {"path": file.path, "first_row": start, "rows": file.rows, **file.stamp}
        for file, start in zip(plan.corpus.files, plan.corpus.starts, strict=False)
    ]
    return {
        "format_version": FORMAT_VERSION,
        "rows": plan.corpus.rows,
        "blocks": plan.blocks,
        "model": {"source": whole_path(config.model), "fingerprint": served.fingerprint},
        "settings": {
            "format": plan.format,
            "block_size": plan.block_size,
            "columns": asdict(plan.columns) | {"keep": list(plan.columns.keep)},
            "policy": policy,
            **{name: getattr(config, name) for name in _SETTINGS},
            **{name: told for name in _LATER if (told := getattr(config, name)) is not None},
        },
        "corpus": {"source": whole_path(config.data), "files": files},
    }


def check_same(folder: Path, now: Mapping[str, Any]) -> None:
    """Refuse to go on in a folder with anything else than it was begun with.

    Args:
        folder: The output folder, which has a manifest.
        now: What this run would write.

    Raises:
        UserError: Names all that differs, or the manifest is damaged.
    """
    before = read_json(folder / MANIFEST)
    if before.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{folder / MANIFEST} is of another version or damaged; give another folder."
        )
    changed = [*_model(before, now), *_differences(before, now, "settings")]
    changed += _corpus(before, now)
    if changed:
        raise UserError(
            f"The predictions in {folder} cannot be gone on with: {'; '.join(changed)}. Give what "
            "they were begun with, or another output folder."
        )


def _model(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    then, given = (side.get("model") or {} for side in (before, now))
    if then.get("fingerprint") == given["fingerprint"]:
        return []  # wherever it is now
    if then.get("source") == given["source"]:
        return [f"the model {given['source']} was changed"]
    return [f"the model was {then.get('source')} and is {given['source']}"]


def _corpus(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    then, given = (
        {file["path"]: file for file in (side.get("corpus") or {}).get("files", ())}
        for side in (before, now)
    )
    found = [f"the corpus has no {path} any more" for path in then if path not in given]
    found += [f"the corpus has {path} as well" for path in given if path not in then]
    found += [f"{path} was changed" for path in given if path in then and then[path] != given[path]]
    if not found and list(then) != list(given):
        found = ["the files of the corpus are in another order"]
    return found if len(found) < 4 else [*found[:3], f"and {len(found) - 3} more files differ"]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], key: str) -> list[str]:
    then, given = (side.get(key) or {} for side in (before, now))
    return [
        f"{name} was {shown(then.get(name))} and is {shown(given.get(name))}"
        for name in dict.fromkeys([*given, *then])
        if then.get(name) != given.get(name)
    ]
