"""Wall-clock of generation against transformers' own ``generate`` on the same checkpoint.

Three runs of every batch, interleaved: the plain model (greedy, its default cache), ours at full
depth, and ours with a policy. Encoding is inside the clock for all, tokenising for none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache

from tokenexit.backbones import evaluated
from tokenexit.decoding import DecodeWork, decode_macs, plain_decode_macs
from tokenexit.errors import UserError
from tokenexit.evaluation.bench import seconds
from tokenexit.models.generate import Generated
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.texts import encode_texts, pad_sources
from tokenexit.policies import Policy
from tokenexit.policies.never import Never


@dataclass(frozen=True)
class TextBenchResult:
    """One comparison.

    Attributes:
        baseline: What the times are compared with.
        batch_size: Sources a batch.
        threads: Threads torch computes with.
        device: Where.
        dtype: Of the weights.
        repeats: Passes over the sources.
        n_sentences: Sources.
        policy: Who halts.
        pending: What pending tokens give to later ones.
        speedup_median: Time of the baseline over ours, median of the passes.
        speedup_p10: Its 10th percentile.
        speedup_p90: Its 90th percentile.
        full_depth_speedup: Time of the baseline over ours at full depth, median.
        policy_speedup: Time of ours at full depth over ours with the policy, median.
        bound: What the cost model allows ``policy_speedup`` to be: multiply-accumulates at full
            depth over those with the policy, heads and propagation counted.
        of_bound: ``policy_speedup / bound``.
        mac_ratio: Our multiply-accumulates over the plain model's on real tokens.
        efficiency: ``speedup_median * mac_ratio``.
        tokens: Tokens written by the baseline, ours at full depth, and ours with the policy.
        mean_exit_layer: Average depth of a token with the policy.
    """

    baseline: str
    batch_size: int
    threads: int
    device: str
    dtype: str
    repeats: int
    n_sentences: int
    policy: dict[str, Any]
    pending: str
    speedup_median: float
    speedup_p10: float
    speedup_p90: float
    full_depth_speedup: float
    policy_speedup: float
    bound: float
    of_bound: float
    mac_ratio: float
    efficiency: float
    tokens: tuple[int, int, int]
    mean_exit_layer: float

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def bench_texts(
    model: ExitModelForSeq2SeqLM,
    texts: Sequence[str],
    policy: Policy,
    *,
    batch_size: int = 32,
    repeats: int = 5,
    pending: str | None = None,
) -> TextBenchResult:
    """Time a policy against the plain model and against our own full depth.

    Args:
        model: The generator.
        texts: Sources.
        policy: Who halts.
        batch_size: Sources a batch.
        repeats: Passes over all sources, after one that is not counted.
        pending: See ``ExitModelForSeq2SeqLM.generate``.

    Raises:
        UserError: No text.
    """
    ids = encode_texts(model, texts)
    if not ids:
        raise UserError("There is no text to time.")
    network = evaluated(model.network)
    pending = pending or model.settings.pending
    most = int(model.settings.generation.get("max_new_tokens", 128))
    batches = [pad_sources(model, ids[i : i + batch_size]) for i in range(0, len(ids), batch_size)]

    def ours(batch: dict[str, Tensor], chosen: Policy, rule: str) -> Generated:
        found = model.generate(
            batch["input_ids"],
            batch["attention_mask"],
            policy=chosen,
            pending=rule,
            max_new_tokens=most,
            return_dict_in_generate=True,
        )
        assert isinstance(found, Generated)
        return found

    runs: list[Callable[[dict[str, Tensor]], Any]] = [
        lambda batch: plain_generate(network, batch, most),
        lambda batch: ours(batch, Never(), "lazy"),
        lambda batch: ours(batch, policy, pending),
    ]
    passes = []
    for number in range(repeats + 1):
        total = [0.0, 0.0, 0.0]
        for place, batch in enumerate(batches):
            for turn in range(3):  # who goes first changes: caches favour the later ones
                which = (turn + number + place) % 3
                work = runs[which]
                total[which] += seconds(lambda w=work, b=batch: w(b), model.device)
        if number:
            passes.append(total)
    full, early = (_counted([run(b) for b in batches], model) for run in runs[1:])
    written = sum(_real(model, plain_generate(network, batch, most)) for batch in batches)
    plain = plain_decode_macs(model.decoder, full.sources, full.targets)
    plain_time, full_time, early_time = np.array(passes).T
    speedup, deep, gain = plain_time / early_time, plain_time / full_time, full_time / early_time
    macs_full, macs_early = (decode_macs(model.decoder, r.work) for r in (full, early))
    bound, median = macs_full / macs_early, float(np.median(speedup))
    return TextBenchResult(
        baseline=f"transformers {type(model.network).__name__}.generate, greedy, default cache",
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        device=str(model.device),
        dtype=str(model.network.dtype).removeprefix("torch."),
        repeats=repeats,
        n_sentences=len(ids),
        policy=policy.to_config(),
        pending=pending,
        speedup_median=median,
        speedup_p10=float(np.percentile(speedup, 10)),
        speedup_p90=float(np.percentile(speedup, 90)),
        full_depth_speedup=float(np.median(deep)),
        policy_speedup=float(np.median(gain)),
        bound=bound,
        of_bound=float(np.median(gain)) / bound,
        mac_ratio=macs_early / plain,
        efficiency=median * macs_early / plain,
        tokens=(written, full.written, early.written),
        mean_exit_layer=early.depth,
    )


@torch.inference_mode()
def plain_generate(network: Any, batch: dict[str, Tensor], most: int) -> Tensor:
    """The transformers model itself, in evaluation mode, ``[B, T]``."""
    extra = {}
    if getattr(network.config, "num_decoder_layers", None) not in (
        None,
        network.config.num_hidden_layers,
    ):  # transformers sizes its cache by the encoder
        extra["past_key_values"] = EncoderDecoderCache(DynamicCache(), DynamicCache())
    return network.generate(**batch, max_new_tokens=most, num_beams=1, do_sample=False, **extra)


@dataclass(frozen=True)
class _Counted:
    work: DecodeWork
    sources: list[int]
    targets: list[int]
    written: int
    depth: float


def _counted(found: Sequence[Generated], model: ExitModelForSeq2SeqLM) -> _Counted:
    work = DecodeWork(model.decoder.num_layers)
    targets: list[int] = []
    layers = 0
    for one in found:
        work = work + one.work
        targets += (one.exit_layers > 0).sum(dim=1).tolist()
        layers += int(one.exit_layers.sum())
    return _Counted(work, work.source_lengths, targets, sum(targets), layers / max(sum(targets), 1))


def _real(model: ExitModelForSeq2SeqLM, sequences: Tensor) -> int:
    """Tokens written, padding after the end left out."""
    ends = sequences[:, 1:] == model.network.config.eos_token_id
    after = ends.long().cumsum(dim=1) - ends.long()
    return int((after == 0).sum())
