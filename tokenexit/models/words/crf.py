"""A linear-chain CRF over scores of mixed depth, by pytorch-crf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.extras import require_libraries


class TagCRF(nn.Module):
    """Learned transitions between tags, on top of frozen log-probabilities.

    The last step of a tagger: it sees what each word's own exit said, and chooses the best
    sequence (Lafferty et al. 2001).

    Args:
        num_classes: ``C``.

    Raises:
        UserError: pytorch-crf is not installed.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        require_libraries("torchcrf", instead="use decode=legal")
        from torchcrf import CRF

        self.chain: Any = CRF(num_classes, batch_first=True)

    def fit(
        self,
        scores: Sequence[NDArray[np.float32]],
        targets: Sequence[NDArray[np.int64]],
        *,
        steps: int = 300,
        batch_size: int = 64,
        lr: float = 0.05,
        seed: int = 0,
    ) -> float:
        """Learn transitions; the scores stay as they are.

        Args:
            scores: Log-probabilities of each text, ``[n, C]``.
            targets: Gold classes of each text, ``[n]``; texts with unknown ones are left out.
            steps: Updates.
            batch_size: Texts an update.
            lr: Learning rate of Adam.
            seed: Of the order.

        Returns:
            The last mean loss per text.
        """
        usable = [i for i, t in enumerate(targets) if len(t) and (t >= 0).all()]
        if not usable:
            raise UserError("The CRF has no fully labelled text to learn from.")
        optimizer = torch.optim.Adam(self.parameters(), lr=lr)
        generator = torch.Generator().manual_seed(seed)
        last = 0.0
        for _ in range(steps):
            draw = torch.randint(len(usable), (min(batch_size, len(usable)),), generator=generator)
            chosen = [usable[int(i)] for i in draw]
            emissions, mask = _padded([scores[i] for i in chosen])
            tags = torch.nn.utils.rnn.pad_sequence(
                [torch.from_numpy(targets[i]) for i in chosen], batch_first=True
            )
            loss = -self.chain(emissions, tags, mask=mask, reduction="mean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            last = float(loss.detach())
        return last

    @torch.no_grad()
    def decode(self, scores: Sequence[NDArray[np.float32]]) -> list[NDArray[np.int64]]:
        """Best classes of each text, ``[n]``; texts must not be empty."""
        found: list[NDArray[np.int64]] = []
        for start in range(0, len(scores), 256):
            emissions, mask = _padded(scores[start : start + 256])
            found.extend(np.array(path) for path in self.chain.decode(emissions, mask=mask))
        return found


def _padded(scores: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    parts = [torch.from_numpy(np.ascontiguousarray(s)) for s in scores]
    emissions = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    lengths = torch.tensor([len(s) for s in scores])
    return emissions, torch.arange(emissions.shape[1]) < lengths[:, None]
