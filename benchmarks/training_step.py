"""What one training step is made of, and how busy it keeps a GPU.

    python benchmarks/training_step.py                    # BERT-base, batch 32, on what there is
    python benchmarks/training_step.py --device cpu --small --out step.json

The step is that of the training loop (``tokenexit.training.step``): forward, backward, clipping
and AdamW, on texts of random words. On CUDA ``gpu_busy`` is the time in which a kernel or a copy
ran, measured by torch.profiler, over the time that a step takes without the profiler, which slows
the host down. On a CPU it is null, and operators are what is told.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from transformers import BertConfig, BertForTokenClassification

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit import ExitModelForTokenClassification  # noqa: E402
from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.evaluation.bench.machine import what_ran  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402
from tokenexit.halting import Sentence  # noqa: E402
from tokenexit.models.fresh.encoder import train_tokenizer  # noqa: E402
from tokenexit.objectives import from_config  # noqa: E402
from tokenexit.training import TrainConfig, make_accelerator  # noqa: E402
from tokenexit.training.batches import TrainingStep, steps  # noqa: E402
from tokenexit.training.encoder_loss import EncoderLossModule  # noqa: E402
from tokenexit.training.optimizer import build_optimizer  # noqa: E402
from tokenexit.training.step import one_step  # noqa: E402

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
WARM = 3


def training_step(
    device: str | None = None,
    *,
    batch_size: int = 32,
    tokens: int = 36,
    objective: str = "halt_and_copy",
    precision: str | None = None,
    layers: int = 12,
    small: bool = False,
    count: int = 20,
    profiled: int = 3,
) -> dict[str, Any]:
    """Time steps, and profile a few more of them.

    Args:
        device: ``cuda`` or ``cpu``; a GPU where there is one when None.
        batch_size: Texts a step.
        tokens: Of a text on average; they vary by a third.
        objective: How the exits are trained.
        precision: As ``train.precision``; bf16 on CUDA and no elsewhere when None.
        layers: Depth.
        small: A width of 32 instead of BERT-base's.
        count: Steps timed.
        profiled: Steps profiled.

    Returns:
        Plain data. ``gpu_busy`` is a share from 0 to 1, or None without a GPU.

    Raises:
        UserError: There is no such device, or a number below 1.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    _check(device, batch_size=batch_size, tokens=tokens, layers=layers, count=count)
    precision = precision or ("bf16" if device == "cuda" else "no")
    config = TrainConfig(objective={"name": objective}, batch_size=batch_size, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        accelerator = make_accelerator(config, Path(folder))
    if accelerator.device.type != device:
        raise UserError(f"This process trains on {accelerator.device.type}, not on {device}.")
    model = _model(small, layers).to(accelerator.device).train()
    lessons = EncoderLossModule(model, from_config(config.objective))
    optimizer = build_optimizer(model, config)
    wrapped, optimizer = accelerator.prepare(lessons, optimizer)
    total = WARM + count + profiled
    plan = _plan(batch_size, tokens, total)

    def do(number: int) -> None:
        for step in islice(plan, number):
            # As in the middle of a training, where objectives do all they ever do.
            one_step(step, wrapped, optimizer, accelerator, config, 2 * step.number + 1, 0, 1e-4)
        if device == "cuda":
            torch.cuda.synchronize()

    do(WARM)
    start = time.perf_counter()
    do(count)
    seconds = (time.perf_counter() - start) / count
    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as recorded:
        do(profiled)
    return {
        "what": "training step",
        "shape": f"{'small' if small else 'BERT-base'}, {layers} layers",
        "device": torch.cuda.get_device_name() if device == "cuda" else what_ran()["processor"],
        "versions": what_ran()["versions"],
        "threads": torch.get_num_threads(),
        "batch_size": batch_size,
        "tokens": tokens,
        "objective": objective,
        "precision": precision,
        "ms_per_step": round(1000 * seconds, 3),
        "steps_per_second": round(1 / seconds, 2),
        **summary(list(recorded.events() or ()), profiled, seconds),
    }


def summary(events: Sequence[Any], count: int, seconds: float) -> dict[str, Any]:
    """What a profile says of one step.

    Args:
        events: Of the profiler, times in microseconds.
        count: Steps profiled.
        seconds: A step takes without the profiler.
    """
    on_gpu = [event for event in events if event.device_type == DeviceType.CUDA]
    on_host = [event for event in events if event.device_type == DeviceType.CPU]
    operators = [event for event in on_host if event.name.startswith("aten::")]
    busy = union((e.time_range.start, e.time_range.end) for e in on_gpu) / count / 1e6
    kernels = [e for e in on_gpu if not e.name.startswith(("Memcpy", "Memset"))]
    told = Counter(event.name for event in on_host)
    copies = Counter(e.name for e in on_gpu if e.name.startswith("Memcpy"))
    return {
        "gpu_busy": round(busy / seconds, 4) if on_gpu else None,
        "gpu_ms_per_step": round(1000 * busy, 3) if on_gpu else None,
        "kernels_per_step": round(len(kernels) / count, 1) if on_gpu else None,
        "operators_per_step": round(len(operators) / count, 1),
        "waits_per_step": {n: round(told[n] / count, 1) for n in WAITS if told[n]},
        "copies_per_step": {name: round(n / count, 1) for name, n in sorted(copies.items())},
        "top": _top(kernels or operators, count),
    }


def union(spans: Iterable[tuple[float, float]]) -> float:
    """Length of what spans cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


def _top(events: Sequence[Any], count: int, most: int = 12) -> list[dict[str, Any]]:
    """Where most of the time goes; of nested operators, what each does by itself."""
    spent: Counter[str] = Counter()
    calls = Counter(event.name for event in events)
    for event in events:
        on_gpu = event.device_type == DeviceType.CUDA
        spent[event.name] += event.time_range.elapsed_us() if on_gpu else event.self_cpu_time_total
    return [
        {
            "name": name[:90],
            "calls": round(calls[name] / count, 1),
            "ms": round(us / count / 1000, 3),
        }
        for name, us in spent.most_common(most)
    ]


def _model(small: bool, layers: int) -> ExitModelForTokenClassification:
    torch.manual_seed(0)
    config = BertConfig(num_hidden_layers=layers, **(SMALL if small else BASE))
    config.id2label = dict(enumerate(LABELS))
    tokenizer = train_tokenizer([["words"]], vocab_size=100)
    network = BertForTokenClassification(config)
    return ExitModelForTokenClassification.from_transformers(
        network, tokenizer, LABELS, heads={"name": "linear"}
    )


def _plan(batch_size: int, tokens: int, total: int) -> Iterator[TrainingStep]:
    """Steps on texts of random words, each word one token or two."""
    random = torch.Generator().manual_seed(0)
    spread = max(tokens // 3, 1)
    count = total * batch_size
    lengths = torch.randint(tokens - spread, tokens + spread + 1, (count,), generator=random)
    texts = []
    for length in lengths.clamp_min(3).tolist():
        ids = torch.randint(5, 1000, (length,), generator=random).tolist()
        starts = [row for row in range(1, length - 1) if row == 1 or ids[row] % 4]
        ends = [*starts[1:], length - 1]
        words = [list(range(a, b)) for a, b in zip(starts, ends, strict=True)]
        texts.append(Sentence(ids, words, [ids[rows[0]] % len(LABELS) for rows in words]))
    return steps(texts, batch_size=batch_size, accumulation=1, seed=0, start=0, stop=total)


def _check(device: str, **numbers: int) -> None:
    if device not in ("cpu", "cuda"):
        raise UserError(f"--device is cpu or cuda, not {device!r}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu.")
    for name, value in numbers.items():
        if value < 1:
            raise UserError(f"{name} must be 1 or more, not {value!r}.")


def main() -> None:
    """Measure, and print or write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--device", default=None)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=36)
    parser.add_argument("--objective", default="halt_and_copy")
    parser.add_argument("--precision", default=None, help="no, bf16 or fp16")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--small", action="store_true", help="a narrow network, for a trial")
    parser.add_argument("--count", type=int, default=20, help="steps timed")
    parser.add_argument("--out", type=Path, default=None, help="write the result there as JSON")
    asked = vars(parser.parse_args())
    out = asked.pop("out")
    text = to_json(training_step(**asked), indent=1) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text)


if __name__ == "__main__":
    with friendly_errors():
        main()
