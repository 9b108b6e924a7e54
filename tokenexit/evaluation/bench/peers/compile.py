"""The plain model compiled by torch, shapes left open: compiled in the pass that is not timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tokenexit.evaluation.bench.contender import Contender
from tokenexit.evaluation.bench.peers.base import Peer
from tokenexit.evaluation.bench.peers.registry import PEERS
from tokenexit.evaluation.bench.plain_encoder import PlainEncoder
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow


@PEERS.register("compile")
class Compile(Peer):
    """Needs a C++ compiler on a CPU, and a minute or more."""

    title = "torch.compile, sorted"
    packages = ("torch",)
    precisions = ("fp32",)

    def encoder(
        self, model: EncoderModel, windows: Sequence[TextWindow], precision: str, folder: Path
    ) -> Contender:
        """Compile it when it is first asked."""
        return _CompiledEncoder(self.title, model)


class _CompiledEncoder(PlainEncoder):
    foreign = True

    def __init__(self, name: str, model: EncoderModel) -> None:
        super().__init__(model, by_length=True)
        self.name = name
        self._network: Any = torch.compile(self._network, dynamic=True)
