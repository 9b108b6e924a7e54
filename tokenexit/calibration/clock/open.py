"""A clock for any kind of model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from tokenexit.calibration.clock.cascades import TimedCascade
from tokenexit.calibration.clock.clock import Clock, start
from tokenexit.calibration.clock.cost_model import CostModel
from tokenexit.calibration.clock.encoders import TimedEncoder
from tokenexit.calibration.clock.generators import TimedGenerator
from tokenexit.calibration.clock.machine import machine
from tokenexit.calibration.clock.stopwatch import Stopwatch, stopwatch
from tokenexit.calibration.clock.timed import Timed
from tokenexit.evaluation.reference import is_told
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy


def clock_of(
    model: Any,
    texts: Sequence[Any],
    families: Sequence[Policy],
    batch_size: int,
    *,
    known: CostModel | None = None,
    watch: Stopwatch = stopwatch,
) -> Clock:
    """What a model's operations cost here, measured unless it is known.

    Args:
        model: A tagger, text classifier, cascade or generator, in the precision that will run.
        texts: As the model reads them.
        families: Policies that will be tried.
        batch_size: Texts a batch, as they will be run.
        known: Costs that were measured before.
        watch: Measures.
    """
    timed = timed_of(model, texts, batch_size)
    return start(timed, families, conditions(model, timed), known=known, watch=watch)


def conditions(model: Any, timed: Timed) -> dict[str, Any]:
    """Where costs hold: machine, precision, model, batches, and about how long texts are."""
    tokens = [timed.tokens(batch) for batch in timed.batches()]
    texts = sum(timed.texts(batch) for batch in timed.batches())
    return {
        **machine(timed.device, is_told(model)),
        "precision": model.precision,
        "runtime": model.runtime,
        "batch_size": timed.batch_size,
        "tokens_a_text": 2 ** round(sum(tokens) / max(texts, 1)).bit_length(),
        "model": shape(model),
    }


@singledispatch
def timed_of(model: Any, texts: Sequence[Any], batch_size: int) -> Timed:
    """A model as the clock runs it."""
    raise TypeError(f"{type(model).__name__} is no model with exits.")


@singledispatch
def shape(model: Any) -> dict[str, Any]:
    """What costs of a model depend on, as plain data."""
    raise TypeError(f"{type(model).__name__} is no model with exits.")


@timed_of.register
def _(model: EncoderModel, texts: Sequence[Any], batch_size: int) -> Timed:
    return TimedEncoder(model, texts, batch_size)


@shape.register
def _(model: EncoderModel) -> dict[str, Any]:
    layers = model.backbone.num_layers
    return {**_network(model), "layers": layers, "halted": model.settings.halted}


@timed_of.register
def _(model: CascadeForSequenceClassification, texts: Sequence[Any], batch_size: int) -> Timed:
    return TimedCascade(model, texts, batch_size)


@shape.register
def _(model: CascadeForSequenceClassification) -> dict[str, Any]:
    return {"stages": [shape(stage) for stage in model.stages]}


@timed_of.register
def _(model: ExitModelForSeq2SeqLM, texts: Sequence[Any], batch_size: int) -> Timed:
    return TimedGenerator(model, texts, batch_size)


@shape.register
def _(model: ExitModelForSeq2SeqLM) -> dict[str, Any]:
    settings = model.settings
    generation = {key: settings.generation.get(key) for key in ("num_beams", "do_sample")}
    layers = model.decoder.num_layers
    return {**_network(model), "layers": layers, "pending": settings.pending, **generation}


def _network(model: Any) -> dict[str, Any]:
    settings, config = model.settings, model.network.config
    return {
        "type": config.model_type,
        "width": int(config.hidden_size),
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "exit_layers": list(settings.exit_layers),
        "heads": dict(settings.heads),
    }
