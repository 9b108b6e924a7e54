"""Generators against the others, all of them greedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from tokenexit.decoding import DecodeWork, decode_macs, plain_decode_macs
from tokenexit.errors import UserError
from tokenexit.evaluation.bench.by_depth import OurByDepth, batching_told
from tokenexit.evaluation.bench.contender import Answers, Contender, Missing
from tokenexit.evaluation.bench.field import EARLY, Cost, Field
from tokenexit.evaluation.bench.our_generator import OurGenerator
from tokenexit.evaluation.bench.peers import Peer
from tokenexit.evaluation.bench.plain_generator import PlainGenerator, Source
from tokenexit.evaluation.bench.race import Timed
from tokenexit.evaluation.bench.rows import answers_of
from tokenexit.evaluation.text_metrics import agreement
from tokenexit.models.generation.by_depth import check_batching_name
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.generate_texts import encode_texts
from tokenexit.policies import Policy


class GeneratorField(Field[Source]):
    """Texts are written.

    Args:
        model: The generator.
        texts: Sources.
        policy: Who halts.
        batch_size: Sources a batch.
        pending: See ``ExitModelForSeq2SeqLM.generate``.
        batching: ``by_depth`` also times rows that wait for others of their depth, and says which
            of ours is the fastest.
        max_wait: By depth, rounds after which a row is due.

    Raises:
        UserError: Settings that exclude each other.
    """

    turn = 4

    def __init__(
        self,
        model: Any,
        texts: Sequence[str],
        policy: Policy,
        batch_size: int,
        *,
        pending: str | None = None,
        batching: str | None = None,
        max_wait: int | None = None,
    ) -> None:
        super().__init__(model, texts, policy, batch_size)
        self._deep_too = check_batching_name(batching) == "by_depth"
        if max_wait is not None and not self._deep_too:
            raise UserError('max_wait has a meaning with batching="by_depth" only; leave it out.')
        self.network = model
        self.items = [Source(number, ids) for number, ids in enumerate(encode_texts(model, texts))]
        self._pending, self._wait = pending or model.settings.pending, max_wait
        self._most = int(model.settings.generation.get("max_new_tokens", 128))

    @property
    def baseline(self) -> str:
        """See ``Field``."""
        return f"{type(self.model.network).__name__}.generate, greedy, default cache"

    def plain(self, by_length: bool) -> Contender:
        """See ``Field``."""
        return PlainGenerator(self.model, self._most, by_length)

    def ours(self, name: str, policy: Policy) -> Contender:
        """See ``Field``."""
        pending = self._pending if name == EARLY else "lazy"
        return OurGenerator(name, self.model, policy, pending, self._most)

    def more(self) -> list[Contender]:
        """Rows that wait for others of their depth, if asked for."""
        told = (self._pending, self._most, self.batch_size, self._wait)
        return [OurByDepth(self.model, self.policy, *told)] if self._deep_too else []

    def peer(self, peer: Peer, precision: str, folder: Path) -> Contender:
        """See ``Field``."""
        return peer.generator(self.model, precision, folder, self._most)

    def length(self, item: Source) -> int:
        """See ``Field``."""
        return len(item.ids)

    def compare(self, answers: Answers, plain: Answers) -> dict[str, Any]:
        """Tokens written, and how far texts follow those of the plain model."""
        found = agreement([answers.get(key, ()) for key in plain], list(plain.values()))
        tokens = _count(answers)
        return {"tokens": tokens, "agreement": found.prefix, "same_texts": found.exact}

    def cost(self, deep: Timed, early: Timed) -> Cost:
        """See ``Field``."""
        decoder, full, ours = self.model.decoder, *map(self._counted, (deep, early))
        macs = (
            plain_decode_macs(decoder, full.work.source_lengths, full.targets),
            decode_macs(decoder, full.work),
            decode_macs(decoder, ours.work),
        )
        return Cost(macs, ours.layers / max(sum(ours.targets), 1), decoder.num_layers)

    def told(self, more: Sequence[Timed | Missing], three: Sequence[Timed]) -> dict[str, Any]:
        """How tokens waited, how many were written, and how batches by depth fared."""
        return {
            "pending": self._pending,
            "tokens": tuple(_count(answers_of(one)) for one in three),
            "batching": batching_told(cast(Timed, more[0]), *three[1:]) if more else None,
        }

    def _counted(self, one: Timed) -> _Counted:
        found = _Counted(DecodeWork(self.model.decoder.num_layers), [], 0)
        for _, output in cast("list[tuple[Any, Generated]]", one.outputs):
            lengths = (output.exit_layers > 0).sum(dim=1).tolist()
            layers = found.layers + int(output.exit_layers.sum())
            found = _Counted(found.work + output.work, found.targets + lengths, layers)
        return found


class _Counted(NamedTuple):
    work: DecodeWork
    targets: list[int]
    layers: int


def _count(answers: Answers) -> int:
    return sum(len(text) for text in answers.values())
