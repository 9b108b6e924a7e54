"""The table of a comparison in a terminal."""

from __future__ import annotations

from tokenexit.reporting.bench_text import bench_text

ROW = {"ms_per_text": 10.0, "per_second": 100.0, "speedup_median": 1.0, "speedup_p10": 1.0}
ROW |= {"speedup_p90": 1.0, "agreement": 1.0, "ours_median": 2.5}
FOUND = {
    "kind": "words",
    "baseline": "transformers BertForTokenClassification, sdpa, padded batches",
    "batch_size": 32,
    "threads": 2,
    "device": "cpu",
    "repeats": 5,
    "n_sentences": 640,
    "policy": {"name": "entropy", "threshold": 0.2},
    "policy_speedup": 1.9,
    "policy_speedup_p10": 1.85,
    "policy_speedup_p90": 1.95,
    "bound": 2.0,
    "of_bound": 0.95,
    "mac_ratio": 0.45,
    "mean_exit_layer": 2.5,
    "num_layers": 6,
    "padding": 0.4,
    "rows": [
        {"name": "plain transformers", "precision": "fp32", **ROW},
        {"name": "plain, sorted", "precision": "fp32", **ROW, "speedup_median": 1.5},
        {"name": "ours, policy", "precision": "int8", **ROW, "per_second": 2345.6},
        {
            "name": "ONNX Runtime, sorted",
            "precision": "int8",
            "reason": "it does not take the checkpoint: RuntimeError: "
            + "no \x1b[2J operator " * 9,
        },
    ],
    "ran": {
        "processor": "A processor",
        "instruction_set": "AVX2",
        "python": "3.12.1",
        "versions": {"torch": "2.13.0"},
    },
}


def test_the_table_is_narrow_and_says_everything():
    shown = bench_text(FOUND)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 88
    assert lines[0].split() == ["ms/text", "texts/s", "speed-up", "p10-p90", "ours", "agrees"]
    assert lines[2].split()[-3:] == ["1.00-1.00", "2.50×", "100.0%"]
    assert "2346" in lines[3]
    assert "not timed: it does not take the checkpoint" in shown
    assert "\x1b" not in shown
    for told in ("1.90× (1.85-1.95) over our own full depth", "95% of it", "2 threads", "AVX2"):
        assert told in " ".join(shown.split())
    assert "lengths" not in shown


def test_generators_are_told_where_lengths_differ():
    rows = [
        {"name": name, "precision": "fp32", **ROW, "tokens": tokens, "same_texts": 0.5}
        for name, tokens in (("plain transformers", 1000), ("a", 1005), ("b", 900))
    ]
    shown = " ".join(bench_text({**FOUND, "kind": "tokens", "rows": rows}).split())
    assert "tokens/s" in shown
    assert "plain transformers 1000; b fp32 900" in shown
    assert "a fp32" not in shown.split("lengths")[1]


def test_what_has_no_sorted_row_has_no_padding_to_tell():
    shown = bench_text({**FOUND, "rows": FOUND["rows"][:1]})
    assert "batches  in order" in shown or "batches   in order" in shown


def test_one_is_not_several():
    shown = bench_text({**FOUND, "repeats": 1, "n_sentences": 1, "threads": 1, "num_layers": 1})
    told = " ".join(shown.split())
    assert "one pass over 1 text, 32 a batch" in told
    assert "1 thread, cpu" in told
    assert "of 1 layer, " in told
    assert "median of 5 passes over 640 texts" in " ".join(bench_text(FOUND).split())
