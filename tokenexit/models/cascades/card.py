"""The card of a cascade: of which models it is made, what it scores, how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tokenexit.models.folders.card import TAGS, code_span, hub_id, pipeline
from tokenexit.models.settings import ExitSettings
from tokenexit.promises.sentences import promise_sentences
from tokenexit.wording.held_to import held_to_sentence
from tokenexit.wording.naming import metric_name

_CARD = """---
{metadata}---

# Cascade of {count} text classifiers

Each text is classified by the first model. Those of which the policy is not sure go on to the
next, in fresh batches; the last model answers for all that are left. It was made with tokenexit
(`pip install tokenexit`).

## Use

```python
from tokenexit import {class_name}, policies

cascade = {class_name}.from_pretrained("MODEL")
result = cascade.predict(["A text to classify."])[0]
print(result.label, result.confidence, result.exit_layer)  # exit_layer: number of the model

cascade.predict(["A text to classify."], policy=policies.MaxProb(0.95))  # another policy
```

On the command line: `echo "A text to classify." | tokenexit predict MODEL -`

## Models

{stages}

Each folder is a plain transformers checkpoint that loads alone. Labels: {labels}.

Default policy:

```json
{policy}
```

{calibration}

## Results

{results}
"""


def cascade_card(
    settings: ExitSettings, class_name: str, stages: Sequence[tuple[str, str, int]]
) -> str:
    """Render the card as Markdown.

    Args:
        settings: What is saved about the cascade, results included.
        class_name: The class that loads the folder.
        stages: Folder, family and depth of each model.
    """
    kind = pipeline(settings)
    metadata: dict[str, Any] = {"library_name": "tokenexit", "pipeline_tag": kind}
    metadata["tags"] = [*TAGS, kind]
    source = hub_id((settings.training or {}).get("data"))
    if source:
        metadata["datasets"] = [source]
    return _CARD.format(
        metadata=yaml.safe_dump(metadata, sort_keys=False),
        count=len(stages),
        class_name=class_name,
        stages="\n".join(f"- `{name}`: {kind}, {depth} layers" for name, kind, depth in stages),
        labels=", ".join(map(code_span, settings.labels)),
        policy=json.dumps(settings.policy),
        calibration=_calibration(settings.calibration or {}, settings.results or {}),
        results=_results(settings.results or {}),
    )


def _calibration(found: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> str:
    told = promise_sentences(found, results)
    if not told:
        return "It was not calibrated: `tokenexit calibrate MODEL --data DATA --min-quality 0.99`."
    return " ".join(told)


def _results(results: Mapping[str, Mapping[str, Any]]) -> str:
    if not results:
        return "None were saved. Measure it with `tokenexit evaluate MODEL --data DATA`."
    lines = [
        "| Split | Metric | Cascade | Last model alone | Mean model | Multiply-accumulates |",
        "| :-- | :-- | --: | --: | --: | --: |",
    ]
    for name, row in results.items():
        metric = metric_name(str(row["metric"]))
        lines.append(
            f"| {name} | {metric} | {_fixed(row, 'quality', 4)} "
            f"| {_fixed(row, 'quality_full_depth', 4)} "
            f"| {_fixed(row, 'mean_exit_layer', 2)} of {row['num_layers']} "
            f"| {_fixed(row, 'mac_ratio', 3)} |"
        )
    lines.append(
        "\nMultiply-accumulates of the last model in plain transformers, on all texts, = 1."
    )
    if told := held_to_sentence(results.values()):
        lines.append(told)
    return "\n".join(lines)


def _fixed(row: Mapping[str, Any], key: str, digits: int) -> str:
    return "" if row.get(key) is None else f"{row[key]:.{digits}f}"
