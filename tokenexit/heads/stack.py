"""All exit heads of a model, one per exit layer below the top, the gate and the embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from tokenexit.context import ContextGate, GateConfig
from tokenexit.embeddings import Embeddings, Plain
from tokenexit.errors import UserError, unknown_name
from tokenexit.gates import build_gate
from tokenexit.heads.base import ExitHead, build_head
from tokenexit.scorers import RowScorers
from tokenexit.selectors import WidthSelectors

POOLS = ("first", "mean")
"""Which of a word's or text's states an exit below the top reads."""

BESIDE = ("gate", "pool", "context", "scorers", "selectors")
"""Keys of ``heads`` that are no settings of a single head."""


class DepthHead(nn.Module):
    """The Depth-Adaptive Transformer's multinomial (Elbayad et al. 2020), read at the first exit.

    Its output says how likely each layer is to be the first that suffices.
    """

    def __init__(self, width: int, num_layers: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, num_layers)

    def forward(self, hidden: Tensor) -> Tensor:
        """States ``[N, H]`` to log-probabilities ``[N, L]``."""
        return self.project(hidden).float().log_softmax(dim=-1)


class ExitHeads(nn.Module):
    """Heads for every exit below the top; the top keeps the model's own classifier.

    Args:
        config: Head configuration; ``gate: true`` adds a linear gate, ``gate: {name: ...}`` others.
            ``pool: mean`` shows heads the mean of all tokens of a word or text, and not the first.
            ``context`` describes a context gate that was fitted to them, see ``GateConfig``.
            ``scorers`` adds those that a reducer reads, see ``RowScorers``. ``selectors`` has to be
            put beside the heads by whoever knows the network's layers, see ``WidthSelectors``.
        layers: Exit layers, counted from 1, the top excluded.
        width: Width of the states.
        num_classes: Number of classes.
        num_layers: Depth of the network; the layer above the last exit when None.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        layers: Sequence[int],
        width: int,
        num_classes: int,
        num_layers: int | None = None,
    ) -> None:
        super().__init__()
        settings = {key: value for key, value in config.items() if key not in BESIDE}
        self.pool = str(config.get("pool", "first"))
        if self.pool not in POOLS:
            raise unknown_name("heads.pool", self.pool, POOLS)
        self.layers = tuple(layers)
        self.exits = nn.ModuleDict(
            {
                str(layer): build_head(settings, width, num_classes, place, len(layers) + 1)
                for place, layer in enumerate(layers)
            }
        )
        for layer in self.layers[1:]:
            self.at(layer).share(self.at(self.layers[0]))
        self.gate = build_gate(config.get("gate"), width, num_classes, layers)
        if self.gate is not None:
            self.gate.attach(dict(self.exits.items()))
        self.embeddings: Embeddings = Plain()
        self.selectors: WidthSelectors | None = None
        context = config.get("context")
        self.context: ContextGate | None = None
        if context is not None:
            self.context = ContextGate(GateConfig.from_json(context), width)
        scorers = config.get("scorers")
        self.scorers: RowScorers | None = None
        if scorers:
            depth = max(layers, default=0) + 1 if num_layers is None else num_layers
            self.scorers = RowScorers(scorers, width, depth)

    @property
    def reads_past(self) -> bool:
        """Whether any head or the gate reads the states of earlier exits."""
        if self.gate is not None and self.gate.reads_past:
            return True
        return any(self.at(layer).reads_past for layer in self.layers)

    def at(self, layer: int) -> ExitHead:
        """The head after ``layer``, counted from 1."""
        head = self.exits[str(layer)]
        assert isinstance(head, ExitHead)
        return head


def check_top(top: int, num_layers: int) -> None:
    """Refuse exits of a network that had another depth when they were made.

    Raises:
        UserError: Says both.
    """
    if top != num_layers:
        raise UserError(
            f"The network has {num_layers} layers now, and had {top} when its exits were made: "
            "put the layers back, or add exits to the network as it is, with from_transformers."
        )


def check_exit_layers(
    layers: Sequence[int] | int | None, num_layers: int, lowest: int = 1
) -> tuple[int, ...]:
    """Sort and complete a choice of exit layers; the top always counts.

    Args:
        layers: Layers counted from 1, or how many at even distances; None means every layer.
        num_layers: Depth of the network.
        lowest: The first that may have an exit, where not all layers are listed.

    Raises:
        UserError: Neither list nor number, a layer outside ``1..num_layers``, or too many.
    """
    chosen = range(lowest, num_layers + 1) if layers is None else layers
    if isinstance(layers, int) and not isinstance(layers, bool):
        room = num_layers - lowest + 1
        if not 1 <= layers <= room:
            raise UserError(
                "exit_layers must be a list of layers such as [2, 4], or how many, from 1 to "
                f"{room}, not {layers}."
            )
        chosen = [lowest - 1 + -(-room * place // layers) for place in range(1, layers + 1)]
    if not isinstance(chosen, Sequence) or isinstance(chosen, str):
        raise UserError(f"exit_layers must be a list of layers such as [2, 4], not {layers!r}.")
    for layer in chosen:
        if isinstance(layer, bool) or not isinstance(layer, int) or not 1 <= layer <= num_layers:
            raise UserError(
                f"Exit layer {layer!r} does not exist: the network has {num_layers} layers, "
                f"counted from 1. Give exit_layers within 1..{num_layers}."
            )
    return tuple(sorted({*chosen, num_layers}))
