"""The table of what every exit says, at full depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.models.encoders.exits import collect_exits


def test_the_table_holds_what_full_depth_runs_say(family_tagger, texts):
    windows = family_tagger.encoder.encode(texts)
    table = collect_exits(family_tagger, windows, batch_size=3)
    trace = family_tagger.tag(texts)
    np.testing.assert_array_equal(table.text[table.mine], trace.text)
    top = table.log_probs[-1][torch.from_numpy(table.mine)]
    np.testing.assert_allclose(top, trace.log_probs, atol=1e-4)
    assert table.exit_layers == (1, 2, 3, 4)
    # A first exit sees states that nobody's halting has changed yet.
    first = family_tagger.tag(texts, policy=policies.AssignedDepth(1))
    lowest = table.log_probs[0][torch.from_numpy(table.mine)]
    np.testing.assert_allclose(lowest, first.log_probs, atol=1e-4)


def test_simulation_is_exact_for_policies_that_read_no_states(tagger, texts):
    table = collect_exits(tagger, tagger.encoder.encode(texts))
    for policy in (policies.Never(), policies.Hash(1, 4), policies.AssignedDepth(2)):
        layers, prediction = table.simulate(policy)
        np.testing.assert_array_equal(
            layers[table.mine], tagger.tag(texts, policy=policy).exit_layer
        )
        chosen = table.log_probs[layers - 1, torch.arange(len(layers))]
        np.testing.assert_array_equal(prediction, chosen.argmax(-1))


def test_the_gate_and_gold_classes_are_there(tagger, texts):
    gold = [[place % 5 for place in range(len(text))] for text in texts]
    table = collect_exits(tagger, tagger.encoder.encode(texts, gold))
    assert table.gate is not None
    exits, words = table.log_probs.shape[:2]
    assert table.gate.shape == (exits - 1, words)  # the top is not asked
    assert table.gold[torch.from_numpy(table.mine)].tolist() == [g for text in gold for g in text]
    layers, prediction = table.simulate(policies.Oracle())
    left = layers < 4
    assert left.any()
    np.testing.assert_array_equal(prediction[left], table.gold.numpy()[left])


def test_simulation_refuses_policies_that_compare_states(tagger, texts):
    table = collect_exits(tagger, tagger.encoder.encode(texts))
    with pytest.raises(UserError, match="states of successive exits"):
        table.simulate(policies.Saturation(0.5))
