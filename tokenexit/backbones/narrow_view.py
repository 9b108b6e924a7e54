"""A network's narrower self for training, made anew whenever the network is another."""

from __future__ import annotations

from typing import Any

from tokenexit.backbones.base import Backbone
from tokenexit.backbones.sliced import sliced
from tokenexit.backbones.snapshot import Snapshot
from tokenexit.widths import Widths


class NarrowView:
    """Remembers the last view of a network, whose gradients go to the whole; see ``sliced``."""

    def __init__(self) -> None:
        self._made: tuple[Snapshot, Widths, Backbone] | None = None

    def of(self, whole: Backbone, widths: Widths | None) -> Backbone:
        """The view, or the network itself where nothing is left out.

        Args:
            whole: The network.
            widths: What is kept.

        Raises:
            UserError: As ``sliced``.
        """
        if widths is None:
            return whole
        made = self._made
        if made is None or made[1] != widths or not made[0].fits(whole.model):
            view = sliced(whole, widths, learn=True) if widths.selected is None else None
            if view is None:
                view = type(whole)(whole.model)
                view.selected = widths.selected
            made = Snapshot(whole.model), widths, view
            self._made = made
        return made[2]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied without the view, which is of the network that is copied from."""
        return type(self), ()
