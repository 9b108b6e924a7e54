"""Policies against each other on one trained model: the same promise, the same texts, the clock.

Nothing is trained. Each family is calibrated on the validation split, run on the test split, and
timed; one that fails is reported and the others go on. Every result is on disk as soon as it
exists, and an interrupted comparison goes on where it stopped. Batch sizes may be timed later, on a
machine that has nothing else to do, and budgets may be asked for later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.goal import check_family
from tokenexit.calibration.sampling import sample
from tokenexit.config.limits import THREADS, about, check_limits
from tokenexit.errors import UserError
from tokenexit.files import write_json
from tokenexit.policies import Policy, from_config
from tokenexit.reporting.policy_comparison import policies_table, write_policies
from tokenexit.workflows.commands import Commands, open_model
from tokenexit.workflows.comparison import comparison, refuse_others, without_fail
from tokenexit.workflows.logs import logger
from tokenexit.workflows.same_run import read_record, whole_path
from tokenexit.workflows.within_budget import Measure, measured_within, swept

BLIND = ("assigned_depth",)
READING = (
    "margin", "max_prob", "entropy", "patience",
    '{"name": "pcee", "policy": {"name": "entropy"}}',
    '{"name": "every_kth", "policy": {"name": "margin"}, "k": 2}',
)  # fmt: skip
OF_TOKENS = (
    '{"name": "window", "policy": {"name": "entropy"}, "size": 3}',
    "energy",
)
OF_ENTITIES = ('{"name": "per_class", "classes": {"O": {"name": "entropy", "threshold": 0.03}}}',)
OF_STEPS = (
    '{"name": "decay", "policy": {"name": "margin"}}',
    "saturation",
    '{"name": "two_stage", "gate": {"name": "saturation"}, "confirm": {"name": "margin"}}',
    '{"name": "shortlist", "policy": {"name": "margin"}, "size": 64}',
)


@dataclass(frozen=True)
class CompareConfig:
    """Compare policies on a trained model."""

    run: str = field(metadata=about("run folder or model of a recipe"))
    data: str = field(metadata=about("Hub id, folder or file, as the model was trained on"))
    output_dir: str = field(metadata=about("where the comparison goes"))
    policies: list[Any] = field(
        default_factory=list, metadata=about("families; what the model can serve when empty")
    )
    min_quality: float = field(
        default=0.99,
        metadata=about("share of full-depth quality each has to keep", above=0, high=1),
    )
    limit: int | None = field(
        default=None, metadata=about("validation texts to calibrate on", low=1)
    )
    speedups: list[float] = field(
        default_factory=list,
        metadata=about(
            "times fewer multiply-accumulates to spend, such as [2, 3]: of each policy the setting "
            "that is best within them on the validation texts is run on the test split too",
            low=1,
        ),
    )
    bench: list[int] = field(
        default_factory=lambda: [1, 32],
        metadata=about("batch sizes to time; none to leave out", low=1),
    )
    bench_texts: int = field(
        default=64, metadata=about("test texts to time, at batch size 32", low=1)
    )
    repeats: int = field(default=3, metadata=about("timed passes", low=1))
    column: str | None = field(default=None, metadata=about("column of the tags"))
    lang: str | None = field(default=None, metadata=about("direction of a translation column"))
    batch_size: int = field(default=32, metadata=about("texts a batch when evaluating", low=1))
    threads: int | None = field(
        default=None, metadata=about("threads torch computes with", low=1, high=THREADS)
    )

    def __post_init__(self) -> None:
        check_limits(self)


def compare(config: CompareConfig) -> Path:
    """Run the comparison.

    Returns:
        The table, ``compare.md`` in the output folder, beside ``compare.json`` and
        ``compare.csv``.

    Raises:
        UserError: No such model or data, or a family that cannot be calibrated.
    """
    with comparison(config.output_dir, config.threads):
        return _compare(config)


def _compare(config: CompareConfig) -> Path:
    opened = open_model(config.run)
    families = _families(config, opened.model)
    options = {"column": config.column, "lang": config.lang}
    validation, test = (
        opened.split(config.data, name, **options) for name in ("validation", "test")
    )
    folder = Path(config.output_dir)
    path = folder / "compare.json"
    done = _read(path, config)
    for name, family in families.items():
        if name not in done:
            logger.info("%s", name)
            done[name] = without_fail(lambda f=family: _one(config, opened, f, validation, test))
            write_json(path, {"config": _settings(config), "results": done})
            logger.info("%s", _said(done[name]))
        budgeted = _budget(config, opened, family, done[name], validation, test)
        if _time(config, opened, done[name], test) or budgeted:
            write_json(path, {"config": _settings(config), "results": done})
    content = {"config": _settings(config), "results": done}
    logger.info("%s", policies_table(content))
    return write_policies(folder, content)


def _families(config: CompareConfig, model: Any) -> dict[str, Policy]:
    given = list(config.policies)
    if not given:
        given = [*BLIND, *READING, *(OF_TOKENS if model.settings.labels else OF_STEPS)]
        given += OF_ENTITIES if "O" in model.settings.labels else ()
        given += _of_gate(model.settings.heads.get("gate"))
        given += ["context_gate"] if getattr(model, "context", None) is not None else []
        given += ["predicted_depth"] if model.settings.heads.get("depth") else []
    families: dict[str, Policy] = {}
    for item in given:
        policy = from_config(item)
        check_family(policy)
        name = _name(policy)
        if name in families:
            raise UserError(f"policies lists {name} twice, calibrated alike; leave one out.")
        families[name] = policy
    return families


def _of_gate(gate: Any) -> list[str]:
    """The policy that asks a model's gate, if it has one."""
    kind = gate.get("name") if isinstance(gate, Mapping) else "linear"
    return [{"pair": "q_exit", "units": "dact"}.get(str(kind), "learned_gate")] if gate else []


