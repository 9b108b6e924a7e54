"""A task of the user's own is one file outside the package."""

from __future__ import annotations

import json

import pytest

import tokenexit
from tokenexit.errors import UserError
from tokenexit.tasks import TASKS
from tokenexit.testing import check_task
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.train import configured

FILE = """
from sklearn.metrics import balanced_accuracy_score

from tokenexit.tasks import TASKS
from tokenexit.tasks.classification import Classification


@TASKS.register("fair")
class Fair(Classification):
    \"\"\"Each text gets a class, and rare classes count as much as others.\"\"\"

    title = "fair text classification"
    metric = "balanced_accuracy"
    figures = ("balanced_accuracy",)

    def scored(self, rows):
        return {"balanced_accuracy": float(balanced_accuracy_score(rows.gold, rows.prediction))}

    def quick(self, rows):
        return self.scored(rows)["balanced_accuracy"]
"""
NETWORK = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 16,
}  # fmt: skip


def test_it_trains_evaluates_and_predicts(tmp_path, monkeypatch):
    monkeypatch.setattr(TASKS, "_members", dict(TASKS.items()))
    plugin, run = tmp_path / "fair.py", tmp_path / "run"
    plugin.write_text(FILE)
    with pytest.raises(UserError, match="Unknown task 'fair'"):
        configured("fair", ["data=x"])
    (tmp_path / "settings.yaml").write_text(f"plugins: [{plugin}]\n")
    with pytest.raises(UserError, match="Unknown task 'fair'"):
        CompareMethodsConfig(output_dir="x", task="fair")
    compared = CompareMethodsConfig(output_dir="x", task="fair", plugins=[str(plugin)])
    assert (compared.level, compared.task) == ("sentence", "fair")
    assert configured("fair", [str(tmp_path / "settings.yaml"), "data=x"]).task == "fair"
    (tmp_path / "data").mkdir()
    check_task("fair")
    rows = [{"sentence": word, "label": word} for word in ["yes"] * 9 + ["no"] * 3]
    for name in ("train", "validation"):
        (tmp_path / "data" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model = tokenexit.train(
        "fair", plugins=[plugin], data=tmp_path / "data", output_dir=run, model=NETWORK,
        train={"max_steps": 3}, calibrate={"grid": 3, "verify": 1},
    )  # fmt: skip
    assert model.settings.task == "fair"
    assert model.predict(["yes"])[0].label in ("yes", "no")
    opened = open_model(str(run))
    result = opened.evaluate(opened.split(None, "train"), "train", None)
    assert result.metric == "balanced_accuracy"
    assert "fair text classification" in (run / "README.md").read_text()
