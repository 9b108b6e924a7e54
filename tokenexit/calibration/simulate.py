"""Try every setting of a policy on the table of one full-depth pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenexit.calibration.clock.clock import Clock
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.tasks import LabelledTask, Rows, labelled_task


@dataclass(frozen=True)
class SimulatedSetting:
    """One simulated setting.

    Attributes:
        value: Of the threshold.
        quality: 0 to 1.
        depth_speedup: Depth over mean exit layer.
        ms: Milliseconds a text, where a clock foretells them.
    """

    value: float
    quality: float
    depth_speedup: float
    ms: float | None = None


def grid(policy: Policy, count: int) -> list[float]:
    """Settings of a policy's threshold, from strict to loose."""
    spec = policy.threshold_spec()
    assert spec is not None
    values = [spec.value(i / (count - 1)) for i in range(count)]
    shown = [float(round(v)) if spec.integer else float(f"{v:.4g}") for v in values]
    return list(dict.fromkeys(shown))


def simulate(
    table: ExitTable,
    families: Sequence[Policy],
    count: int,
    task: str,
    metric: str | None = None,
    clock: Clock | None = None,
) -> list[list[SimulatedSetting]]:
    """Outcomes of each family, from strict to loose.

    Args:
        table: What every exit says of every word; the same on every process.
        families: Policies with a threshold; processes share them out.
        count: Settings of a threshold.
        task: Name of the task.
        metric: Which figure is the quality; the task's usual one when None.
        clock: Foretells times; None where nobody asks.
    """
    of = labelled_task(task)
    metric = None if metric == of.metric else metric
    mine = {
        number: [
            _outcome(table, families[number], value, of, metric, clock)
            for value in _settings(families[number], count, table, clock)
        ]
        for number in my_share(len(families))
    }
    merged = {number: found for part in gather([mine]) for number, found in part.items()}
    return [merged[number] for number in range(len(families))]


def _settings(policy: Policy, count: int, table: ExitTable, clock: Clock | None) -> list[float]:
    """Settings to try: a grid, or by the clock every exit where there is one depth for all."""
    if clock is not None and isinstance(policy, AssignedDepth) and not policy.by_item:
        return [float(layer) for layer in reversed(table.exit_layers[:-1])]
    return grid(policy, count)


def _outcome(
    table: ExitTable,
    policy: Policy,
    value: float,
    task: LabelledTask,
    metric: str | None,
    clock: Clock | None,
) -> SimulatedSetting:
    layers, prediction = table.simulate(policy.with_threshold(value))
    gold = table.gold.numpy()
    mine = table.mine & table.known
    if not mine.any():
        return SimulatedSetting(value, 0.0, 1.0)
    rows = Rows(prediction[mine], gold[mine], table.text[mine], table.classes)
    quality = task.quick(rows) if metric is None else task.graded(*rows, metric)["quality"]
    ms = None if clock is None else clock.ms(policy.with_threshold(value), layers[table.mine])
    return SimulatedSetting(
        value, float(quality), table.num_layers / float(layers[mine].mean()), ms
    )
