"""Decoding: each sequence of a batch leaves the decoder at its own depth, token by token."""

from __future__ import annotations

from tokenexit.decoding.decoding import Decoding, Step
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.generator import MODES, Generator, VerifyingGenerator, refuse
from tokenexit.decoding.layer import PENDING, Pending
from tokenexit.decoding.verify import Acceptance
from tokenexit.decoding.work import DecodeWork, decode_macs, plain_decode_macs

__all__ = [
    "MODES",
    "PENDING",
    "Acceptance",
    "DecodeWork",
    "Decoding",
    "Exits",
    "Generator",
    "Pending",
    "Step",
    "VerifyingGenerator",
    "decode_macs",
    "plain_decode_macs",
    "refuse",
]
