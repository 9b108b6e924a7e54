"""Decoding in kernels."""

from __future__ import annotations

from tokenexit.decoding.compiled.decoding import CompiledDecoding
from tokenexit.decoding.compiled.model import CompiledDecoder, compile_decoder

__all__ = ["CompiledDecoder", "CompiledDecoding", "compile_decoder"]
