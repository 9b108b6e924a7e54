"""A model whose texts select their widths: saved, refused, and measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tokenexit import ExitModelForTokenClassification
from tokenexit.errors import UserError
from tokenexit.widths import Widths, from_config

TEXTS = [["ada", "was", "born", "in", "london", "and", "paris", "."], ["paris"], [], ["she", "."]]


@pytest.fixture
def own(make_tagger: Any) -> Any:
    torch.manual_seed(0)
    model = make_tagger(heads={"name": "linear", "selectors": {"inner": 4, "blocks": 3}})
    with torch.no_grad():
        for part in model.heads.selectors.selectors.values():
            for one in part:
                one.norm.running_mean.uniform_(-1, 1)
                one.project.weight.mul_(4)
    return model


def test_less_is_computed_and_a_folder_says_the_same(own, tmp_path: Path):
    plain = own.trace(TEXTS, policy="never")
    found = own.use_widths({"selected": 0.5}).trace(TEXTS, policy="never")
    assert np.abs(found.log_probs - plain.log_probs).max() > 1e-3
    assert own.mac_ratio(found) < own.mac_ratio(plain)
    alone = [own.trace([text], policy="never").log_probs for text in TEXTS if text]
    np.testing.assert_allclose(np.concatenate(alone), found.log_probs, atol=1e-5)
    own.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "exit_config.json").read_text())["widths"] == {"selected": 0.5}
    loaded = ExitModelForTokenClassification.from_pretrained(tmp_path)
    assert loaded.widths == Widths(selected=0.5)
    assert torch.equal(  # of batch norm, which no gradient reaches
        loaded.heads.selectors.at(1, "heads").norm.running_mean,
        own.heads.selectors.at(1, "heads").norm.running_mean,
    )
    np.testing.assert_array_equal(loaded.trace(TEXTS, policy="never").log_probs, found.log_probs)


def test_who_cannot_do_it_says_so(own, make_tagger):
    with pytest.raises(UserError, match=r"heads\.selectors=true"):
        make_tagger().use_widths({"selected": 0.5})
    own.use_widths({"selected": 0.5})
    assert own.products == "torch" or "select" in own.products
    with pytest.raises(UserError, match="runtime 'static' plans whole layers"):
        own.use(runtime="static")
    with pytest.raises(UserError, match="precision 'int8' lays out whole layers"):
        own.use("int8")
    with pytest.raises(UserError, match=r"Significance.*before layers"):
        own.use_reducer("significance:0.5")
    own.use_widths(None).use("fp32").use_reducer("significance:0.5")
    with pytest.raises(UserError, match=r"Significance.*before layers"):
        own.use_widths({"selected": 0.5})


def test_with_kernels_at_hand_torch_computes_it(own):
    found = own.use_widths({"selected": 0.5}).trace(TEXTS, policy="never")
    own.use("fp32")
    np.testing.assert_allclose(
        own.trace(TEXTS, policy="never").log_probs, found.log_probs, atol=1e-5
    )
    assert own.runtime_used == "eager"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"selected": 1.5}, "from 0 to 1, not 1.5"),
        ({"selected": True}, "not True"),
        ({"selected": 0.5, "heads": 0.5}, "give selected alone"),
    ],
)
def test_what_is_no_probability(told: Any, why: str):
    with pytest.raises(UserError, match=why):
        from_config(told)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"inner": 0}, "inner must be a whole number from 1, not 0"),
        ({"blocks": 2.5}, "blocks must be a whole number from 1"),
        ({"outer": 2}, "inner"),
        ("mlp", "true or a mapping"),
    ],
)
def test_what_is_no_selector(make_tagger, told: Any, why: str):
    with pytest.raises(UserError, match=why):
        make_tagger(heads={"name": "linear", "selectors": told})
