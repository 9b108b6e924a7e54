r"""Exits against what a sceptic would do: cut the network to k layers and fine-tune it alone.

    python benchmarks/cut_networks.py task=ner data=DATA/bc5cdr model=MODEL seeds=[0,1,2] \
        train.epochs=4 output_dir=runs/cut-bc5cdr
    python benchmarks/cut_networks.py table runs/cut-bc5cdr runs/cut-ewt       # Markdown, printed
    python benchmarks/cut_networks.py record bc5cdr runs/cut-bc5cdr            # and kept, and shown

Every cut is a training of its own, on the schedule, batches and seeds of those with exits
(`trainings`, as recipes/compare_methods.py takes them), and so are the whole network with its top
head alone and one whose exits all stop at the same layer. Settings of the exits are chosen on the
validation split, within the arithmetic of each cut. The same command goes on where it stopped.
`layers=[2,4]` trains those cuts alone, `device=cpu` leaves a GPU alone; all other keys are those of
recipes/compare_methods.py. Start one a corpus side by side, each with its own output_dir; seeds may
have folders of their own as well: `table` and `record` take several.

Of text generators the decoder is cut, which takes a description of a fresh one as `model`.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from cut_table import merged, tables  # noqa: E402
from headline import put  # noqa: E402

from tokenexit.backbones import adapt  # noqa: E402
from tokenexit.config import friendly_errors, load_config  # noqa: E402
from tokenexit.config.limits import about  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402
from tokenexit.models.folders import load_network  # noqa: E402
from tokenexit.reporting.comparison import FINE_TUNING, STATIC  # noqa: E402
from tokenexit.workflows.compare_methods import compare_methods  # noqa: E402
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig  # noqa: E402

RESULTS = HERE / "results" / "cut"
PAGE, MARK = HERE.parent / "docs" / "benchmarks.md", "cut"
RECORD = "cut_networks.json"
CURVE = "cut_networks"
POINT = ("quality", "mac_ratio", "validation_quality", "validation_mac_ratio")


@dataclass(frozen=True)
class CutConfig(CompareMethodsConfig):
    """Networks cut to k layers against exits, on one schedule."""

    methods: list[str] | str | None = field(
        default_factory=list, metadata=about("published methods beside the trainings")
    )
    trainings: list[Any] = field(
        default_factory=lambda: ["halt_and_copy"],
        metadata=about("heads and objectives with exits; the task's usual ones when empty"),
    )
    clock: bool = field(default=False, metadata=about("time a few settings as well"))
    layers: list[int] = field(
        default_factory=list, metadata=about("layers to cut to; every number of them when empty")
    )
    device: Literal["cpu", "cuda"] | None = field(
        default=None, metadata=about("where it computes; on a GPU if there is one when empty")
    )


def depth_of(model: Any, of_decoder: bool) -> int:
    """Layers of the network that is cut.

    Raises:
        UserError: It is no encoder, or a finished generator, which cannot be cut here.
    """
    if of_decoder:
        if not isinstance(model, Mapping):
            raise UserError("Give a description of a fresh generator as model; its decoder is cut.")
        return int(model.get("num_decoder_layers", model.get("num_layers", 6)))
    if isinstance(model, Mapping):
        return int(model.get("num_hidden_layers", 12))
    from transformers import AutoModel

    return adapt(load_network(model, AutoModel)).num_layers


def cuts(config: CutConfig) -> dict[int, dict[str, Any]]:
    """Trainings of the cut networks; the whole one is fine-tuned in any case.

    Raises:
        UserError: No such layers.
    """
    of_decoder = config.level == "step"
    depth = depth_of(config.model, of_decoder)
    layers = sorted({*(config.layers or range(1, depth))} - {depth})
    if any(not 1 <= layer < depth for layer in layers):
        raise UserError(f"layers must be from 1 to {depth}, not {config.layers!r}.")

    def cut(layer: int) -> dict[str, Any]:
        told = {"model": {"num_decoder_layers": layer}} if of_decoder else {"keep_layers": layer}
        return {"name": f"cut-{layer}", "method": FINE_TUNING, "curve": CURVE, **told}

    return {layer: cut(layer) for layer in layers}


def run(config: CutConfig, command: str) -> Path:
    """Train and measure everything that is not on disk yet; the record.

    Raises:
        UserError: No data is given, or anything wrong with what is.
    """
    if config.data is None:
        raise UserError("Say what to train on: data=FOLDER.")
    told = {one.name: getattr(config, one.name) for one in fields(CompareMethodsConfig)}
    told["trainings"] = [*cuts(config).values(), *config.trainings]
    folder = Path(config.output_dir)
    try:
        compare_methods(CompareMethodsConfig(**told), command)
    finally:
        held = folder / "comparison.json"
        if held.is_file():
            found = recorded(json.loads(held.read_text(encoding="utf-8")))
            write_text(folder / RECORD, to_json(found, indent=1) + "\n")
    return folder / RECORD


def recorded(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a comparison found, by cut, training and seed.

    Returns:
        ``cuts``, by number of layers and seed, ``quality`` and multiply-accumulates of each split
        over those of the whole plain network; ``exits``, by training and seed, the same of each
        setting (``points``), of full depth, and of the ``calibrated`` policy; ``failed``.
    """
    settings, runs = content["settings"], content["runs"]
    done = {name: one for name, one in runs.items() if "error" not in one}
    whole = {str(one["seed"]): one for one in done.values() if one["method"] == FINE_TUNING}
    found: dict[str, Any] = {
        "command": content["command"],
        "task": settings["task"],
        "data": Path(str(settings["data"])).name,
        "model": Path(str(settings["model"])).name if isinstance(settings["model"], str) else "",
        "train": settings["train"],
        "metric": next((one["calibrated"]["metric"] for one in done.values()), ""),
        "cuts": {},
        "exits": {},
        "failed": {name: one["error"] for name, one in runs.items() if "error" in one},
    }
    for one in done.values():
        seed = str(one["seed"])
        if seed not in whole:
            continue  # nothing yet that costs are relative to
        share = one["plain_macs"] / whole[seed]["plain_macs"]
        if one.get("curve") == CURVE or one["method"] == FINE_TUNING:
            by_seed = found["cuts"].setdefault(str(one["num_layers"]), {})
            by_seed[seed] = {**_scaled(_full(one), share), "macs": one["plain_macs"]}
        else:
            found["exits"].setdefault(one["method"], {})[seed] = _of_exits(one, share)
    found["cuts"] = dict(sorted(found["cuts"].items(), key=lambda item: int(item[0])))
    return found


