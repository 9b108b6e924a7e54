"""The clock: milliseconds of plain transformers, other engines, and ours with and without exits."""

from __future__ import annotations

from tokenexit.policies.in_words import policy_words
from tokenexit.reporting.bench import Bench
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.render import render
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import capital, counted, milliseconds, times


@PANELS.register("clock")
class Clock(Panel):
    """What was timed, the engine's share and the exits' apart."""

    section = "clock"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        return [_picture(run, bench) for bench in run.benches if bench.rows]


def _picture(run: RunData, bench: Bench) -> Picture:
    slowest = max((row.ms for row in bench.rows if row.ms is not None), default=1.0)
    chart = render(
        "clock.html.j2",
        bench=bench,
        per_second="Tokens/s" if bench.kind == "tokens" else "Texts/s",
        slowest=slowest,
        told=verdict(bench),
    )
    note = f"{counted(bench.texts, 'text')}, taking turns on {bench.where}."
    mine = run.headline.policy if run.headline is not None else None
    if mine and bench.policy and policy_words(mine) != policy_words(bench.policy):
        note += f" Timed with another policy than the model's: {policy_words(bench.policy)}."
    return Picture(f"Texts {bench.batches}", chart, note=note)


def verdict(bench: Bench) -> str:
    """What the engine gives, what exits give, and against whom."""
    told = [f"{times(bench.total)} as fast as plain transformers"]
    told.append(f"the engine alone gives {times(bench.engine)}, exits {times(bench.exits)} more")
    sentence = f"{capital('; '.join(told))}."
    if bench.exits < 1:
        sentence += " Exits do not pay here: full depth is faster."
    best, mine = bench.best_other, bench.policy_ms
    if best is not None and best is not bench.rows[0] and best.ms and mine:
        sentence += (
            f" The fastest of the others, {best.name}, takes {milliseconds(best.ms)}: "
            f"{times(best.ms / mine)} that of ours."
        )
    return sentence
