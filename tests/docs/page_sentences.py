"""Sentences of pages with figures in them, and where in the recorded files each figure stands.

A sentence has a place for each figure, and a function gives the values that belong there, in order.
``test_figures.py`` puts them together and looks for the sentence on the page. That a number stands
somewhere in a file would say little: large files have nearly every number of three digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from page_values import (
    RUNS,
    bench,
    both_ways,
    cells,
    clock,
    found_after,
    in_batches_of_32,
    kept_at_fixed_layer,
    kept_on_curve,
    of_bound,
    quality,
    recipe,
    single,
    split,
    texts_for_f1,
    texts_without_loss,
    two_threads,
    waited,
)

BOTH = ("quality", "quality_full_depth")
KEPT = ("relative_quality", "depth_speedup")

SAID: dict[str, list[tuple[str, Callable[[], Sequence[float]]]]] = {
    "docs/clock.md": [
        (
            "*Exits alone* reaches {:.0f} to {:.0f} % of what the arithmetic allows",
            lambda: of_bound("int8"),
        ),
        (
            "In fp32, where layers take longer, it is {:.0f} to {:.0f} %",
            lambda: of_bound("fp32"),
        ),
        (
            "EWT in batches of 32 is {:.1f} to {:.1f} times as fast as ONNX Runtime",
            lambda: [clock("ewt, int8, batch 32", f"ours_{at}", "ONNX") for at in ("p10", "p90")],
        ),
        (
            "full depth one by one is {:.2f} times (E2E) and {:.2f} times (`ende`) as fast",
            lambda: [
                clock(f"{run}, int8, batch 1", "full_depth_median", "CTranslate2")
                for run in ("e2e", "ende")
            ],
        ),
        (
            "{:.2f} times our full depth, {:.0f} % of what the arithmetic allows. It costs in "
            "batches of 8 and 32, {:.2f} and {:.2f} times",
            lambda: [
                clock("ende, int8, batch 1", "policy_speedup"),
                100 * clock("ende, int8, batch 1", "of_bound"),
                *(clock(f"ende, int8, batch {size}", "policy_speedup") for size in (8, 32)),
            ],
        ),
        (
            "E2E at full depth {:.1f} BLEU and {:.1f}; `ende` at full depth {:.1f} and {:.1f}, "
            "with its shortlist {:.1f}. Taggers at full depth: EWT {:.1f} F1 and {:.1f}, parts "
            "of speech {:.1f} % and {:.1f} %; with their gates {:.1f} F1 and {:.1f} %.",
            lambda: [
                *(quality("e2e", key) for key in BOTH),
                *(quality("ende, never", key) for key in BOTH),
                quality("ende"),
                *(quality(f"{run}, never", key) for run in ("ewt", "pos") for key in BOTH),
                *(quality(run) for run in ("ewt", "pos")),
            ],
        ),
        (
            "two threads are {:.2f} (EWT), {:.2f} (parts of speech), {:.2f} (E2E) and {:.2f} "
            "times (`ende`) as fast as one",
            lambda: [two_threads(run) for run in ("ewt", "pos", "e2e", "ende")],
        ),
        (
            "through torch's operators takes {:.2f} ms a text where the kernels take {:.2f} ms",
            lambda: [
                clock(f"ewt, int8, batch 1{how}", "ms_per_text", "ours, policy")
                for how in (", no kernels", "")
            ],
        ),
        (
            "(ours is {:.2f} times as fast)",
            lambda: [clock("ewt, int8, batch 1, no kernels", "full_depth_median", "ONNX")],
        ),
    ],
    "docs/batching_by_depth.md": [
        (
            "a whole step {:.2f} ms at batch 1 and {:.2f} ms at 32 (a line beyond, which is a "
            "guess at 128), {:.1f} ms a fetched decision, {:.4f} ms for each layer above that "
            "those who left are copied to, {:.2f} ms to plan a round",
            lambda: [
                *(ms for _, ms in bench("waiting")["costs"]["step"]),
                *(bench("waiting")["costs"][key] for key in ("decision", "copy", "planning")),
            ],
        ),
        (
            "it gives {:.2f} ms, {:.2f} ms and {:.2f} ms a step (batch 1) and {:.2f} ms, {:.2f}"
            " ms and {:.2f} ms (32)",
            lambda: [one["ms"] for one in bench("waiting")["fixed_steps"]],
        ),
        (
            "it is missed, at {:.2f} times and {:.2f} times",
            lambda: [waited("stated", size, size) for size in (32, 128)],
        ),
        (
            "which have {:.2f} times its tokens",
            lambda: [waited("stated", 32, 64, "over_all")],
        ),
        (
            "it would be {:.2f} times with 32 in flight and {:.2f} times with 64, which is "
            "{:.2f} times one batch of 64",
            lambda: [
                *(waited("free", 32, slots) for slots in (32, 64)),
                waited("free", 32, 64, "over_all"),
            ],
        ),
    ],
    "docs/benchmarks.md": [
        (
            "on test EWT keeps {:.1f} % at {:.2f}x fewer layers, parts of speech {:.1f} % at "
            "{:.2f}x), single texts with policies of their own (`ewt_one`: {:.1f} %)",
            lambda: [
                *(quality(run, key) for run in ("ewt", "pos") for key in KEPT),
                quality("ewt_one", "relative_quality"),
            ],
        ),
        (
            "full depth with exits stands at {:.1f} BLEU, the single head at {:.1f}; on the "
            "test split, whose inputs are of other shapes, at {:.1f} against {:.1f}",
            lambda: [
                value
                for which in ("validation", "test")
                for value in (split("e2e", which, "quality_full_depth"), single("e2e", which))
            ],
        ),
        (
            "the margin keeps {:.1f} % of the BLEU at {:.2f}x fewer decoder layers and {:.1f} %"
            " at {:.2f}x; with all texts stopping at layer 4, {:.1f} % remain at 1.50x",
            lambda: [
                *kept_on_curve("e2e", 1.94),
                *kept_on_curve("e2e", 2.05),
                kept_at_fixed_layer("e2e", 4),
            ],
        ),
        (
            "(validation {:.1f} against {:.1f} of the single head)",
            lambda: [
                split("e2e_07", "validation", "quality_full_depth"),
                single("e2e_07", "validation"),
            ],
        ),
        (
            "It keeps {:.1f} % on the validation split and {:.1f} % on the test split, where "
            "upper layers help less (all texts stopping at layer 4 score {:.1f} %)",
            lambda: [
                *(split("e2e_07", which, "relative_quality") for which in ("validation", "test")),
                kept_at_fixed_layer("e2e_07", 4),
            ],
        ),
        (
            "These gave {:.1f} BLEU on the test split at full depth ({:.1f} for the single head"
            " of the first 3,500 steps) and keep {:.1f} % at {:.2f}x (validation: {:.1f}, "
            "{:.1f} % at {:.2f}x)",
            lambda: [
                split("ende", "test", "quality_full_depth"),
                single("ende", "test"),
                *(split("ende", "test", key) for key in ("relative_quality", "depth_speedup")),
                *(
                    split("ende", "validation", key)
                    for key in ("quality_full_depth", "relative_quality", "depth_speedup")
                ),
            ],
        ),
        (
            "`ende` ran {:.2f}x as fast as `generate` in batches of 32 and {:.2f}x one by one, "
            "which is {:.2f}x and {:.2f}x as fast as our own full depth",
            lambda: [
                recipe("ende")[batch][key]
                for key in ("speedup_median", "policy_speedup")
                for batch in ("bench32", "bench1")
            ],
        ),
        (
            "one text at a time {:.2f}x as fast as `generate` and {:.2f}x as our own full "
            "depth; in batches of 32 {:.2f}x as fast as `generate` and {:.2f}x as our full "
            "depth",
            lambda: [
                recipe("e2e")[batch][key]
                for batch in ("bench1", "bench32")
                for key in ("speedup_median", "policy_speedup")
            ],
        ),
    ],
    "docs/policies_compared.md": [
        (
            "In batches of 32 all are {:.1f} to {:.1f} times as fast",
            in_batches_of_32,
        ),
    ],
    "docs/reducers.md": [
        (
            "{:.1f} % accuracy at full depth and without a reducer",
            lambda: [100 * bench("exits_and_reducers")["full"]["test"]],
        ),
        (
            "{:.2f}x at {:.1f} % of the full quality against {:.2f}x at {:.1f} % for exits and "
            "{:.2f}x at {:.1f} % for the reducer, and {:.2f}x at {:.1f} % against {:.2f}x at "
            "{:.1f} %",
            lambda: [
                *both_ways("both", 0.8, 0.7),
                *both_ways("exits", 0.85),
                *both_ways("reducer", None, 0.8),
                *both_ways("both", 0.8, 0.9),
                *both_ways("exits", 0.8),
            ],
        ),
    ],
    "docs/promises.md": [
        (
            "takes {} texts where each has two entities that full depth finds, {} where each has "
            "one and {} where every third has one; `>= 0.98` takes {}, {} and {}",
            lambda: [
                texts_for_f1(kept, right)
                for kept in (0.99, 0.98)
                for right in ([2], [1], [1, 0, 0])
            ],
        ),
        (
            "| `differs <= ... with 90%` | {} | {} | {} | {} |",
            lambda: [texts_without_loss(lost, 0.1) for lost in (0.01, 0.02, 0.05, 0.1)],
        ),
        (
            "| `differs <= ... with 95%` | {} | {} | {} | {} |",
            lambda: [texts_without_loss(lost, 0.05) for lost in (0.01, 0.02, 0.05, 0.1)],
        ),
        (
            "In {:.0f} cells of made texts and {:.0f} of runs, on 30 to 5 000 texts, {:.1f}% "
            "and {:.1f}% were broken at most, where 10% is allowed",
            lambda: [cells(*names)[place] for place in (0, 1) for names in (("promises",), RUNS)],
        ),
        (
            "False alarms are {:,.0f} audited texts apart on average, at exactly 5%",
            lambda: [bench("audits")["simulated"]["between_false_alarms"]],
        ),
        (
            "a rise from 2.5% to 7.5% is found after {:.0f} audited texts (median), to 10% "
            "after {:.0f}, to 15% after {:.0f}; one from 5% to 10% after {:.0f}",
            lambda: [
                *(found_after(0.025, after) for after in (0.075, 0.1, 0.15)),
                found_after(0.05, 0.1),
            ],
        ),
        (
            "costs {:.1f}% of processor time on the tagger of EWT, which saves {:.1f}x layers",
            lambda: [
                100 * bench("audits")["costs"][0]["cost"],
                bench("audits")["costs"][0]["layers_saved"],
            ],
        ),
    ],
}