def _name(policy: Policy) -> str:
    """A short name for a composition, such as ``every_kth(margin, k=3)``.

    Settings at their defaults are left out, and the one that calibration turns.
    """
    turned = None if policy.own_threshold is None else policy.own_threshold.field
    inside = []
    for item in fields(policy):  # type: ignore[arg-type]
        value = getattr(policy, item.name)
        if isinstance(value, Policy):
            inside.append(_name(value))
        elif isinstance(value, int | float | str) and item.name != turned:
            inside += [f"{item.name}={value}"] if value != item.default else []
    name = str(policy.to_config()["name"])
    return f"{name}({', '.join(inside)})" if inside else name


def _one(
    config: CompareConfig, opened: Commands, family: Policy, validation: Any, test: Any
) -> dict[str, Any]:
    """Calibrate and run one family."""
    promise = CalibrateConfig(min_quality=config.min_quality, loose=True, limit=config.limit)
    found = opened.calibrate(validation, "validation", promise, family, config.batch_size)
    policy = from_config(found.policy)
    result = opened.evaluate(test, "test", policy, batch_size=config.batch_size)
    curve = [asdict(candidate) for candidate in found.candidates if candidate.verified]
    return {
        "policy": dict(found.policy),
        "reached": found.reached,
        "validation": dict(found.chosen),
        "test": result.to_json(),
        "bench": {},
        "curve": curve,
    }


def _budget(
    config: CompareConfig,
    opened: Commands,
    family: Policy,
    found: dict[str, Any],
    validation: Any,
    test: Any,
) -> bool:
    """Measure the budgets that are asked for and were not yet; whether there were any."""
    if "error" in found:
        return False
    held = found.get("budgets", {})
    missing = [speedup for speedup in config.speedups if f"{speedup:g}" not in held]
    if not missing:
        return False

    def runs(split: Any, name: str) -> Measure:
        return lambda policy: opened.evaluate(split, name, policy, batch_size=config.batch_size)

    if "swept" not in found:
        texts = validation if config.limit is None else sample(validation, config.limit)
        found["swept"] = swept(family, runs(texts, "validation"))
    for speedup in missing:
        held[f"{speedup:g}"] = measured_within(found["swept"], speedup, runs(test, "test"))
    found["budgets"] = held
    return True


def _time(config: CompareConfig, opened: Commands, found: dict[str, Any], test: Any) -> bool:
    """Time the batch sizes that are asked for and were not timed yet; whether there were any."""
    if "error" in found:
        return False
    missing = [size for size in config.bench if str(size) not in found["bench"]]
    policy = from_config(found["policy"])
    for size in missing:
        texts = max(config.bench_texts * min(size, 32) // 32, 8)
        timed = opened.bench(test, texts, policy, batch_size=size, repeats=config.repeats)
        found["bench"][str(size)] = timed.to_json()
    return bool(missing)


def _said(found: Mapping[str, Any]) -> str:
    if "error" in found:
        return f"failed: {found['error']}"
    test = found["test"]
    return f"{100 * test['relative_quality']:.1f} % kept at {test['depth_speedup']:.2f}x"


def _settings(config: CompareConfig) -> dict[str, Any]:
    free = ("output_dir", "policies", "threads", "speedups", "bench", "bench_texts", "repeats")
    return {key: value for key, value in asdict(config).items() if key not in free}


def _placed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with whole paths: however they are spelled, it is the same comparison."""
    return {**settings, **{name: whole_path(settings.get(name)) for name in ("run", "data")}}


def _read(path: Path, config: CompareConfig) -> dict[str, Any]:
    """What an earlier, interrupted comparison has found.

    Raises:
        UserError: It was made with other settings.
    """
    if not path.is_file():
        return {}
    held = read_record(path)
    refuse_others(path, held["config"], _settings(config), _placed)
    return dict(held["results"])
