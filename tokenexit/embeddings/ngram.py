"""States of the lower layers by trigram, computed or looked up (SkipBERT, Wang et al. 2022)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.embeddings.base import EMBEDDINGS, Below, Embeddings, Shape, Tokens
from tokenexit.embeddings.keys import ngrams_of, shorter, unpacked
from tokenexit.embeddings.table import UNKNOWN
from tokenexit.errors import UserError, unknown_name


@EMBEDDINGS.register("ngram")
class NGram(Embeddings):
    """The lower layers read each trigram alone; a row is the sum of what three say of it.

    With ``T_i`` the gated states of the trigram around token ``i``, ``h_i = T_i[1] + T_(i+1)[0] +
    T_(i-1)[2]``, to which embeddings of place and segment of its own are added, and a norm. As in
    the released code a missing neighbour is masked, and a trigram that a table lacks falls back on
    the bigram ``(-, x, y)``, the token alone, and zero.

    Args:
        shape: Of the network.
        layers: Lower layers that read trigrams; half of all when None.
        unknown: What is done about trigrams that a table lacks: ``compute`` them, or ``fallback``.
        masking: Share of the neighbours that training hides, so that shorter n-grams get a meaning.
        dropout: On the states of trigrams, in training.
        on: Whether it begins so; else the network's own embeddings serve until the preparation
            ``embeddings`` of a phase switches it on. Saved with its weights.
    """

    tabled = True

    def __init__(
        self,
        shape: Shape,
        layers: int | None = None,
        unknown: Literal["compute", "fallback"] = "compute",
        masking: float = 0.0,
        dropout: float = 0.1,
        on: bool = True,
    ) -> None:
        super().__init__()
        if unknown not in UNKNOWN:
            raise unknown_name("embeddings.unknown", unknown, UNKNOWN)
        for name, value in (("masking", masking), ("dropout", dropout)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise UserError(f"embeddings.{name} must be from 0 to below 1, not {value!r}.")
        if not isinstance(on, bool):
            raise UserError(f"embeddings.on must be true or false, not {on!r}.")
        self._layers, self.on = self.stands_for(shape.num_layers, layers=layers), on
        self.unknown, self.masking, self.dropout = unknown, masking, dropout
        self.gate = nn.Linear(shape.width, 1)
        self.norm = nn.LayerNorm(shape.width)
        self.places = _table(shape.places)
        self.segments = _table(shape.segments)

    @classmethod
    def stands_for(cls, num_layers: int, layers: Any = None, **settings: Any) -> int:
        """Lower layers that read trigrams.

        Raises:
            UserError: The network has no so many, with one above them.
        """
        found = num_layers // 2 if layers is None else layers
        if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found < num_layers:
            raise UserError(
                f"embeddings.layers must be from 1 to {num_layers - 1}, since a layer above them "
                f"has to read the whole text; not {found!r}."
            )
        return found

    @property
    def layers(self) -> int:  # type: ignore[override]
        """Lower layers that it stands for: none while it is off."""
        return self._layers if self.on else 0

    def get_extra_state(self) -> Tensor:
        """Whether it is on, for the weights that are saved."""
        return torch.tensor([self.on])

    def set_extra_state(self, state: Tensor) -> None:
        """As it was saved."""
        self.on = bool(state)

    @property
    def macs(self) -> int:
        """Of the gate."""
        return self.gate.in_features

    def forward(self, tokens: Tokens, below: Below) -> Tensor:
        """See ``Embeddings``."""
        if not self.on:
            return below.embed()
        states = self._states(ngrams_of(tokens.input_ids, tokens.positions), below)
        states = F.dropout(states.to(self.norm.weight.dtype), self.dropout, self.training)
        hidden = states[:, 1].clone()
        hidden[:-1] += states[1:, 0]  # zero where that is the first token of another text
        hidden[1:] += states[:-1, 2]
        if self.places is not None:
            hidden = hidden + self.places(tokens.positions)
        if self.segments is not None:
            segments = tokens.segments
            number = torch.zeros_like(tokens.positions) if segments is None else segments
            hidden = hidden + self.segments(number)
        return self.norm(hidden)

    def computed(self, keys: Tensor, below: Below) -> Tensor:
        """Gated states of n-grams, ``[N] -> [N, 3, H]``; zero where one has no token."""
        ids, real = unpacked(keys)
        if self.training and self.masking:
            hidden = torch.rand(real.shape, device=real.device) < self.masking
            hidden[:, 1] = False
            real = real & ~hidden
        states = below.alone(ids, real)
        return states * self.gate(states).sigmoid() * real[..., None]

    def _states(self, keys: Tensor, below: Below) -> Tensor:
        """States of all n-grams of a batch, each computed or looked up once, ``[T, 3, H]``."""
        different, number = keys.unique(return_inverse=True)
        if self.table is None or torch.is_grad_enabled():
            return self.computed(different, below)[number]
        found = self.table.find(different)
        if self.unknown == "fallback":
            for size in (2, 1):
                lacking = found < 0
                found[lacking] = self.table.find(shorter(different[lacking], size))
            return self.table.states_at(found)[number]
        states = self.table.states_at(found)
        lacking = (found < 0).nonzero().squeeze(-1)
        if len(lacking):
            made = self.computed(different[lacking], below)
            states = states.to(made.dtype).index_copy(0, lacking, made)
        return states[number]


def _table(start: Tensor | None) -> nn.Embedding | None:
    """A table of its own that starts as another."""
    if start is None:
        return None
    if start.is_meta:
        made = nn.Embedding(len(start), start.shape[1])
        nn.init.normal_(made.weight, std=0.02)
        return made
    return nn.Embedding.from_pretrained(start.detach().float().clone(), freeze=False)
