"""The structs of kernels/source/decoder_model.h and decode_types.h, field by field."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from torch import Tensor

from tokenexit.kernels.structs import FLOAT, INT, LONG, POINTER, fields


class Norm(ctypes.Structure):
    """``DecoderNorm``."""

    _fields_ = (("kind", INT), ("epsilon", FLOAT), *fields(POINTER, "weight bias"))


class Layer(ctypes.Structure):
    """``DecoderLayer``."""

    _fields_ = (
        *fields(Norm, "self_norm cross_norm feed_norm"),
        *fields(POINTER, "query_key_value key_value out cross_query cross_key_value cross_out"),
        *fields(POINTER, "inner gate outer"),
    )


class Model(ctypes.Structure):
    """``DecoderModel``."""

    _fields_ = (
        *fields(INT, "layers hidden heads head_size vocabulary num_words"),
        *fields(INT, "pre_norm activation narrow"),
        *fields(FLOAT, "scaling word_scale final_scale"),
        *fields(POINTER, "words places"),
        *fields(Norm, "embed_norm final_norm"),
        *fields(POINTER, "head layer"),
    )


class Cache(ctypes.Structure):
    """``DecoderCache``."""

    _fields_ = (
        *fields(INT, "rows length blocks reach unused bias_width"),
        *fields(POINTER, "keys values states table filled users stack bias"),
    )


class Source(ctypes.Structure):
    """``DecoderSource``."""

    _fields_ = (
        *fields(INT, "count tokens blocks longest"),
        *fields(POINTER, "memory start first number keys values made"),
    )


class Batch(ctypes.Structure):
    """``DecodeBatch``."""

    _fields_ = fields(POINTER, "model cache source origin")


class Gate(ctypes.Structure):
    """``DecodeGate``."""

    _fields_ = (
        *fields(INT, "inputs inner num_features remembers"),
        *fields(POINTER, "features place weight bias out out_bias"),
        ("macs", LONG),
    )


class Rule(ctypes.Structure):
    """``DecodeRule``."""

    _fields_ = (
        *fields(INT, "score low patience classes steps shortlist"),
        *fields(POINTER, "exits asked thresholds depths table gate context"),
    )


class Step(ctypes.Structure):
    """``DecodeStep``."""

    _fields_ = (
        *fields(INT, "pending num_banned"),
        ("rule", Rule),
        *fields(POINTER, "banned words logits layers work depths doubts"),
        *fields(INT, "trail_width trail_reach"),
    )


class Run(ctypes.Structure):
    """``DecodeRun``."""

    _fields_ = (
        *fields(INT, "steps most live num_ends stop_at free_from padding reserved"),
        *fields(POINTER, "ends rows tokens layers"),
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
