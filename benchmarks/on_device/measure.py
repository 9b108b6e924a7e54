"""One case in this process: build, warm up, take turns, say what was seen as JSON."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training_step import training_step

from on_device.cases import ROWS, SMALL, DeviceCase
from on_device.entrants import PLAIN, entrant, planned_on_device
from on_device.shapes import FULL, Size, bert, sentences, seq2seq, sources
from on_device.shapes import SMALL as FEW
from tokenexit.evaluation.bench.contender import Contender, because
from tokenexit.evaluation.bench.machine import what_ran
from tokenexit.evaluation.bench.plain_generator import Source
from tokenexit.evaluation.bench.race import Timed, race
from tokenexit.evaluation.bench.result import spread
from tokenexit.models.generation.generate import Generated

WARM = 2
"""Passes after the first before anything counts: graphs are captured when a shape comes again."""


class Said(logging.Handler):
    """Keeps what is warned of, such as a capture that failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line once."""
        line = record.getMessage()
        if line not in self.lines:
            self.lines.append(line)


def measure(case: DeviceCase, device: torch.device) -> dict[str, Any]:
    """Everything that is known of a case; what could not be measured has a reason."""
    size = FEW if case.small else FULL
    batch = SMALL[case.batch] if case.small else case.batch
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    found: dict[str, Any] = {
        "batch": batch,
        "dtype": str(dtype).removeprefix("torch."),
        "device": device_name(device),
        "ran": what_ran(),
    }
    if device.type == "cuda":
        torch.cuda.set_device(device)
    said = Said()
    logging.getLogger("tokenexit").addHandler(said)
    try:
        if case.ours == "training":
            found |= _busy(training_step(device.type, batch_size=batch, **_few(case)))
        else:
            found |= _taken_in_turns(case, device, dtype, batch, size)
    except Exception as error:  # whatever a GPU may answer is a result
        found["reason"] = because(error)
    finally:
        logging.getLogger("tokenexit").removeHandler(said)
    if device.type == "cuda":
        found["memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    return {**found, "said": said.lines}


def _few(case: DeviceCase) -> dict[str, Any]:
    """Settings of training steps that are tiny, where that is asked for."""
    return {"small": True, "layers": 2, "count": 3, "profiled": 1} if case.small else {}


def _busy(step: dict[str, Any]) -> dict[str, Any]:
    """What a training step is to the table: the share of it in which the GPU works."""
    busy = step["gpu_busy"]
    found = {"step": step, "dtype": step["precision"], "runtime": "eager"}
    if busy is None:
        return {**found, "reason": "there is no GPU to be busy; the step itself was timed"}
    return {**found, "value_median": busy, "value_p10": busy, "value_p90": busy}


def device_name(device: torch.device) -> str:
    """What computes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(what_ran()["processor"])


def _taken_in_turns(
    case: DeviceCase, device: torch.device, dtype: torch.dtype, batch: int, size: Size
) -> dict[str, Any]:
    if case.shape == "bert-base":
        model: Any = bert(case.small, device, dtype)
        items: Sequence[Any] = model.encoder.encode(sentences(batch))
    else:
        model = seq2seq(case.shape, case.small, device, dtype)
        # Rows can wait for others only where there are more texts than a batch.
        count = 4 * batch if case.ours == "by depth" else batch
        ids = sources(count, size.source, model.network.config.vocab_size)
        items = [Source(number, one) for number, one in enumerate(ids)]
    names = [name for name in (case.base, case.ours) if name is not None]
    refused = None
    if set(names) - set(PLAIN):
        refused = planned_on_device(model)
    runtime = "eager" if refused else model.runtime_used
    sized = DeviceCase(case.row, case.shape, batch, case.base, case.ours, case.wanted, case.small)

    def raced() -> list[Timed]:
        who = [entrant(name, sized, model, size) for name in names]
        return _race(who, items, batch, size, device)

    timed = raced()
    if runtime == "static" and (told := _refusal(timed)):
        refused, runtime = told, "eager"  # such as of a policy, which is known when it is asked
        model.use(runtime="eager")
        timed = raced()
    told = {
        one.contender.name: _figures(one, case, len(items) // batch, size, runtime) for one in timed
    }
    found = {"rows": told, "texts": len(items), "runtime": runtime}
    if refused:
        found["refused"] = refused
    return found | _value(timed, case, told)


def _refusal(timed: Sequence[Timed]) -> str | None:
    """What one of ours was refused for, if one was."""
    reasons = (one.reason for one in timed if one.contender.name not in PLAIN)
    return next((one for one in reasons if one and one.startswith("UserError")), None)


def _race(
    entrants: Sequence[Contender],
    items: Sequence[Any],
    batch: int,
    size: Size,
    device: torch.device,
) -> list[Timed]:
    """Warm up, see how long it takes, and take turns for as many passes as there is time."""

    def run(who: Sequence[Contender], repeats: int) -> list[Any]:
        return race(
            who, items, lambda one: 0, batch_size=batch, repeats=repeats, turn=1, device=device
        )

    warm = run(entrants, WARM)
    alive = [one.contender for one in warm if one.reason is None]
    spent = sum(min(one.seconds) for one in warm if one.reason is None)
    repeats = min(max(int(size.seconds / spent), 3), size.passes) if alive else 0
    timed = {one.contender.name: one for one in run(alive, repeats)} if alive else {}
    return [timed.get(one.contender.name, one) for one in warm]


def _figures(
    one: Timed, case: DeviceCase, batches: int, size: Size, runtime: str
) -> dict[str, Any]:
    """Of one that took turns."""
    if one.reason is not None:
        return {"reason": one.reason}
    spent = 1000 * np.array(one.seconds) / batches
    found: dict[str, Any] = {**spread("ms", spent), "passes": len(spent)}
    if one.contender.name not in PLAIN:
        found["runtime"] = runtime
        found["depth_share"] = _depth(one)
    if case.shape != "bert-base":
        tokens = sum(len(batch) for batch, _ in one.outputs) * size.most / batches
        found |= spread("tokens_per_second", 1000 * tokens / spent)
        found["ms_per_step"] = found["ms_median"] / size.most
    return found


def _depth(one: Timed) -> float:
    """Layers that a row went through on average, as a share of all."""
    layers, depth = [], 1
    for _, output in one.outputs:
        if isinstance(output, Generated):
            layers += output.exit_layers.flatten().tolist()
            depth = output.work.num_layers
        elif isinstance(output, list):
            layers += [layer for text in output for layer in text.exit_layers]
            depth = one.contender._model.decoder.num_layers  # type: ignore[attr-defined]
        else:
            layers += output.exit_layer.tolist()
            depth = output.num_layers
    return round(float(np.mean(layers)) / depth, 3)


def _value(
    timed: Sequence[Timed], case: DeviceCase, told: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The row's number: ratios of passes side by side, or a figure by itself."""
    for one in timed:
        if one.reason is not None:
            return {"reason": one.reason}
    if case.base is not None:
        return spread("value", np.array(timed[0].seconds) / np.array(timed[-1].seconds))
    figure = "ms" if ROWS[case.row].unit == "ms" else "tokens_per_second"
    ours = told[case.ours]
    return {f"value_{at}": ours[f"{figure}_{at}"] for at in ("median", "p10", "p90")}


def main(argv: Sequence[str]) -> None:
    """Measure the case that is named in a file, and write another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", required=True, help="settings as JSON")
    parser.add_argument("--device", required=True)
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args(argv)
    found = measure(DeviceCase(**json.loads(given.case)), torch.device(given.device))
    given.out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
