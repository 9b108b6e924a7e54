"""The loss of text generators."""

from __future__ import annotations

import torch

from tokenexit.decoding.teacher_forcing import PairBatch, teacher_forcing
from tokenexit.gates import ExitGate
from tokenexit.halting import Visitor
from tokenexit.models.generation.encode_sources import encode_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import BatchLoss, Objective
from tokenexit.objectives.base import check_heads
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.training.batches import MicroBatch
from tokenexit.training.depth_loss import WithDepth
from tokenexit.training.freezing import learns
from tokenexit.training.gate_loss import WithGate
from tokenexit.training.loss_module import WHOLE, Laid, LossModule, Route


class Seq2SeqLossModule(LossModule):
    """Whole targets at once, by teacher forcing; target tokens may leave.

    Args:
        model: The generator.
        objective: How its exits are trained.
        gradient_equilibrium: Whether to balance the exits' gradients.
        pad_to: Lengths of sources and of targets are padded to multiples of so many tokens.
    """

    model: ExitModelForSeq2SeqLM

    def __init__(
        self,
        model: ExitModelForSeq2SeqLM,
        objective: Objective,
        gradient_equilibrium: bool = False,
        pad_to: int = 1,
    ) -> None:
        check_heads(objective, None)
        super().__init__(model, objective, gradient_equilibrium)
        self._pad_to = pad_to

    @property
    def classes(self) -> int:
        """Words of the vocabulary."""
        return self.model.decoder.vocab_size

    @property
    def gate(self) -> ExitGate | None:
        """See ``LossModule``."""
        return self.model.gate

    def with_gate(self, loss: BatchLoss, gate: ExitGate, words: int) -> WithGate:
        """A right exit is one that agrees with the top."""
        return WithGate(loss, gate, words, agree_with_top=True)

    def with_depth(self, visitor: Visitor, words: int) -> WithDepth | None:
        """See ``LossModule``."""
        depth = self.model.depth
        if depth is None or not learns(depth) or "depth" in self.objective.trains:
            return None
        return WithDepth(visitor, words)

    def lay(self, part: MicroBatch) -> Laid:
        """See ``LossModule``."""
        model = self.model
        pad = model.network.config.pad_token_id or 0
        batch = PairBatch.of(part.sentences, pad, model.device, self._pad_to)
        cells, extent = batch.cells_on_host, batch.extent
        padded = _padded(part, batch.input_ids.shape[1], model.device)
        texts = torch.tensor(part.places)
        numbers = torch.tensor(part.texts or part.places)
        text, place = cells // extent, cells % extent
        return Laid((batch, padded), batch.num_words, texts, text, place, numbers, text)

    def run(self, laid: Laid, visitor: Visitor, route: Route = WHOLE) -> None:
        """See ``LossModule``; a part of a generator is all of it.

        ``states`` are those of target tokens, padding left out.
        """
        assert route.part in (None, SubNetwork()), "refused by check_heads"
        model, (batch, padded) = self.model, laid.batch
        sources = batch.input_ids, batch.attention_mask
        found = teacher_forcing(
            model.decoder,
            model.exits(model.decoder),
            batch,
            visitor,
            fork=route.fork,
            skip=route.skip,
            memory=encode_sources(model, sources, padded=padded)[0],
            compact=route.compact,
        )
        if route.states is not None:
            cells = batch.cells_on_host.to(model.device)
            route.states.extend(state.index_select(0, cells) for state in found)


def _padded(part: MicroBatch, width: int, device: torch.device) -> bool | None:
    """Whether any source of a part is padded; None on a CPU, where asking costs nothing."""
    if device.type == "cpu":
        return None
    lengths = {len(pair.input_ids) for pair in part.sentences}
    return len(lengths) > 1 or width > max(lengths)
