"""Decoding: each sequence of a batch leaves the decoder at its own depth, token by token."""

from __future__ import annotations

from typing import Any

from tokenexit.decoding.decoding import Decoding
from tokenexit.decoding.exits import Exits, check_generator_policy
from tokenexit.decoding.generation_settings import (
    CALLBACKS,
    DRY_RUN,
    MODES,
    GenerationSettings,
    check_settings,
)
from tokenexit.decoding.generator import Generator, Prepared, VerifyingGenerator
from tokenexit.decoding.layer import PENDING, Pending
from tokenexit.decoding.outcome import Step
from tokenexit.decoding.sequences import DecodingSettings, Sequences
from tokenexit.decoding.verify import Acceptance
from tokenexit.decoding.work import DecodeWork, decode_bytes, decode_macs, plain_decode_macs
from tokenexit.renamed import renamed

__all__ = [
    "CALLBACKS",
    "DRY_RUN",
    "MODES",
    "PENDING",
    "Acceptance",
    "DecodeWork",
    "Decoding",
    "DecodingSettings",
    "Exits",
    "GenerationSettings",
    "Generator",
    "Pending",
    "Prepared",
    "Sequences",
    "Step",
    "VerifyingGenerator",
    "check_generator_policy",
    "check_settings",
    "decode_bytes",
    "decode_macs",
    "plain_decode_macs",
]


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"check_policy": check_generator_policy})