def _full(run: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(point for point in run["points"] if point["kind"] == "full")


def _of_exits(run: Mapping[str, Any], share: float) -> dict[str, Any]:
    kinds = {"engine", "static"} if run["method"] == STATIC else {"engine"}
    points = [
        {"policy": point["policy"], **_scaled(point, share)}
        for point in run["points"]
        if point["kind"] in kinds
    ]
    calibrated = run["calibrated"]
    told = {key: calibrated[key] for key in ("policy", "quality", "depth_speedup")}
    told["mac_ratio"] = calibrated["mac_ratio"] * share
    return {"full": _scaled(_full(run), share), "calibrated": told, "points": points}


def _scaled(point: Mapping[str, Any], share: float) -> dict[str, float]:
    return {key: point[key] * (share if "mac" in key else 1) for key in POINT if key in point}


def read(folders: Sequence[str]) -> list[dict[str, Any]]:
    """Records of some folders, seeds of one corpus together.

    Raises:
        UserError: One holds none.
    """
    found = []
    for folder in folders:
        path = Path(folder) / RECORD if Path(folder).is_dir() else Path(folder)
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is no record of this script: {error}") from error
    return merged(found)


def of_page() -> str:
    """What was recorded so far, as the page has it."""
    kept = sorted(RESULTS.glob("*.json"))
    return (
        tables([json.loads(path.read_text(encoding="utf-8")) for path in kept])
        or "No such run is recorded here yet."
    )


def main(argv: list[str]) -> None:
    """Run, or print or keep what was run."""
    if argv[:1] == ["table"]:
        print(tables(read(argv[1:])))
    elif argv[:1] == ["record"]:
        if len(argv) < 3 or len(found := read(argv[2:])) != 1:
            raise UserError("Give a name and folders of one corpus: record NAME FOLDER ...")
        write_text(RESULTS / f"{argv[1]}.json", to_json(found[0], indent=1) + "\n")
        put(of_page(), PAGE, MARK)
        print(tables(found))
    else:
        config = load_config(CutConfig, argv, {"output_dir": "runs/cut-networks"})
        _place(config.device)
        command = shlex.join(["python", "benchmarks/cut_networks.py", *argv])
        print(tables(read([str(run(config, command))])))


def _place(device: str | None) -> None:
    """Compute there.

    Raises:
        UserError: There is no GPU.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before anything asks for one
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda finds no GPU here; leave it out, or say device=cpu.")


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
