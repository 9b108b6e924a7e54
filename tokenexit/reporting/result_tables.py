"""Tables of the page on results: by split, and against full depth."""

from __future__ import annotations

from tokenexit.reporting.run import RunData
from tokenexit.reporting.table import Table
from tokenexit.reporting.text_figures import text_figures
from tokenexit.wording.naming import capital, fixed, metric_name, percent, score, times, whole


def results_table(run: RunData) -> Table:
    """One line a split."""
    apart = run.holder != run.unit
    asked = oracle_known(run)
    head = ["Split", *([f"{capital(run.holder)}s"] if apart else []), f"{capital(run.unit)}s"]
    head += ["Metric", "Early exit", "Full depth", "Kept", "Mean exit layer"]
    head += [f"Fewer {run.step}s", "MACs", *(["Oracle's layer", "Reached"] if asked else [])]
    rows = []
    for name, r in run.results.items():
        row = [name, *([whole(r.n_sentences)] if apart else []), whole(r.n_rows)]
        row += [metric_name(r.metric), score(r.quality, r.metric)]
        row += [score(r.quality_full_depth, r.metric), percent(r.relative_quality)]
        row += [f"{fixed(r.mean_exit_layer, 2)} of {r.num_layers}", times(r.depth_speedup)]
        row += [fixed(r.mac_ratio, 3)]
        if asked:
            known = r.oracle
            row += [fixed(known.exit_layer if known else None, 2)]
            row += [percent(known.reached if known else None)]
        rows.append(row)
    return Table(head, rows)


def oracle_known(run: RunData) -> bool:
    """Whether any split knows what an oracle would do."""
    return any(result.oracle for result in run.results.values())


def against_full_depth(run: RunData) -> Table | None:
    """What generated texts have in common with those of full depth; None of labels."""
    head = [
        "Split", "BLEU difference", "95% interval", "p", "chrF", "chrF at full depth",
        "Texts that are equal", "Before the first other token",
    ]  # fmt: skip
    asked = oracle_known(run)
    rows = []
    for name, result in run.results.items():
        f = text_figures(result)
        if f is not None:
            row = [name, f.difference, f.interval, f.p_value, f.chrf, f.chrf_full, f.exact]
            row += [f.prefix, *([] if asked else [f.oracle]), f.read]
            rows.append(row)
    head += [*([] if asked else ["Layer of a perfect confidence"]), "Bytes read"]
    return Table(head, rows) if rows else None


def further_table(run: RunData) -> Table | None:
    """Every figure of labels; None of generated texts."""
    first = run.headline
    if first is None or first.generates or not first.figures:
        return None
    names = [name for name in first.figures if "_difference" not in name]  # said in words
    rows = [
        [split, *(fixed(result.figures.get(name), 4) for name in names)]
        for split, result in run.results.items()
    ]
    return Table(["Split", *map(metric_name, names)], rows)
