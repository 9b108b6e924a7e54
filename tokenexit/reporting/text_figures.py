"""How generated texts compare with those of the full depth, in words."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.results import Result
from tokenexit.wording.naming import fixed, metric_name, percent, score, signed, times


@dataclass(frozen=True)
class TextFigures:
    """What one split tells of generated texts; dashes where nothing was saved.

    Attributes:
        difference: BLEU less that of the full depth.
        interval: Its 95% confidence interval.
        p_value: Of the paired bootstrap.
        chrf: chrF.
        chrf_full: The same of the full depth.
        exact: Share of texts that are equal.
        prefix: Share of a text before the first token that differs.
        oracle: Mean layer at which a perfect confidence would let a token leave.
        read: Bytes the decoder read, as a share of the full depth's.
    """

    difference: str
    interval: str
    p_value: str
    chrf: str
    chrf_full: str
    exact: str
    prefix: str
    oracle: str
    read: str


def text_figures(result: Result) -> TextFigures | None:
    """Sort out the figures of a split; None for a tagger's."""
    if not result.generates:
        return None
    get = result.figures.get
    low, high = (get(f"bleu_difference_{end}") for end in ("low", "high"))
    p_value = get("bleu_difference_p")
    return TextFigures(
        difference=signed(_hundred(get("bleu_difference"))),
        interval=f"{signed(_hundred(low))} to {signed(_hundred(high))}",
        p_value=score(p_value, "p", 3),
        chrf=score(get("chrf"), "chrf"),
        chrf_full=score(get("chrf_full_depth"), "chrf"),
        exact=percent(get("agreement_exact")),
        prefix=percent(get("agreement_prefix")),
        oracle=fixed(get("oracle_exit_layer"), 2),
        read=percent(get("bytes_ratio")),
    )


def text_lines(result: Result) -> dict[str, str]:
    """The same for a terminal, by name; only what was saved."""
    found, held = text_figures(result), result.figures
    if found is None:
        return {}
    lines = {}
    if "bleu_difference" in held:
        lines["difference"] = f"{found.difference} BLEU"
        if "bleu_difference_low" in held:
            lines["difference"] += f", 95% interval {found.interval}, p = {found.p_value}"
    if "chrf" in held:
        against = f" against {found.chrf_full} at {result.full_name}"
        against = against if "chrf_full_depth" in held else ""
        lines["chrf"] = f"{metric_name('chrf')} {found.chrf}{against}"
    lines |= further_metrics(result)
    if "agreement_exact" in held:
        lines["agreement"] = (
            f"{found.exact} of texts as at {result.full_name}, "
            f"the first other token after {found.prefix} of a text"
        )
    if "oracle_exit_layer" in held and result.oracle is None:  # of an earlier version
        early = held["oracle_exit_layer"]
        lines["bound"] = f"a perfect confidence would let tokens leave at layer {found.oracle}"
        lines["bound"] += f", {times(result.num_layers / early)} fewer" if early else ""
    if "bytes_ratio" in held:
        lines["memory"] = f"{found.read} of the bytes that the decoder reads at full depth"
    return lines


def further_metrics(result: Result) -> dict[str, str]:
    """Further metrics with their value at full depth, by name; chrF stands elsewhere."""
    held = result.figures
    return {
        name: f"{metric_name(name)} {score(held[name], name)} against "
        f"{score(held[deep], name)} at {result.full_name}"
        for deep in held
        if (name := deep.removesuffix("_full_depth")) != deep and name in held and name != "chrf"
    }


def text_sentences(result: Result) -> list[str]:
    """The same in a sentence or two; only what was saved."""
    found, held = text_figures(result), result.figures
    sentences = []
    if found is not None and "bleu_difference_low" in held:
        sentences.append(
            f"Against {result.full_name}, BLEU changes by {found.difference} (95% interval "
            f"{found.interval})."
        )
    if found is not None and "agreement_exact" in held:
        sentences.append(f"{found.exact} of the texts are the same as at {result.full_name}.")
    return sentences


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value
