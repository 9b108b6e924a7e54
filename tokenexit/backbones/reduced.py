"""Linear layers of the twin whose weights are in fewer bits than the network's own.

Kernels multiply where there are any, else torch does. Weights are made when they are first asked
for, once: compiled layers that use the same ones get them from here, by ``matrix``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from tokenexit import kernels
from tokenexit.backbones.inference_modules import Product
from tokenexit.errors import UserError

W = TypeVar("W")
"""Weights of a precision."""


class Reduced(Product, Generic[W]):
    """A linear layer in another precision.

    Args:
        shape: ``out_features, in_features``.
        linear: The layer it stands for, whose weights are rounded and whose bias is shared; None
            if for no single one.
        weights: In their place, rounded already.
        bias: In its place, ``[out_features]`` or None.
    """

    precision: ClassVar[str]
    shares = True

    def __init__(
        self,
        shape: Sequence[int],
        linear: nn.Linear | None = None,
        weights: W | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(linear)
        self.out_features, self.in_features = shape
        self._weights = weights
        self._shift = self._shift if bias is None else bias
        self._library = kernels.library()
        self._matrix: kernels.Matrix | None = None
        self._home: tuple[Self, int] | None = None  # whose packed weights have these, and where
        self._joined: dict[tuple[Any, ...], Self] = {}
        self._parts: dict[tuple[int, int], Self] = {}

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """For a layer of float32 on the CPU."""
        return cls(linear.weight.shape, linear)

    @property
    def by_kernels(self) -> bool:
        """Whether kernels multiply."""
        return self._library is not None

    @property
    def weights(self) -> W:
        """``[out_features, in_features]``; those in the kernels' order are put back in order."""
        if self._weights is not None:
            return self._weights
        if self._home is not None:
            home, start = self._home
            return self._some(home.weights, slice(start, start + self.out_features))
        if self._matrix is not None:
            return self._unpacked(self._matrix)
        with torch.inference_mode(False), torch.no_grad():
            found = self._rounded(self.weight.detach())
        if self._library is None:
            self._weights = found
        return found

    @property
    def matrix(self) -> kernels.Matrix:
        """The weights as kernels want them; there must be kernels."""
        found = self._matrix
        if found is None:
            with torch.inference_mode(False), torch.no_grad():
                found = self._at_home() or self._packed(self.weights)
            self._matrix, self._weights = found, None
        return found

    def finalize(self) -> None:
        """Make the weights, so that those they are made from may go."""
        _ = self.weights if self._library is None else self.matrix

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

        None if they are of another kind. What is packed for kernels is packed once: the parts read
        the whole, and a stretch of a whole that there is already is no other.
        """
        key = tuple(others)
        joined = self._joined.get(key)
        if joined is None and all(type(other) is type(self) for other in others):
            parts = [self, *others]
            joined = self._stretch(parts) or self._join(parts)
            self._joined[key] = joined
        return joined

    def part(self, channels: slice) -> Self:
        """A layer that gives some of the outputs alone."""
        key = channels.start, channels.stop
        if key not in self._parts:
            bias = None if self._shift is None else self._shift[channels]
            shape = channels.stop - channels.start, self.in_features
            weights = None if self._library else self._some(self.weights, channels)
            part = type(self)(shape, weights=weights, bias=bias)
            part._library = self._library
            if self._library:
                part._home = self, channels.start
            self._parts[key] = part
        return self._parts[key]

    def _join(self, parts: Sequence[Self]) -> Self:
        with torch.inference_mode(False), torch.no_grad():
            whole = self._beside([part.weights for part in parts])
            count = sum(part.out_features for part in parts)
            joined = type(self)((count, self.in_features), weights=whole, bias=_biases(parts))
        joined._library = self._library
        start = 0
        for part in parts:  # the same numbers, in one memory for both
            stop = start + part.out_features
            if self._library is None:
                part._weights = self._some(whole, slice(start, stop))
            else:
                part._weights, part._matrix, part._home = None, None, (joined, start)
            start = stop
        return joined

    def _stretch(self, parts: Sequence[Self]) -> Self | None:
        """Part of a whole that these lie in, one after another."""
        if self._home is None:
            return None
        home, start = self._home
        stop = start
        for part in parts:
            if part._home is None or part._home[0] is not home or part._home[1] != stop:
                return None
            stop += part.out_features
        return home.part(slice(start, stop))

    def _at_home(self) -> kernels.Matrix | None:
        if self._home is None:
            return None
        home, start = self._home
        return home.matrix.part(start, start + self.out_features)

    def _rounded(self, weight: Tensor) -> W:
        """Weights of float32, ``[N, K]``, in this precision."""
        raise NotImplementedError

    def _packed(self, weights: W) -> kernels.Matrix:
        raise NotImplementedError

    def _unpacked(self, matrix: kernels.Matrix) -> W:
        raise NotImplementedError

    def _beside(self, weights: Sequence[W]) -> W:
        """Output channels of some and then of others, copied."""
        raise NotImplementedError

    def _some(self, weights: W, channels: slice) -> W:
        """Some output channels, in the same memory."""
        raise NotImplementedError

    def _by_torch(self, rows: Tensor) -> Tensor:
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


def _biases(parts: Sequence[Reduced[Any]]) -> Tensor | None:
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
