"""Sentences of pages with figures in them, and where in the recorded files each figure stands.

A figure that is no number of a file as it stands (a mean of seeds, a ratio, a range), or that has
too few digits to be looked for there, is written here as a place in the sentence and as the value
that belongs there. ``test_figures.py`` puts them together and looks for the sentence on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from page_values import (
    RUNS,
    bench,
    both_ways,
    calibrated_e2e,
    cells,
    chosen_gates,
    clock,
    found_after,
    in_batches_of_32,
    kept_at_fixed_layer,
    kept_on_curve,
    of_bound,
    policy_within,
    quality,
    recipe,
    single,
    split,
    stopped,
    strictest,
    trained,
    two_threads,
    waited,
)

BOTH = ("quality", "quality_full_depth")
FULL, PLAIN = "ewt_entities_full", "ewt_entities"
JOINT, LINEAR, MLP = "joint(weights=uniform)", "halt_and_copy", "mlp+halt_and_copy"
FUTURE = "past_future+imitation"

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
    "docs/context_gates.md": [
        (
            "Over three fits the choice made on validation saves {:.2f}x on average and keeps "
            "{:.1f} %",
            chosen_gates,
        ),
        (
            '"none keeps 99 %" ({:.2f} and {:.2f}), at {:.2f}x and {:.2f}x; entropy can be '
            "stricter than that, at {:.2f}x to {:.2f}x",
            lambda: [
                strictest(name, fit)[place]
                for fit, places in (("{}", (0, 1)), ("entropy", (1,)))
                for place in places
                for name in ("bc5cdr_mlp_seed0", "ewt_mlp_seed1")
            ],
        ),
        (
            "{:.1f} at 3x fewer multiply-accumulates on banking77's test split where the "
            "network's own margin has {:.1f}",
            lambda: [policy_within("banking77", name, 3) for name in ("context_gate", "margin")],
        ),
    ],
    "docs/trainings.md": [
        (
            "full depth of `halt_and_copy` ({:.1f} and {:.1f} on average) and {:.1f} in place "
            "of {:.1f} at 3x",
            lambda: [
                trained(FULL, name, key)
                for key in ("full_depth", "quality_3x_macs")
                for name in (MLP, LINEAR)
            ],
        ),
        (
            "(exit 1: {:.1f} in place of {:.1f}). Asked at every exit by everybody it costs "
            "{:.1f} %",
            lambda: [
                *(stopped(FULL, name, 1) for name in (MLP, LINEAR)),
                trained(FULL, MLP, "overhead"),
            ],
        ),
        (
            "`joint` does not**: {:.1f} against {:.1f} of the single head's {:.1f}",
            lambda: [trained(FULL, name, "full_depth") for name in (LINEAR, JOINT, "single")],
        ),
        (
            "({:.2f}x at {:.1f} % of the single head), but asking them at every exit costs "
            "{:.1f} %",
            lambda: [
                trained("bc5cdr_full", FUTURE, key)
                for key in ("calibrated_depth_speedup", "calibrated_of_single", "overhead")
            ],
        ),
        (
            "validation texts call 99 % keeps {:.1f} % to {:.1f} % on the test split",
            calibrated_e2e,
        ),
        (
            "{:.1f} at full depth where the single head has {:.1f}, and {:.1f} % of that at "
            "{:.2f} times fewer layers",
            lambda: [
                split("ewt", "test", "quality_full_depth"),
                single("ewt", "test"),
                *(split("ewt", "test", key) for key in ("relative_quality", "depth_speedup")),
            ],
        ),
        (
            "at full depth {:.1f} and {:.1f} for `halt_and_copy`, {:.1f} and {:.1f} for `joint`",
            lambda: [
                trained("ewt_pos", name, "full_depth", seed)
                for name in (LINEAR, "first_layers")
                for seed in ("0", "1")
            ],
        ),
        (
            "`first_layers`: {:.1f} and {:.1f} at 2x fewer multiply-accumulates) beats every "
            "policy here ({:.1f} at best)",
            lambda: [
                *(trained(PLAIN, "first_layers", "quality_2x_macs", seed) for seed in ("0", "1")),
                trained(PLAIN, f"mlp+{JOINT}", "quality_2x_macs"),
            ],
        ),
        (
            "the best full depth of that seed, for {:.1f} % of the multiply-accumulates",
            lambda: [trained(PLAIN, f"mlp+{JOINT}", "overhead")],
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
            "keep somewhat less: {:.2f}x at {:.1f} % against {:.2f}x at {:.1f} %, {:.2f}x at "
            "{:.1f} % against {:.2f}x at {:.1f} %",
            lambda: [
                *both_ways("both", 0.6, 0.9),
                *both_ways("exits", 0.6),
                *both_ways("both", 0.8, 0.8),
                *both_ways("exits", 0.8),
            ],
        ),
    ],
    "docs/promises.md": [
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
