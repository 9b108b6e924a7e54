"""The script that holds exits and a reducer together against either alone."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from transformers import BertConfig, BertForSequenceClassification

from tokenexit import ExitModelForSequenceClassification
from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder import train_tokenizer

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "exits_and_reducers.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="benchmarks are not installed")
TEXTS = [f"the {word} door was {end}" for word in ("red", "blue") for end in ("shut", "open")]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With short ladders."""
    spec = importlib.util.spec_from_file_location("benchmarks_exits_and_reducers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ENTROPIES", (0.0, 1.0))
    monkeypatch.setattr(module, "RATIOS", (0.9, 0.3))
    return module


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """A classifier with a reducer, for all three ways, and its data."""
    tokenizer = train_tokenizer([text.split() for text in TEXTS], vocab_size=100)
    shape = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, num_labels=2, **shape)
    network = BertForSequenceClassification(config)
    model = ExitModelForSequenceClassification.from_transformers(network, tokenizer, ["a", "b"])
    model.use_reducer("class_attention").save_pretrained(tmp_path / "run")
    rows = [json.dumps({"sentence": text, "label": "ab"[n % 2]}) for n, text in enumerate(TEXTS)]
    (tmp_path / "data").mkdir()
    for name in ("validation", "test"):
        (tmp_path / "data" / f"{name}.jsonl").write_text("\n".join(rows * 2))
    run = str(tmp_path / "run")
    ways = [f"--{way}={run}" for way in ("exits", "reducer", "both")]
    return [*ways, f"--data={tmp_path / 'data'}", f"--out={tmp_path / 'out.json'}"]


def test_settings_are_chosen_on_validation_and_run_once(script, given, tmp_path, capsys):
    script.main([*given, "--validation=6", "--asked", "0.5", "9"])
    shown = capsys.readouterr().out
    assert shown.count("| 900% |") == shown.count("none is as good") == 3
    found = json.loads((tmp_path / "out.json").read_text())
    points = {way: ways["validation"] for way, ways in found["ways"].items()}
    assert {way: len(runs) for way, runs in points.items()} == {"exits": 3, "reducer": 2, "both": 2}
    cost = {(p["ratio"], p["entropy"]): p["macs"] for runs in points.values() for p in runs}
    assert cost[0.3, 1.0] < min(cost[0.3, None], cost[None, 1.0])
    assert cost[0.3, None] < cost[None, None]
    found["ways"]["both"]["validation"][0]["quality"] = 0.123
    (tmp_path / "out.json").write_text(json.dumps(found))
    script.main([*given, "--asked", "0.5"])
    assert json.loads((tmp_path / "out.json").read_text()) == found
    script.main(["--table", str(tmp_path / "out.json"), "--asked", "0.5"])
    assert "| 50% | both |" in capsys.readouterr().out


def test_the_cheapest_that_is_good_enough_is_chosen(script):
    points = [{"quality": q, "macs": m} for q, m in ((0.9, 0.8), (0.8, 0.5), (0.7, 0.2))]
    assert [script.chosen(points, asked) for asked in (0.85, 0.75, 0.95)] == [*points[:2], None]


def test_what_is_missing_is_told(script, given):
    with pytest.raises(UserError, match="--both and --data"):
        script.main(given[:2])
