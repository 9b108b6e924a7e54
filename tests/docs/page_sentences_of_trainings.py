"""Sentences with figures on the pages of trainings and gates, as in ``page_sentences.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from page_values import (
    calibrated,
    calibrated_e2e,
    chosen_gates,
    on_test,
    policy_within,
    single,
    split,
    stopped,
    strictest,
    trained,
)

FULL, PLAIN = "ewt_entities_full", "ewt_entities"
JOINT, LINEAR, MLP = "joint(weights=uniform)", "halt_and_copy", "mlp+halt_and_copy"
FUTURE = "past_future+imitation"
AT_99 = ("{}", 4.15)
"""The rung of the gate that keeps 99 % of test."""
ENTROPY = (("entropy", 3.44), ("entropy", 3.80))
"""The rungs of entropy on both sides of that."""
NONE_KEEPS = ("bc5cdr_mlp_seed0", "ewt_mlp_seed1")
"""Networks of which no rung keeps 99 % of validation."""

SAID_OF_TRAININGS: dict[str, list[tuple[str, Callable[[], Sequence[float]]]]] = {
    "docs/context_gates.md": [
        (
            "the gates' frontier is at {:.2f}x for 99 % of test, entropy's between {:.2f}x and "
            "{:.2f}x",
            lambda: [on_test("ewt", *rung)[0] for rung in (AT_99, *ENTROPY)],
        ),
        (
            "they save {:.2f}x, entropy less than {:.2f}x; at {:.2f}x they keep {:.1f} % where "
            "entropy keeps {:.1f} % at {:.2f}x",
            lambda: [
                *(on_test("ewt", *rung)[0] for rung in (AT_99, ENTROPY[1])),
                *on_test("ewt", *AT_99),
                *reversed(on_test("ewt", "entropy", 4.13)),
            ],
        ),
        (
            "Over three fits the choice made on validation saves {:.2f}x on average and keeps "
            "{:.1f} %",
            lambda: [sum(each) / 3 for each in zip(*chosen_gates(), strict=True)],
        ),
        (
            "and yet their choices lie between {:.2f}x and {:.2f}x",
            lambda: [end(fewer for fewer, _ in chosen_gates()) for end in (min, max)],
        ),
        (
            "Neighbours take 99 % from {:.2f}x to {:.2f}x",
            lambda: [on_test("ewt", '{"reach": 0}', 4.0)[0], on_test("ewt", *AT_99)[0]],
        ),
        (
            "the curve is flat, and {:.2f}x still keeps {:.1f} %",
            lambda: on_test("bc5cdr", "{}", 3.51),
        ),
        (
            "the strictest rung (a ten-thousandth) keeps {:.1f} % and {:.1f} % of validation",
            lambda: [strictest(name, "{}")[0] for name in NONE_KEEPS],
        ),
        (
            '"none keeps 99 %" ({:.2f} and {:.2f}), at {:.2f}x and {:.2f}x; entropy can be '
            "stricter than that, at {:.2f}x to {:.2f}x",
            lambda: [
                strictest(name, fit)[place]
                for fit, places in (("{}", (0, 1)), ("entropy", (1,)))
                for place in places
                for name in NONE_KEEPS
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
            "and spend {:.1f} % of the multiply-accumulates on asking; where layers are what "
            "counts, calibration gives {:.2f}x at {:.1f} % and {:.2f}x at {:.1f} % of the single "
            "head",
            lambda: [
                trained("ewt_entities_past_future", FUTURE, "overhead"),
                *(
                    value
                    for seed in ("0", "1")
                    for value in calibrated("ewt_entities_past_future", FUTURE, seed, "of_single")
                ),
            ],
        ),
        (
            "{:.2f}x at {:.1f} % and no exits at all (`mlp`), {:.2f}x at {:.1f} % and {:.2f}x at "
            "{:.1f} % (`halt_and_copy`), {:.2f}x at {:.1f} % and {:.2f}x at {:.1f} % (`joint`)",
            lambda: [
                *calibrated(FULL, MLP, "0"),
                *(
                    value
                    for name in (LINEAR, JOINT)
                    for seed in ("0", "1")
                    for value in calibrated(FULL, name, seed)
                ),
            ],
        ),
        (
            "(`first_layers`: {:.1f} at 3x)",
            lambda: [trained("ewt_pos_full", "first_layers", "quality_3x_macs")],
        ),
        (
            "on these two networks it keeps {:.1f} % at {:.2f}x and {:.1f} % at {:.2f}x",
            lambda: [
                value
                for seed in ("0", "1")
                for value in reversed(chosen_gates(f"pos_mlp_seed{seed}", 1)[0])
            ],
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
            "at full depth {:.1f} and {:.1f} for `halt_and_copy`, {:.1f} and {:.1f} for `joint`, "
            "area {:.1f} and {:.1f} on seed 0, {:.1f} % kept at {:.2f}x and {:.1f} % at {:.2f}x",
            lambda: [
                *(
                    trained("ewt_pos", name, "full_depth", seed)
                    for name in (LINEAR, "first_layers")
                    for seed in ("0", "1")
                ),
                *(trained("ewt_pos", name, "area", "0") for name in (LINEAR, JOINT)),
                *reversed(calibrated("ewt_pos", LINEAR, "0")),
                *reversed(calibrated("ewt_pos", JOINT, "0")),
            ],
        ),
        (
            "The single head has {:.1f} and {:.1f}",
            lambda: [trained("ewt_pos", "single", "full_depth", seed) for seed in ("0", "1")],
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
}
