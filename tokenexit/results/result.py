"""What one policy gives on one split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tokenexit.oracle import Account
from tokenexit.wording.held_to import full_depth, within


@dataclass(frozen=True)
class Result:
    """What one policy gives on one split.

    Attributes:
        task: ``ner``, ``pos``, ``translation``, ...
        split: Name of the split.
        n_sentences: Texts.
        n_rows: Words, or tokens written.
        metric: Which figure ``quality`` is.
        quality: 0 to 1.
        quality_full_depth: The same without exits, in float32 whatever ``precision`` is.
        relative_quality: Their ratio; 1 where there was nothing to lose.
        mean_exit_layer: Average depth of a word.
        num_layers: Depth of the network.
        depth_speedup: ``num_layers / mean_exit_layer``.
        exit_histogram: Words that left at each layer.
        mac_ratio: Multiply-accumulates, heads and confidence included, over those of the plain
            model on real tokens.
        policy: The policy as plain data.
        figures: Every metric of the task.
        lower_is_better: Whether quality counts errors; then ``relative_quality`` is full depth's
            over those with exits.
        precision: What the model computed with.
        products: By what: kernels, with their instruction set, or torch.
        runtime: Who planned it: ``eager``, ``static`` or ``kernels``.
        full_depth_precision: What full depth was computed with: as the weights are, if they are
            there.
        notes: What has to be said with them, such as sacreBLEU's signatures.
        unit: What a row is: a word, a text, or a token that was generated.
        oracle: How early an oracle would let rows leave, and which rows pay.
    """

    task: str
    split: str
    n_sentences: int
    n_rows: int
    metric: str
    quality: float
    quality_full_depth: float
    relative_quality: float
    mean_exit_layer: float
    num_layers: int
    depth_speedup: float
    exit_histogram: list[int]
    mac_ratio: float
    policy: Mapping[str, Any]
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    lower_is_better: bool = False
    precision: str = "fp32"
    products: str = "torch"
    runtime: str = "eager"
    full_depth_precision: str = "fp32"
    oracle: Account | None = None
    unit: str = "word"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @property
    def generates(self) -> bool:
        """Whether texts were generated, rather than words or texts labelled."""
        return self.unit == "token"

    @property
    def within(self) -> str:
        """In which precision it was measured, where full depth was in another: `` in int8``."""
        return within(self._precisions)

    @property
    def full_name(self) -> str:
        """Full depth, then with its precision: ``full depth in fp32``."""
        return full_depth(self._precisions)

    @property
    def _precisions(self) -> dict[str, str]:
        return {
            "precision": self.precision,
            "full_depth_precision": self.full_depth_precision,
        }
