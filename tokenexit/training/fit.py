"""After training: heads that look at a split once more (temperatures, class means)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tokenexit.halting import Sentence, encode, pack
from tokenexit.heads.base import Fitted
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.signals import Signals


@torch.no_grad()
def fit_heads(
    model: EncoderModel, splits: Mapping[str, Sequence[Sentence]], batch_size: int = 32
) -> bool:
    """Show the heads that want it the split they want, at full depth, and let them finalize.

    Every process looks at all of it, so all end with the same numbers.

    Args:
        model: Trained; its heads change in place.
        splits: Labelled sentences by the name of their split.
        batch_size: Sentences a batch.

    Returns:
        Whether there was anything to fit.
    """
    heads: dict[int, Fitted] = {layer: model.heads.at(layer) for layer in model.heads.layers}
    for part in model.backbone.final_head().modules():
        if isinstance(part, Fitted):
            heads[model.backbone.num_layers] = part
    wanted = {head.fitted_on for head in heads.values()} & {*splits}
    if not wanted:
        return False
    backbone, evaluating = model.inference_backbone, model.inference_heads
    for name in sorted(wanted, key=str):
        sentences = splits[str(name)]
        for start in range(0, len(sentences), batch_size):
            batch = pack(sentences[start : start + batch_size], model.device)
            encode(
                backbone, evaluating, batch, _Watching(heads, str(name)),
                classes=model.labels, reducer=model.reducer,
            )  # fmt: skip
        for head in heads.values():
            if head.fitted_on == name:
                head.finalize()
    return True


class _Watching:
    def __init__(self, heads: Mapping[int, Fitted], split: str) -> None:
        self._heads, self._split = heads, split

    def arrive(self, signals: Signals, words: Tensor) -> None:
        head = self._heads.get(signals.layer)
        if head is not None and head.fitted_on == self._split:
            head.observe(signals)

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        pass
