"""Quality and cost of a text generator on a split, by real runs of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenexit.data.pairs import PairSplit
from tokenexit.decoding import decode_bytes, decode_macs, plain_decode_macs
from tokenexit.errors import UserError
from tokenexit.evaluation.oracle_tokens import oracle_exits, token_account
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.evaluation.reference import at_full_depth
from tokenexit.evaluation.result import result_of
from tokenexit.evaluation.text_metrics import agreement, bleu_difference, score_texts
from tokenexit.evaluation.text_trace import TextTrace, merge_texts
from tokenexit.metrics import build_metric, measure
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.generate_texts import encode_texts, pad_sources, read_outputs
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.progress import tracked
from tokenexit.models.settings import task_of
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.results import Result
from tokenexit.tasks.generation import Generation


def trace_texts(
    model: ExitModelForSeq2SeqLM,
    split: PairSplit,
    policy: Policy,
    *,
    batch_size: int = 32,
    pending: str | None = None,
) -> TextTrace:
    """Generate for a split over all processes; every process gets the whole trace.

    Sources of like length go together; what is generated does not depend on it.
    """
    settings = {**model.settings.generation, "return_dict_in_generate": True}
    ids = encode_texts(model, split.sources)
    order = sorted(range(len(split)), key=lambda place: len(ids[place]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    traces = []
    # Whole batches are dealt out: what is read of the weights is counted by the batch.
    for chosen in (batches[number] for number in tracked(my_share(len(batches)), "texts")):
        batch = pad_sources(model, [ids[place] for place in chosen])
        found = model.generate(**batch, policy=policy, pending=pending, **settings)
        assert isinstance(found, Generated)
        traces.append(
            TextTrace(
                text=chosen,
                outputs=read_outputs(model, found, len(chosen)),
                source_lengths=[len(ids[place]) for place in chosen],
                work=found.work,
                num_layers=model.decoder.num_layers,
            )
        )
    everywhere = gather(traces)
    if not everywhere:
        raise UserError(f"{split.origin} holds no text to generate from.")
    return merge_texts(everywhere)


def evaluate_texts(
    model: ExitModelForSeq2SeqLM,
    split: PairSplit,
    name: str,
    policy: Policy | None = None,
    *,
    full: TextTrace | None = None,
    batch_size: int = 32,
    pending: str | None = None,
    oracle: bool | Sequence[Sequence[int]] = False,
    also: Sequence[str] = (),
) -> tuple[Result, TextTrace]:
    """Measure a policy on a split.

    Args:
        model: The generator.
        split: Sources with references.
        name: Name of the split.
        policy: Who halts; the model's own when None.
        full: What was generated at full depth in float32, if it is known already.
        batch_size: Texts a batch.
        pending: What pending tokens give to later ones; the model's own when None.
        oracle: Also say what an oracle would do, for one pass along the full depth's texts; or
            what ``oracle_exits`` found, if it is known already.
        also: Further metrics to compute.

    Returns:
        The figures, and the trace they come from.

    Raises:
        UserError: There are no references, or a metric that is unknown or gives no quality.
    """
    references = split.references or [[target] for target in split.targets or ()]
    if not references:
        raise UserError(f"{split.origin} has no targets to compare with.")
    metric = model.settings.metric or Generation.metric
    build_metric(metric, "texts")  # refused before anything is generated
    chosen = chosen_policy(model, policy)
    trace = trace_texts(model, split, chosen, batch_size=batch_size, pending=pending)
    if full is None:
        full = at_full_depth(
            model, trace, chosen, lambda: trace_texts(model, split, Never(), batch_size=batch_size)
        )
    scores, deep_scores = score_texts(trace.texts, references), score_texts(full.texts, references)
    names = [*also] if metric == Generation.metric else [metric, *also]
    figures, notes = _further(names, trace.texts, full.texts, references)
    if metric == Generation.metric:
        quality, deep_quality = scores.bleu, deep_scores.bleu
    else:
        quality, deep_quality = (figures.pop(n) for n in (metric, f"{metric}_full_depth"))
        figures |= {"bleu": scores.bleu, "bleu_full_depth": deep_scores.bleu}
    same = agreement([o.token_ids for o in trace.outputs], [o.token_ids for o in full.outputs])
    gap = bleu_difference(trace.texts, full.texts, references)
    plain = plain_decode_macs(
        model.decoder,
        trace.source_lengths,
        [len(output.exit_layers) for output in trace.outputs],
    )
    bound = {}
    if trace.work.encoder is not None:
        tokens = max(sum(trace.source_lengths), 1)
        bound["encoder_exit_layer"] = sum(w.active for w in trace.work.encoder) / tokens
    if oracle is True:
        oracle = oracle_exits(model, split, full, batch_size=batch_size)
    known = token_account(trace, full, oracle) if oracle else None
    if known is not None:
        bound["oracle_exit_layer"] = known.exit_layer
    return result_of(
        model,
        task_of(model.settings),
        trace,
        chosen,
        metric=metric,
        quality=quality,
        full=deep_quality,
        split=name,
        n_sentences=len(split),
        mac_ratio=decode_macs(model.decoder, trace.work) / plain if plain else 1.0,
        figures={
            **bound,
            **figures,
            "bytes_ratio": decode_bytes(model.decoder, trace.work)
            / max(decode_bytes(model.decoder, full.work), 1),
            "chrf": scores.chrf,
            "chrf_full_depth": deep_scores.chrf,
            "agreement_exact": same.exact,
            "agreement_prefix": same.prefix,
            "bleu_difference": gap.difference,
            "bleu_difference_low": gap.low,
            "bleu_difference_high": gap.high,
            "bleu_difference_p": gap.p_value,
        },
        notes={f"{key}_signature": value for key, value in scores.signatures.items()} | notes,
        oracle=known,
    ), trace


def _further(
    names: Sequence[str], texts: list[str], full: list[str], references: Any
) -> tuple[dict[str, float], dict[str, str]]:
    """Further metrics, with exits and at full depth, and their signatures."""
    figures, notes = {}, {}
    for name in names:
        metric = build_metric(name, "texts")
        figures[name] = measure(metric, name, texts, references)
        figures[f"{name}_full_depth"] = measure(metric, name, full, references)
        if metric.signature:
            notes[f"{name}_signature"] = metric.signature
    return figures, notes
