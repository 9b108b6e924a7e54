"""Models with embeddings of n-grams: saved with their table, loaded, refused where unserved."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch

from tokenexit import ExitModelForTokenClassification, kernels
from tokenexit.errors import UserError
from tokenexit.models.folders.names import TABLE
from tokenexit.objectives import from_config
from tokenexit.training.encoder_loss import EncoderLossModule

TEXTS = [["ada", "was", "born", "in", "london", "and", "paris", "."], ["paris"], [], ["she", "."]]
MORE = [["ada", "was", "she", "in", "paris"]]
NGRAM = {"name": "ngram", "layers": 2}


def own(make_tagger: Any, model_type: str = "bert", **settings: Any) -> Any:
    model = make_tagger(model_type, exit_layers=[3])
    torch.manual_seed(2)
    return model.use_embeddings({**NGRAM, **settings}).eval()


def same(one: Any, other: Any, atol: float = 1e-5) -> None:
    assert np.array_equal(one.exit_layer, other.exit_layer)
    np.testing.assert_allclose(one.log_probs, other.log_probs, atol=atol)


def loaded(folder: Any, **how: Any) -> Any:
    return ExitModelForTokenClassification.from_pretrained(folder, **how)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "albert", "modernbert"])
def test_a_table_is_saved_and_saves_work(make_tagger, model_type, tmp_path):
    model = own(make_tagger, model_type)
    computed = model.trace(TEXTS, policy="never")
    same(model.trace(TEXTS, policy="never", batch_size=1), computed)
    model.use_table(model.make_table(TEXTS, path=tmp_path / "states"))
    found = model.trace(TEXTS, policy="never")
    same(found, computed, 0.03)
    assert model.mac_ratio(found) < 1 < model.mac_ratio(computed)
    model.save_pretrained(tmp_path / "own")
    model.save_pretrained(tmp_path / "own")  # over the file it reads from
    again = loaded(tmp_path / "own")
    same(again.trace(TEXTS, policy="never"), found)
    assert again.trace(TEXTS, policy="never").work[0].active == 0
    again.use_table(None).save_pretrained(tmp_path / "own")
    assert not (tmp_path / "own" / TABLE).exists()
    same(loaded(tmp_path / "own").trace(TEXTS, policy="never"), computed)


def test_folders_without_are_as_before(make_tagger, tmp_path):
    plain = make_tagger(exit_layers=[3])
    before = plain.trace(TEXTS, policy="never")
    plain.use_embeddings("plain").save_pretrained(tmp_path)
    assert "embeddings" not in json.loads((tmp_path / "exit_config.json").read_text())
    same(loaded(tmp_path).trace(TEXTS, policy="never"), before)


def test_a_table_of_other_weights_is_told(make_tagger):
    model = own(make_tagger)
    model.use_table(model.make_table(TEXTS))
    same(copy.deepcopy(model).trace(TEXTS), model.trace(TEXTS))
    with torch.no_grad():
        model.backbone.final_head().weight.mul_(2)  # above the layers that are looked up
    model.trace(TEXTS)
    with torch.no_grad():
        model.network.base_model.encoder.layer[1].output.dense.weight.mul_(1.1)
    for use in (lambda: model.trace(TEXTS), lambda: model.use_table(model.heads.embeddings.table)):
        with pytest.raises(
            UserError, match=r"encoder\.layer\.1\.output\.dense\.weight has changed"
        ):
            use()
    model.use_table(model.make_table(TEXTS)).trace(TEXTS)
    with torch.no_grad():
        model.heads.embeddings.gate.bias.add_(1)
    with pytest.raises(UserError, match=r"gate\.bias has changed"):
        model.trace(TEXTS)


def test_unknown_trigrams_are_computed_or_fall_back(make_tagger):
    model = own(make_tagger)
    wanted = model.trace(MORE, policy="never")
    table = model.make_table(TEXTS)
    found = model.use_table(table).trace(MORE, policy="never")
    same(found, wanted, 0.03)
    assert 0 < found.work[0].active < wanted.work[0].active
    model = own(make_tagger, unknown="fallback")
    model.use_table(short := model.make_table(TEXTS))
    assert len(short) > len(table)
    fallen = model.trace(MORE, policy="never")
    assert fallen.work[0].active == 0
    assert np.abs(fallen.log_probs - wanted.log_probs).max() > 0.01
    model = own(make_tagger)  # the same of a model that computed them
    model.use_table(model.make_table(TEXTS, unknown="fallback"))
    same(model.trace(MORE, policy="never"), fallen)
    assert model.settings.embeddings["unknown"] == "fallback"
    with pytest.raises(UserError, match="Did you mean 'compute'"):
        model.make_table(TEXTS, unknown="computed")
    few = model.make_table(TEXTS, most=5)
    assert len(few) == 5
    assert few.find(torch.tensor([(model.tokenizer.cls_token_id + 1) << 20])) >= 0  # in all texts


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_precisions_are_served_without_kernels(make_tagger, precision):
    model = own(make_tagger)
    model.use_table(model.make_table(TEXTS))
    wanted = model.trace(TEXTS + MORE, policy="never")
    model.use(precision)
    same(model.trace(TEXTS + MORE, policy="never"), wanted, 0.5)
    if kernels.library() is not None:
        assert model.products == "torch: kernels do not know embeddings that stand for layers"
        assert model.runtime_used == "eager"


def test_what_cannot_be_is_refused(make_tagger):
    model = make_tagger(exit_layers=[1, 3])
    for settings, told in (
        (NGRAM, r"exits after layers \[1\]|after layers \[1\]: add exits"),
        ("ngramm", "Did you mean 'ngram'"),
        ({**NGRAM, "unknow": "compute"}, "Did you mean 'unknown'"),
        ({**NGRAM, "layers": 4}, "from 1 to 3"),
        (3, "must be a name or a mapping"),
    ):
        with pytest.raises(UserError, match=told):
            model.use_embeddings(settings)
    assert model.settings.embeddings is None
    with pytest.raises(UserError, match="nothing to look up"):
        model.make_table(TEXTS)
    for settings, told in (({"unknown": "falback"}, "fallback"), ({"masking": 1}, "below 1")):
        with pytest.raises(UserError, match=told):
            own(make_tagger, **settings)
    model = own(make_tagger)
    with pytest.raises(UserError, match="no n-gram"):
        model.make_table([])
    with pytest.raises(UserError, match=r"static.*knows no embeddings"):
        model.use(runtime="static")
    model.use_table(model.make_table(TEXTS))
    with pytest.raises(UserError, match=r"use_table\(None\)"):
        EncoderLossModule(model, from_config("joint"))


def test_a_damaged_table_is_told(make_tagger, tmp_path):
    model = own(make_tagger)
    model.use_table(model.make_table(TEXTS)).save_pretrained(tmp_path)
    path = tmp_path / TABLE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"changed since|damaged or no table"):
        loaded(tmp_path)
    path.write_bytes(b"no")
    with pytest.raises(UserError, match="damaged or no table"):
        model.use_table(path)
