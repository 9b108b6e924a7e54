"""Linear layers of the twin whose weights are in fewer bits than the network's own.

Kernels multiply where there are any, else torch does. Weights are made when they are first asked
for, once: compiled layers that use the same ones get them from here, by ``matrix``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from tokenexit import kernels
from tokenexit.backbones.lean import Product
from tokenexit.errors import UserError


class Reduced(Product):
    """A linear layer in another precision.

    Args:
        shape: ``out_features, in_features``.
        linear: The layer it stands for, whose bias it shares; None if for no single one.
        bias: In its place, ``[out_features]`` or None.
    """

    precision: ClassVar[str]
    shares = True

    def __init__(
        self, shape: Sequence[int], linear: nn.Linear | None = None, bias: Tensor | None = None
    ) -> None:
        super().__init__(linear)
        self.out_features, self.in_features = shape
        self._shift = self._shift if bias is None else bias
        self._library = kernels.library()
        self._matrix: kernels.Matrix | None = None
        self._joined: dict[tuple[Any, ...], Self] = {}
        self._parts: dict[tuple[int, int], Self] = {}

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """For a layer of float32 on the CPU."""
        raise NotImplementedError

    @property
    def by_kernels(self) -> bool:
        """Whether kernels multiply."""
        return self._library is not None

    @property
    def matrix(self) -> kernels.Matrix:
        """The weights as kernels want them; there must be kernels."""
        found = self._matrix
        if found is None:
            with torch.inference_mode(False), torch.no_grad():
                found = self._matrix = self._pack()
        return found

    def settle(self) -> None:
        """Make the weights, so that those they are made from may go."""
        raise NotImplementedError

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``, float32, without gradients."""
        check_no_gradients(rows, self.precision)
        return self._by_torch(rows) if self._library is None else self.matrix(rows)

    def relu(self, rows: Tensor) -> Tensor:
        """As ``forward``, negative numbers replaced by 0."""
        check_no_gradients(rows, self.precision)
        return super().relu(rows) if self._library is None else self.matrix(rows, "relu")

    def plus(self, rows: Tensor, residual: Tensor) -> Tensor:
        """As ``forward``, ``residual`` added."""
        check_no_gradients(rows, self.precision)
        if self._library is None:
            return super().plus(rows, residual)
        return self.matrix(rows, plus=residual)

    def entries(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Some outputs of each row, those of ``forward``: ``[N, K], [N, S] -> [N, S]``."""
        raise NotImplementedError

    def beside(self, others: Sequence[Any]) -> Self | None:
        """One layer that gives this one's output and that of others, side by side.

        None if they are of another kind.
        """
        key = tuple(others)
        joined = self._joined.get(key)
        if joined is None and all(type(other) is type(self) for other in others):
            parts = [self, *others]
            with torch.inference_mode(False), torch.no_grad():
                joined = self._join(parts, _biases(parts))
            joined._library = self._library
            self._joined[key] = joined
        return joined

    def part(self, channels: slice) -> Self:
        """A layer that gives some of the outputs alone."""
        key = channels.start, channels.stop
        if key not in self._parts:
            bias = None if self._shift is None else self._shift[channels]
            with torch.inference_mode(False), torch.no_grad():
                part = self._cut(channels, bias)
            part._library = self._library
            self._parts[key] = part
        return self._parts[key]

    def _pack(self) -> kernels.Matrix:
        raise NotImplementedError

    def _by_torch(self, rows: Tensor) -> Tensor:
        raise NotImplementedError

    def _join(self, parts: Sequence[Any], bias: Tensor | None) -> Self:
        raise NotImplementedError

    def _cut(self, channels: slice, bias: Tensor | None) -> Self:
        raise NotImplementedError


def check_no_gradients(rows: Tensor, precision: str) -> None:
    """Refuse to go on where gradients would be lost.

    Raises:
        UserError: Says what to do.
    """
    if rows.requires_grad and torch.is_grad_enabled():
        raise UserError(
            f"{precision} is for inference: it has no gradients. To train, go back with "
            'model.use(precision="fp32"), and set the precision again afterwards.'
        )


def _biases(parts: Sequence[Reduced]) -> Tensor | None:
    """Biases side by side, 0 where there is none."""
    given = [part._shift for part in parts]
    if all(shift is None for shift in given):
        return None
    return torch.cat(
        [
            torch.zeros(part.out_features) if shift is None else shift
            for part, shift in zip(parts, given, strict=True)
        ]
    )
