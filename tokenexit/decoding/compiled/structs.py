"""The structs of kernels/source/decoder_model.h and decode_types.h, field by field."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from torch import Tensor

INT, FLOAT, POINTER = ctypes.c_int32, ctypes.c_float, ctypes.c_void_p


def _fields(kind: Any, names: str) -> tuple[tuple[str, Any], ...]:
    return tuple((name, kind) for name in names.split())


class Norm(ctypes.Structure):
    """``DecoderNorm``."""

    _fields_ = (("kind", INT), ("epsilon", FLOAT), *_fields(POINTER, "weight bias"))


class Layer(ctypes.Structure):
    """``DecoderLayer``."""

    _fields_ = (
        *_fields(Norm, "self_norm cross_norm feed_norm"),
        *_fields(POINTER, "query_key_value key_value out cross_query cross_key_value cross_out"),
        *_fields(POINTER, "inner gate outer"),
    )


class Model(ctypes.Structure):
    """``DecoderModel``."""

    _fields_ = (
        *_fields(INT, "layers hidden heads head_size vocabulary num_words"),
        *_fields(INT, "pre_norm activation narrow"),
        *_fields(FLOAT, "scaling word_scale final_scale"),
        *_fields(POINTER, "words places"),
        *_fields(Norm, "embed_norm final_norm"),
        *_fields(POINTER, "head layer"),
    )


class Cache(ctypes.Structure):
    """``DecoderCache``."""

    _fields_ = (
        *_fields(INT, "rows length blocks reach unused bias_width"),
        *_fields(POINTER, "keys values states table filled users stack bias"),
    )


class Source(ctypes.Structure):
    """``DecoderSource``."""

    _fields_ = (
        *_fields(INT, "count tokens blocks longest"),
        *_fields(POINTER, "memory start first number keys values made"),
    )


class Batch(ctypes.Structure):
    """``DecodeBatch``."""

    _fields_ = _fields(POINTER, "model cache source origin")


class Gate(ctypes.Structure):
    """``DecodeGate``."""

    _fields_ = (
        *_fields(INT, "inputs inner num_features remembers"),
        *_fields(POINTER, "features place weight bias out out_bias"),
        ("macs", ctypes.c_int64),
    )


class Rule(ctypes.Structure):
    """``DecodeRule``."""

    _fields_ = (
        *_fields(INT, "score low patience classes steps shortlist"),
        *_fields(POINTER, "exits asked thresholds depths table gate context"),
    )


class Step(ctypes.Structure):
    """``DecodeStep``."""

    _fields_ = (
        *_fields(INT, "pending num_banned"),
        ("rule", Rule),
        *_fields(POINTER, "banned words logits layers work depths doubts"),
        *_fields(INT, "trail_width trail_reach"),
    )


class Run(ctypes.Structure):
    """``DecodeRun``."""

    _fields_ = (
        *_fields(INT, "steps most live num_ends stop_at free_from padding reserved"),
        *_fields(POINTER, "ends rows tokens layers"),
    )


def address(values: Any) -> int | None:
    """Where an array, a tensor or a struct lies; None of None."""
    if values is None:
        return None
    if isinstance(values, Tensor):
        return values.data_ptr()
    if isinstance(values, np.ndarray):
        return values.ctypes.data
    return ctypes.addressof(values)
