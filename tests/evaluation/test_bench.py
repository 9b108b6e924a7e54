"""Wall-clock against the plain model: what is compared and what is written, never how fast."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.evaluation import bench, evaluate
from tokenexit.evaluation.bench import plain_forward
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.never import Never

CONTRACT = """baseline batch_size threads device dtype repeats speedup_median speedup_p10
speedup_p90 mac_ratio efficiency policy_speedup bound of_bound rows""".split()


@pytest.fixture(scope="module")
def found(tagger, splits):
    return bench(tagger, splits["test"].tokens[:12], Entropy(0.2), batch_size=5, repeats=3)


def test_a_comparison_has_the_keys_of_the_contract(found):
    data = found.to_json()
    assert not set(CONTRACT) - data.keys()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["batch_size"], data["repeats"], data["n_sentences"]) == (5, 3, 12)
    assert data["threads"] == torch.get_num_threads()
    assert (data["device"], data["dtype"]) == ("cpu", "float32")
    assert "BertForTokenClassification" in data["baseline"]
    assert data["policy"] == {"name": "entropy", "threshold": 0.2}


def test_its_figures_agree_with_each_other(found):
    assert 0 < found.speedup_p10 <= found.speedup_median <= found.speedup_p90 < math.inf
    assert found.efficiency == found.speedup_median * found.mac_ratio
    assert 0 < found.padding < 1
    assert found.policy_speedup == pytest.approx(found.of_bound * found.bound)


def test_everything_is_a_row_and_says_the_same_at_full_depth(found):
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["plain transformers", "plain, sorted", "ours, full depth", "ours, policy"]
    assert rows["plain transformers"].speedup_median == 1
    assert rows["plain, sorted"].agreement == rows["ours, full depth"].agreement == 1
    assert rows["ours, policy"].speedup_median == found.speedup_median
    assert rows["plain transformers"].ours_median == found.speedup_median
    assert rows["plain transformers"].full_depth_median == found.full_depth_speedup
    assert rows["ours, full depth"].ours_median == found.policy_speedup
    for row in found.rows:
        assert row.precision == "fp32"
        assert row.per_second == pytest.approx(1000 / row.ms_per_text)


def test_the_bound_is_the_work_that_is_left(found, tagger, splits):
    few = splits["test"].head(12)
    full, _ = evaluate(tagger, few, "test", Never(), batch_size=5)
    assert found.bound == pytest.approx(full.mac_ratio / found.mac_ratio)
    assert found.mean_exit_layer < found.num_layers == 3


def test_the_work_is_what_evaluation_counts(found, tagger, splits):
    result, _ = evaluate(tagger, splits["test"].head(12), "test", Entropy(0.2), batch_size=5)
    assert found.mac_ratio == pytest.approx(result.mac_ratio)


def test_one_text_has_no_padding(tagger):
    found = bench(tagger, [["Ada", "sang", "."]], Never(), batch_size=1, repeats=1)
    assert found.padding == 0
    assert "plain, sorted" not in [row.name for row in found.rows]
    assert found.bound == 1


def test_empty_texts_are_not_timed(tagger):
    found = bench(tagger, [[], ["Ada"], []], Never(), repeats=1)
    assert found.n_sentences == 1
    with pytest.raises(UserError, match="no text with a word"):
        bench(tagger, [[], []], Never())


def test_the_baseline_is_the_model_itself_under_padding(tagger, splits):
    texts = splits["test"].tokens[:9]
    windows = tagger.encoder.encode(texts)
    together = plain_forward(tagger, [window.sentence for window in windows])
    engine = tagger.tag(texts, policy=Never(), decode="argmax")
    for number, window in enumerate(windows):
        sentence = window.sentence
        with torch.inference_mode():
            alone = tagger.network(input_ids=torch.tensor([sentence.input_ids])).logits[0]
        padded = together[number, : len(sentence.input_ids)]
        assert torch.equal(padded, alone.argmax(dim=-1))
        first = [rows[0] for rows in sentence.word_rows]
        words = engine.prediction[engine.text == number]
        assert np.array_equal(padded[first].numpy(), words)
    assert len({len(window.sentence.input_ids) for window in windows}) > 1  # there was padding


def test_both_of_ours_run_in_the_models_precision(tagger, splits):
    texts = splits["test"].tokens[:6]
    options = {"batch_size": 3, "repeats": 1}
    fp32 = bench(tagger, texts, Never(), **options)
    try:
        found = bench(tagger.use(precision="int8"), texts, Never(), **options)
    finally:
        tagger.use(precision="fp32")
    assert [row.precision for row in fp32.rows] == ["fp32"] * 4
    assert [row.precision for row in found.rows] == ["fp32", "fp32", "int8", "int8"]
    assert (found.precision, found.dtype) == ("int8", "float32")
    assert found.rows[2].agreement > 0.9  # with the plain model in fp32
