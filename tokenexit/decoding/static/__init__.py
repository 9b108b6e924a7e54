"""Decoding planned on the device: caches of fixed shape, and steps that a GPU captures."""

from __future__ import annotations

from tokenexit.decoding.static.decoder import StaticDecoder
from tokenexit.decoding.static.decoding import StaticDecoding
from tokenexit.decoding.static.served import check_decoder

__all__ = ["StaticDecoder", "StaticDecoding", "check_decoder"]
