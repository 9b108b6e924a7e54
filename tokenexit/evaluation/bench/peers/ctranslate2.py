"""CTranslate2: converted from the same checkpoint, in fp32 and with int8 weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenexit.evaluation.bench.contender import Contender
from tokenexit.evaluation.bench.peers.base import Peer
from tokenexit.evaluation.bench.peers.ct2_encoder import CTranslate2Encoder
from tokenexit.evaluation.bench.peers.ct2_generator import CTranslate2Generator
from tokenexit.evaluation.bench.peers.registry import PEERS
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM


@PEERS.register("ctranslate2")
class CTranslate2(Peer):
    """Batches of texts of like lengths; generators are greedy."""

    title = "CTranslate2, sorted"
    packages = ("ctranslate2",)

    def encoder(
        self, model: EncoderModel, windows: Sequence[TextWindow], precision: str, folder: Path
    ) -> Contender:
        """Convert all but the head, which torch computes."""
        return CTranslate2Encoder(self.title, precision, model, folder)

    def generator(
        self, model: ExitModelForSeq2SeqLM, precision: str, folder: Path, most: int
    ) -> Contender:
        """Convert it and open a translator."""
        return CTranslate2Generator(self.title, precision, model, folder, most)
