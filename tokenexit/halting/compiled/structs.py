"""The structs of kernels/source/encoder.h and rule.h, field by field."""

from __future__ import annotations

import ctypes

import numpy as np
from torch import Tensor

from tokenexit.kernels.structs import FLOAT, INT, POINTER

WORK = 6
"""Numbers of a layer's work."""


class Norm(ctypes.Structure):
    """``EncoderNorm``."""

    _fields_ = (("weight", POINTER), ("bias", POINTER), ("epsilon", FLOAT), ("rms", INT))


class Dense(ctypes.Structure):
    """``EncoderDense``."""

    _fields_ = (("weight", POINTER), ("bias", POINTER), ("inputs", INT), ("outputs", INT))


class Layer(ctypes.Structure):
    """``EncoderLayer``."""

    _fields_ = (
        ("query", POINTER),
        ("key_value", POINTER),
        ("output", POINTER),
        ("ff_in", POINTER),
        ("gate", POINTER),
        ("ff_out", POINTER),
        ("attention_norm", Norm),
        ("ff_norm", Norm),
        ("bias", POINTER),
        ("span", INT),
        ("pre_norm", INT),
        ("activation", INT),
        ("heads", INT),
        ("scale", FLOAT),
    )


class Embedding(ctypes.Structure):
    """``EncoderEmbedding``."""

    _fields_ = (
        ("tokens", POINTER),
        ("places", POINTER),
        ("segments", POINTER),
        ("project", POINTER),
        ("norm", Norm),
        ("scale", FLOAT),
        ("width", INT),
        ("first_place", INT),
        ("padding", INT),
    )


class Head(ctypes.Structure):
    """``EncoderHead``."""

    _fields_ = (("dense", Dense), ("project", Dense), ("activation", INT))


class Encoder(ctypes.Structure):
    """``Encoder``."""

    _fields_ = (
        ("num_layers", INT),
        ("width", INT),
        ("classes", INT),
        ("mean", INT),
        ("embedding", Embedding),
        ("final_norm", Norm),
        ("layers", POINTER),
        ("heads", POINTER),
    )


class Texts(ctypes.Structure):
    """``Texts``."""

    _fields_ = (
        ("size", INT),
        ("unused", INT),
        ("row_start", POINTER),
        ("word_start", POINTER),
        ("ids", POINTER),
        ("segments", POINTER),
        ("row_word", POINTER),
        ("first", POINTER),
    )


class Outcome(ctypes.Structure):
    """``Outcome``."""

    _fields_ = (
        ("logits", POINTER),
        ("exit_layer", POINTER),
        ("work", POINTER),
        ("exits", POINTER),
    )


class Live(ctypes.Structure):
    """``Live``."""

    _fields_ = (
        ("size", INT),
        ("rows", INT),
        ("active", INT),
        ("words", INT),
        ("width", INT),
        ("drop", INT),
        ("row_start", POINTER),
        ("active_start", POINTER),
        ("word_start", POINTER),
        ("row_word", POINTER),
        ("place", POINTER),
        ("asking", POINTER),
        ("on", POINTER),
        ("word", POINTER),
        ("first", POINTER),
        ("spot", POINTER),
        ("hidden", POINTER),
    )


def address(values: np.ndarray | Tensor | None) -> int:
    """Where an array or a tensor lies; 0 of none."""
    if values is None:
        return 0
    if isinstance(values, Tensor):
        return values.data_ptr()
    return values.__array_interface__["data"][0]  # quicker than `ctypes.data`
