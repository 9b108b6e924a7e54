"""Taggers, classifiers and cascades against the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.field import Cost, Field
from tokenexit.evaluation.bench.our_encoder import ours
from tokenexit.evaluation.bench.peers import Peer
from tokenexit.evaluation.bench.plain_encoder import PlainEncoder
from tokenexit.evaluation.bench.race import Timed
from tokenexit.halting.trace import merge
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.policies import Policy


class EncoderField(Field[TextWindow]):
    """Words, or whole texts, get labels."""

    asked = "text with a word"
    turn = 16

    def __init__(self, model: Any, texts: Sequence[Any], policy: Policy, batch_size: int) -> None:
        super().__init__(model, texts, policy, batch_size)
        self.network = model.last_stage
        self.items = self.network.encoder.encode(texts)

    @property
    def baseline(self) -> str:
        """See ``Field``."""
        plain = self.network.network
        return f"{type(plain).__name__}, {plain.config._attn_implementation}, padded batches"

    def plain(self, by_length: bool) -> Contender:
        """See ``Field``."""
        return PlainEncoder(self.network, by_length)

    def ours(self, name: str, policy: Policy) -> Contender:
        """See ``Field``."""
        return ours(self.model, name, self.texts, policy, self.batch_size)

    def peer(self, peer: Peer, precision: str, folder: Path) -> Contender:
        """See ``Field``."""
        return peer.encoder(self.network, self.items, precision, folder)

    def length(self, item: TextWindow) -> int:
        """See ``Field``."""
        return item.sentence.length

    def compare(self, answers: Answers, plain: Answers) -> dict[str, Any]:
        """Share of words or texts that are labelled as by the plain model."""
        same = sum(answers.get(key) == said for key, said in plain.items())
        return {"agreement": same / len(plain)}

    def cost(self, deep: Timed, early: Timed) -> Cost:
        """See ``Field``."""
        full, trace = (merge([output for _, output in one.outputs]) for one in (deep, early))
        macs = (1.0, self.model.mac_ratio(full), self.model.mac_ratio(trace))
        return Cost(macs, trace.mean_exit_layer, trace.num_layers)
