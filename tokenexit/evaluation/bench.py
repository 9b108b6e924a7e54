"""Wall-clock against the plain transformers model of the same checkpoint.

Both read the same tokens in the same order and batches; tokenising is outside the clock for
both. The plain model gets padded batches, as users run it; building the batch is inside the
clock for both. Batches are interleaved, so that whatever else the machine does hits both, and
the ratio of each pass is reported with its spread. A cascade, which cuts fresh batches between its
models, takes turns with its last model after all texts instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from tokenexit.backbones import evaluated
from tokenexit.errors import UserError
from tokenexit.halting import Sentence
from tokenexit.models.cascade import CascadeForSequenceClassification
from tokenexit.models.cascade_run import Reading, run_cascade
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.encoding import Piece
from tokenexit.models.run import run
from tokenexit.policies import Policy

_Turn = tuple[Callable[[], object], Callable[[], object]]
"""The plain model's work and ours on the same texts."""


@dataclass(frozen=True)
class BenchResult:
    """One comparison.

    Attributes:
        baseline: What the times are compared with.
        batch_size: Texts a batch.
        threads: Threads torch computes with.
        device: Where.
        dtype: Of the weights.
        repeats: Passes over the texts.
        n_sentences: Texts (pieces of long ones).
        policy: Who halts.
        speedup_median: Time of the baseline over ours, median of the passes.
        speedup_p10: Its 10th percentile.
        speedup_p90: Its 90th percentile.
        mac_ratio: Our multiply-accumulates over the plain model's on real tokens.
        efficiency: ``speedup_median * mac_ratio``: 1 when saved work is saved time.
        padding: Share of padding in the baseline's batches.
    """

    baseline: str
    batch_size: int
    threads: int
    device: str
    dtype: str
    repeats: int
    n_sentences: int
    policy: dict[str, Any]
    speedup_median: float
    speedup_p10: float
    speedup_p90: float
    mac_ratio: float
    efficiency: float
    padding: float

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def bench(
    model: EncoderModel | CascadeForSequenceClassification,
    texts: Sequence[Sequence[str]],
    policy: Policy,
    *,
    batch_size: int = 32,
    repeats: int = 5,
) -> BenchResult:
    """Time a policy against the plain model.

    Args:
        model: A tagger, a text classifier or a cascade.
        texts: Words of each text, or its one or two strings.
        policy: Who halts.
        batch_size: Texts a batch.
        repeats: Passes over all texts, after one that is not counted.

    Raises:
        UserError: No text with a word.
    """
    network = model if isinstance(model, EncoderModel) else model.stages[-1]
    pieces = network.encoder.encode(texts)
    if not pieces:
        raise UserError("There is no text with a word to time.")
    chunks = [pieces[i : i + batch_size] for i in range(0, len(pieces), batch_size)]
    plain = partial(_plain_pass, network, evaluated(network.network))
    turns: list[_Turn] = []
    if isinstance(model, EncoderModel):
        whole = partial(run, model, pieces, policy, batch_size=batch_size)
        for chunk in chunks:
            ours = partial(run, model, chunk, policy, batch_size=batch_size)
            turns.append((partial(plain, [chunk]), ours))
    else:
        whole = partial(run_cascade, model, Reading(model, texts), policy, batch_size)
        turns.append((partial(plain, chunks), whole))
    ratios = []
    for number in range(repeats + 1):
        spent = [0.0, 0.0]
        for place, turn in enumerate(turns):
            # Who goes first changes from turn to turn: caches favour the second.
            first = (number + place) % 2
            for which in (first, 1 - first):
                spent[which] += seconds(turn[which], network.device)
        if number:
            ratios.append(spent[0] / spent[1])
    lengths = [len(p.sentence.input_ids) for p in pieces]
    ratio = model.mac_ratio(whole())
    padded = sum(len(c) * max(len(p.sentence.input_ids) for p in c) for c in chunks)
    median = float(np.median(ratios))
    return BenchResult(
        baseline=f"transformers {type(network.network).__name__}, "
        f"{network.network.config._attn_implementation}, padded batches",
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        device=str(network.device),
        dtype=str(network.network.dtype).removeprefix("torch."),
        repeats=repeats,
        n_sentences=len(pieces),
        policy=policy.to_config(),
        speedup_median=median,
        speedup_p10=float(np.percentile(ratios, 10)),
        speedup_p90=float(np.percentile(ratios, 90)),
        mac_ratio=ratio,
        efficiency=median * ratio,
        padding=1 - sum(lengths) / padded,
    )


def _plain_pass(model: EncoderModel, network: nn.Module, chunks: Sequence[Sequence[Piece]]) -> None:
    for chunk in chunks:
        plain_forward(model, [piece.sentence for piece in chunk], network)


@torch.inference_mode()
def plain_forward(
    model: EncoderModel, sentences: Sequence[Sentence], network: nn.Module | None = None
) -> torch.Tensor:
    """The transformers model itself on one padded batch: predicted classes, ``[B, M]``.

    Args:
        model: Says how sentences are padded.
        sentences: The batch.
        network: Its network in evaluation mode, where that is known already.
    """
    pad = model.network.config.pad_token_id or 0
    ids = [torch.tensor(s.input_ids) for s in sentences]
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=pad)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(i) for i in ids], batch_first=True)
    inputs = {"input_ids": padded, "attention_mask": mask}
    if any(s.segments is not None for s in sentences):
        kinds = [torch.tensor(s.segments or [0] * len(s.input_ids)) for s in sentences]
        inputs["token_type_ids"] = torch.nn.utils.rnn.pad_sequence(kinds, batch_first=True)
    network = evaluated(model.network) if network is None else network
    output = network(**{name: value.to(model.device) for name, value in inputs.items()})
    return output.logits.argmax(dim=-1).cpu()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of one call, with everything it started on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
