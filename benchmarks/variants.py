r"""A text classifier as it was saved, and with one thing undone, on one clock.

    python benchmarks/variants.py runs/skipbert --data DATA/goemotions_sentiment
    python benchmarks/variants.py runs/be3r --data DATA/goemotions_sentiment --batch-size 32

Beside the plain transformers model: without the table of n-grams, where the model has one, and
with batches in the order of texts, where it makes them anew between exits. All take turns over the
same texts, and each pass is compared with the plain model's.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.evaluation.bench.our_encoder import ours  # noqa: E402
from tokenexit.evaluation.bench.plain_encoder import PlainEncoder  # noqa: E402
from tokenexit.evaluation.bench.race import Timed, race  # noqa: E402
from tokenexit.halting.trace import merge  # noqa: E402
from tokenexit.workflows.commands import open_model  # noqa: E402


def variants(model: Any) -> Iterator[tuple[str, Any]]:
    """The model, and others that share its weights with one thing undone."""
    yield "as saved", model
    if model.heads.embeddings.table is not None:
        yield "without table", copy.deepcopy(model).use_table(None)
    if getattr(model.settings, "batching", None) == "by_depth":
        yield "fixed batches", copy.deepcopy(model).use_batching("fixed")


def main(argv: Sequence[str] | None = None) -> None:
    """Time them and print a table.

    Args:
        argv: Arguments of the command line.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="folder of a text classifier")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=512, help="texts")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(argv)
    with friendly_errors():
        torch.set_num_threads(given.threads)
        print("\n".join(lines(given)))


def lines(given: argparse.Namespace) -> Iterator[str]:
    """Of the table."""
    opened = open_model(given.run)
    model, size = opened.model, given.batch_size
    found = dict(variants(model)) if hasattr(model, "heads") else {}
    if len(found) < 2:
        raise UserError("The model has neither a table of n-grams nor batches made anew.")
    texts = opened.texts(opened.split(given.data, given.split))[: given.limit]
    items = model.encoder.encode(texts)
    plain = PlainEncoder(model, False)
    others = [ours(one, name, texts, one.policy, size) for name, one in found.items()]
    timed = race(
        [plain, *others], items, lambda one: len(one.sentence.input_ids),
        batch_size=size, repeats=given.repeats, turn=16, device=model.device,
    )  # fmt: skip
    first, *rest = [one for one in timed if isinstance(one, Timed)]
    yield "| | ms a text | times as fast as plain | multiply-accumulates | mean exit layer |"
    yield "| :-- | --: | --: | --: | --: |"
    milliseconds = 1000 * statistics.median(first.seconds) / len(items)
    yield f"| plain transformers | {milliseconds:.2f} | 1 | 1 | {model.backbone.num_layers} |"
    for one, used in zip(rest, found.values(), strict=True):
        pairs = zip(first.seconds, one.seconds, strict=True)
        ratio = statistics.median(before / after for before, after in pairs)
        trace = merge([output for _, output in one.outputs])
        milliseconds = 1000 * statistics.median(one.seconds) / len(items)
        yield (
            f"| {one.contender.name} | {milliseconds:.2f} | {ratio:.2f} | "
            f"{used.mac_ratio(trace):.3f} | {trace.mean_exit_layer:.2f} |"
        )


if __name__ == "__main__":
    main()
