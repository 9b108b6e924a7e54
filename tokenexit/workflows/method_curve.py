"""What is measured of a finished run: its whole curve, the cost of asking, the clock."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.bench import bench
from tokenexit.evaluation.curve import point
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.files import write_json
from tokenexit.halting.cost import plain_macs
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.labeller import Labeller
from tokenexit.policies import Policy, from_config
from tokenexit.policies.all_of import AllOf
from tokenexit.policies.assigned_depth import MAX_DEPTH, AssignedDepth
from tokenexit.policies.never import Never
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.method_runs import MethodRun
from tokenexit.workflows.method_sweep import next_setting

STORE = "measured.json"

FEW = 64
"""Texts on which costs are measured that hardly vary between texts."""

TIMED = (2.0, 3.0)
"""Savings of multiply-accumulates near which a setting is timed, beside the calibrated one."""

_NUMBERS = ("quality", "relative_quality", "mean_exit_layer", "depth_speedup", "mac_ratio")


def measure(
    run: MethodRun, config: CompareMethodsConfig, splits: Mapping[str, TaggedSplit]
) -> dict[str, Any]:
    """Measure a finished run on its test split; what is on disk already is not done again.

    Args:
        run: The run.
        config: The comparison.
        splits: Its data.

    Returns:
        ``points`` as in ``pareto.csv``; ``calibrated``, the result of the calibrated policy;
        ``guess``, quality of the commonest class; ``num_layers`` and ``plain_macs`` of the network
        that costs are relative to; ``uniform_depth``, whether depth is counted in its layers;
        ``overhead``, None without a policy; ``clock``, None where it was not asked for.
    """
    store = run.folder / STORE
    found = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else {}
    metrics = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    name = list(metrics["splits"])[-1]
    calibrated, split = metrics["splits"][name], splits[name]
    model: Any = open_model(str(run.folder)).model
    # Of a cascade the last model is the whole network that its costs are relative to.
    network: EncoderModel = model if isinstance(model, EncoderModel) else model.stages[-1]
    if "points" not in found:
        lengths = [
            len(p.sentence.input_ids) for p in network.encoder.encode(split.head(FEW).tokens)
        ]
        found |= {
            "points": _saved_points(run.folder),
            "calibrated": calibrated,
            "guess": guess(splits["train"], split, calibrated["metric"]),
            "num_layers": network.backbone.num_layers,
            "plain_macs": plain_macs(network.backbone, lengths, batches=len(lengths)),
            "uniform_depth": model.uniform_depth,
        }
    family = _family(run, calibrated)
    if family is not None:
        _sweep(run.folder, model, split, family, found, config)
    if "overhead" not in found:
        found["overhead"] = None if family is None else _overhead(model, split, family)
    if config.clock and found.get("clock") is None:
        found["clock"] = _clock(model, split, found["points"], calibrated, config)
    found.setdefault("clock", None)
    write_json(store, found)
    return found


def guess(train: TaggedSplit, test: TaggedSplit, metric: str) -> float:
    """Quality of what costs nothing: the commonest class of the training split as the answer.

    Anything but an accuracy counts entities, of which such answers have none.
    """
    if metric != "accuracy":
        return 0.0
    common = Counter(tag for tags in train.tags or [] for tag in tags).most_common(1)[0][0]
    answers = [tag == common for tags in test.tags or [] for tag in tags]
    return sum(answers) / len(answers)


def _saved_points(folder: Path) -> list[dict[str, Any]]:
    with (folder / "pareto.csv").open(encoding="utf-8", newline="") as file:
        return [
            {
                **{key: row[key] for key in ("kind", "policy", "family", "split")},
                **{key: float(row[key]) for key in _NUMBERS},
                "value": float(row["value"]) if row["value"] else None,
            }
            for row in csv.DictReader(file)
        ]


def _family(run: MethodRun, calibrated: Mapping[str, Any]) -> Policy | None:
    """Whose knob is turned: the family that calibration chose, else the method's first."""
    policy = from_config(calibrated["policy"])
    if policy.dial() is not None:
        return policy
    families = [from_config(family) for family in run.config.calibrate.policies]
    return families[0] if families else None


def _sweep(
    folder: Path,
    model: Labeller,
    split: TaggedSplit,
    family: Policy,
    found: dict[str, Any],
    config: CompareMethodsConfig,
) -> None:
    """Run settings until the curve has no wide gap; each is on disk before the next."""
    calibration, calibrated = folder / "calibration.json", found["calibrated"]
    candidates: list[dict[str, Any]] = []
    if calibration.is_file():
        candidates = json.loads(calibration.read_text(encoding="utf-8"))["candidates"]
    options: dict[str, Any] = {
        "full_depth": calibrated["quality_full_depth"],
        "batch_size": config.batch_size,
        "on_unknown": None,
    }
    while True:
        value = next_setting(family, found["points"], candidates, config.settings)
        if value is None:
            return
        policy = family.at(value)
        result, _ = evaluate(model, split, calibrated["split"], policy, **options)
        found["points"].append(asdict(point("engine", policy, value, result)))
        write_json(folder / STORE, found)


def _overhead(model: Labeller, split: TaggedSplit, family: Policy) -> float:
    """Multiply-accumulates of asking at every exit when nobody leaves, over the plain model's."""
    few = split.head(FEW)
    asked, alone = (
        evaluate(model, few, "", policy, full_depth=1.0, on_unknown=None)[0].mac_ratio
        for policy in (AllOf((family, AssignedDepth(MAX_DEPTH))), Never())
    )
    return asked - alone


def _clock(
    model: Any,
    split: TaggedSplit,
    points: Sequence[Mapping[str, Any]],
    calibrated: Mapping[str, Any],
    config: CompareMethodsConfig,
) -> list[dict[str, Any]]:
    """Time the calibrated policy, and the settings nearest to savings of ``TIMED``."""
    engine = [p for p in points if p["kind"] == "engine"]
    policies = {json.dumps(calibrated["policy"], sort_keys=True): "calibrated"}
    for speed in TIMED if engine else ():
        near = min(engine, key=lambda p: abs(p["mac_ratio"] - 1 / speed))
        text = json.dumps(json.loads(near["policy"]), sort_keys=True)
        policies.setdefault(text, f"near {speed:g}x")
    texts = split.sample(config.clock_texts).tokens
    options: dict[str, Any] = {"batch_size": config.clock_batch, "repeats": config.repeats}
    return [
        {
            "setting": label,
            **bench(model, texts, from_config(json.loads(text)), **options).to_json(),
        }
        for text, label in policies.items()
    ]
