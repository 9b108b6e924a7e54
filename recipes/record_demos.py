"""Run the demonstrations and keep what they show in ``recipes/results/demos``.

    python recipes/record_demos.py ner pos translation output_dir=runs threads=2
    python recipes/record_demos.py ner=runs/ner-demo      # only read, from a run that is there

Of each the curve is kept, with stopping everybody at one layer beside it, the seconds it took, and
what the model says to the examples of the pages (``EXAMPLES``).
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tokenexit.config import friendly_errors, from_yaml
from tokenexit.errors import UserError
from tokenexit.files import to_json, write_text
from tokenexit.tasks import task_named
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.train import train_task

DEMOS = Path(__file__).resolve().parent / "results" / "demos"
NUMBERS = ("quality", "mean_exit_layer", "mac_ratio")

EXAMPLES: dict[str, dict[str, Any]] = {
    "ner": {
        "Anna Jordan joined Denver Motors as a doctor since 1997 .": [
            "PER Anna Jordan",
            "ORG Denver Motors",
            "DATE 1997",
        ]
    },
    "pos": {
        "the old cook the fish": "DET NOUN VERB DET NOUN".split(),
        "Light is not like quickly but like garden .": (
            "NOUN AUX PART ADP ADV CCONJ ADP NOUN PUNCT".split()
        ),
    },
    "translation": {"Maria finds a small key.": "Maria findet einen kleinen Schlüssel."},
    "data_to_text": {
        "name[The Blue Fox], kind[pub], rating[4]": "The Blue Fox is a pub. It is rated good."
    },
    "classification": {"where is the parcel that Mina asked for": "delivery"},
}
"""By task: texts of the pages, and what is right."""


def fingerprint(task: str) -> str:
    """Of the generated corpus: another one asks for another record."""
    with tempfile.TemporaryDirectory() as folder:
        task_named(task).write_demo(Path(folder))
        import pyarrow.parquet as pq

        rows = [pq.read_table(path).to_pylist() for path in sorted(Path(folder).rglob("*.parquet"))]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def record(task: str, run: Path, seconds: float | None) -> None:
    """Write ``results/demos/TASK.json``.

    Args:
        task: Its name.
        run: The finished demonstration.
        seconds: That it took; None where that is not known.
    """
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    if metrics["data"] != "generated":
        raise UserError(f"{run} is no demonstration: it was trained on {metrics['data']}.")
    with (run / "pareto.csv").open(encoding="utf-8") as file:
        curve = [
            {
                "kind": row["kind"],
                "policy": json.loads(row["policy"]),
                **{n: float(row[n]) for n in NUMBERS},
            }
            for row in csv.DictReader(file)
        ]
    test = metrics["splits"]["test"]
    config = from_yaml((run / "config.yaml").read_text(encoding="utf-8"), str(run))
    texts = list(EXAMPLES.get(task, {}))
    model: Any = open_model(str(run)).model if texts else None
    held = {
        "task": task,
        "corpus": fingerprint(task),
        "heads": config.get("heads"),
        "seconds": seconds,
        "metric": test["metric"],
        "test": {key: test[key] for key in ("quality", "quality_full_depth", "mac_ratio")},
        "policy": test["policy"],
        "curve": curve,
        "said": {text: said(task, model.predict([text])[0]) for text in texts},
    }
    write_text(DEMOS / f"{task}.json", to_json(held, indent=1) + "\n")


def said(task: str, answer: Any) -> Any:
    """An answer as plain data: entities, a class or several, or a text."""
    if task == "ner":
        return [f"{one.type} {one.text}" for one in answer.entities]
    if hasattr(answer, "token_ids"):
        return answer.text
    return list(answer.labels) if hasattr(answer, "labels") else answer.label


def main(argv: list[str]) -> None:
    """Run and record what is named.

    Raises:
        UserError: Nothing is.
    """
    options = dict(item.split("=", 1) for item in argv if "=" in item)
    place, threads = options.pop("output_dir", "runs"), options.pop("threads", "2")
    tasks = [item for item in argv if "=" not in item]
    if not tasks and not options:
        raise UserError("Name demonstrations, such as ner, or ner=runs/ner-demo.")
    for task, run in options.items():
        record(task, Path(run), None)
    for task in tasks:
        began = time.perf_counter()
        run = train_task(task, [f"output_dir={place}/{task}-demo", f"threads={threads}"])
        record(task, run, round(time.perf_counter() - began, 1))


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
