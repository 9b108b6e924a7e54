"""A model folder of any kind, opened."""

from __future__ import annotations

from typing import Any

import torch

from tokenexit.errors import UserError, unknown_name
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.folders import is_cascade, kind_of, read_settings, resolve
from tokenexit.precision import check_precision, check_runtime
from tokenexit.workflows.commands.base import Commands
from tokenexit.workflows.commands.generators import Generator
from tokenexit.workflows.commands.labellers import Cascade, Classifier, Tagger
from tokenexit.workflows.reading import remembered

DTYPES = ("float32", "bfloat16", "float16")


def open_model(
    source: str,
    device: str | None = None,
    dtype: str | None = None,
    precision: str | None = None,
    runtime: str | None = None,
    reducer: str | None = None,
    widths: str | None = None,
) -> Commands:
    """Load a model folder of either kind.

    Args:
        source: The folder, or a Hub id.
        device: Where it computes, such as ``cpu``; an accelerator if there is one when None.
        dtype: ``float32``, ``bfloat16`` or ``float16``; as it was saved when None.
        precision: ``int8``, ``bf16``, ``fp16`` or ``fp32``; as the weights are when None.
        runtime: ``auto``, ``eager`` or ``static``; None is ``auto``.
        reducer: What takes rows out of texts; ``none`` for nothing, None for the model's own.
        widths: Heads and neurons that are computed; ``none`` for all, None for the model's own.

    Raises:
        UserError: It is none, there is no such device or name, or it is not served so.
    """
    if precision is not None:
        check_precision(precision)
    if runtime is not None:
        check_runtime(runtime)
    if dtype is not None and dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    place = None if device is None else _device(device)
    folder = resolve(source)
    kinds: dict[str, type[Commands]] = {
        "ExitModelForTokenClassification": Tagger,
        "ExitModelForSequenceClassification": Classifier,
        "ExitModelForSeq2SeqLM": Generator,
    }
    kind = Cascade if is_cascade(folder) else kinds[kind_of(read_settings(folder))[1]]
    build: Any = kind
    opened: Commands = build(folder, place, dtype, precision, runtime)
    if reducer is not None:
        _use(opened.model, "reducer", reducer)
    if widths is not None:
        _use(opened.model, "widths", widths)
    opened.reading = remembered(folder, opened.model.settings.training)
    return opened


_WHAT = {
    "reducer": "Reducers take rows out of the texts that taggers and classifiers read",
    "widths": "Widths take heads and neurons out of the layers of taggers and classifiers",
}


def _use(model: Any, name: str, told: str) -> None:
    """Use a reducer or widths as they were told.

    Raises:
        UserError: There are none such, or the model has no use for any.
    """
    if not isinstance(model, EncoderModel):
        raise UserError(
            f"{_WHAT[name]}; this model, of the kind {type(model).__name__}, has no use for "
            f"--{name}."
        )
    getattr(model, f"use_{name}")(None if told == "none" else told)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"There is no device {name!r} here: {reason}") from error
    return device
