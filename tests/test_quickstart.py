"""The notebook's cells run as they are written, and their output was kept."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tokenexit.cli import main

NOTEBOOK = Path(__file__).parent.parent / "docs" / "quickstart.ipynb"
pytestmark = pytest.mark.skipif(not NOTEBOOK.is_file(), reason="docs/ is not installed")
SMALL = {
    "train_on": 60, "validate_on": 50, "test_on": 20, "train": {"max_steps": 2},
    "calibrate": {"loose": True, "verify": 1, "grid": 4},
    "model": {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 64,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def test_its_cells_run(cells, tmp_path, monkeypatch, capsys):
    def shell(line: str) -> None:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0, capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUICKSTART", json.dumps(SMALL))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    # What is not trained is hardly ever legal, and takes long to decode.
    monkeypatch.setattr("tokenexit.workflows.commands.base.LISTING", 20)
    names: dict[str, Any] = {"shell": shell}
    for cell in cells:
        source = re.sub("^!(.*)$", r'shell("""\1""")', "".join(cell["source"]), flags=re.M)
        exec(compile(source, NOTEBOOK.name, "exec"), names)
    said = capsys.readouterr().out
    for told in ("differs <= 0.1 with 90%", "exits ", "ours, policy", "entropy below 0.5"):
        assert told in said
    assert (tmp_path / "runs" / "quickstart" / "report.html").is_file()
    assert names["result"].exit_layers


def test_it_was_run_from_top_to_bottom(cells):
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert cell["outputs"], "".join(cell["source"])
        assert {output["output_type"] for output in cell["outputs"]} == {"stream"}
        text = "".join("".join(output["text"]) for output in cell["outputs"])
        assert "Error" not in text
        assert not re.search(r"(^|\s)/\w+/", text), "it names a folder of a machine"
