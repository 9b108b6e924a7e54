"""Tensors made on the host, sent to a device in one copy that nobody waits for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def send(parts: Sequence[Tensor], device: torch.device | str) -> list[Tensor]:
    """The same tensors on a device; as they are where that is the host.

    Elsewhere they travel together, through pinned memory where the device is a GPU: a copy from
    pageable memory makes the host wait for whatever the GPU still has to do.

    Args:
        parts: On the host, of whatever types and shapes.
        device: Where they are wanted.
    """
    device = torch.device(device)
    if device.type == "cpu" or not parts:
        return [*parts]
    return cut(join(parts, pinned=device.type == "cuda").to(device, non_blocking=True), parts)


def join(parts: Sequence[Tensor], pinned: bool = False) -> Tensor:
    """Tensors of the host laid end to end as bytes.

    Args:
        parts: Of whatever types and shapes.
        pinned: Whether a GPU is going to fetch them.
    """
    flat = [_bytes(parts[number]) for number in _order(parts)]
    size = sum(len(part) for part in flat)
    return torch.cat(flat, out=torch.empty(size, dtype=torch.uint8, pin_memory=pinned))


def _bytes(part: Tensor) -> Tensor:
    flat = part.contiguous().flatten()
    if flat.stride() != (1,):  # a number that was spread out, as n-grams of one token are
        flat = flat.as_strided((flat.numel(),), (1,))
    return flat.view(torch.uint8)


def cut(joined: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """What ``join`` has laid end to end, wherever it is now.

    Args:
        joined: The bytes.
        parts: What they were made of.
    """
    order = _order(parts)
    pieces = joined.split([parts[n].numel() * parts[n].element_size() for n in order])
    found = {n: piece.view(parts[n].dtype) for n, piece in zip(order, pieces, strict=True)}
    return [found[number].view(part.shape) for number, part in enumerate(parts)]


def _order(parts: Sequence[Tensor]) -> list[int]:
    """The widest types first, so that each part begins at a multiple of its own width."""
    return sorted(range(len(parts)), key=lambda number: -parts[number].element_size())
