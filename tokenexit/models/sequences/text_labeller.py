"""What a text classifier and a cascade of them share: how texts are read, and what is answered."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from tokenexit.errors import UserError
from tokenexit.halting import Halted, Trace
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.models.inputs import Texts, read_parts
from tokenexit.models.scale import Scale
from tokenexit.policies import PolicyLike
from tokenexit.tasks.naming import text_task


class TextLabeller(Labeller):
    """A model of which whole texts leave."""

    scale: Scale | None = None
    """Of a regression, what its exits' numbers stand for."""

    read = staticmethod(read_parts)

    @property
    def policy_unit(self) -> str:
        """Texts, or numbers of them."""
        return "text" if self.scale is None else "number"

    def predict(
        self, texts: Texts, *, policy: PolicyLike | None = None, batch_size: int = 32
    ) -> list[Any]:
        """Classify texts, tell their numbers, or whatever the model's task is.

        Args:
            texts: Strings, or pairs of strings, in anything that can be gone through.
            policy: Who halts; the model's own policy when None.
            batch_size: Texts a batch.

        Returns:
            One result a text, in order. Of a cascade, ``exit_layer`` is the number of the model.

        Raises:
            UserError: Something that is no text, or texts and pairs mixed.
        """
        parts = list(read_parts(texts))
        trace = self.trace(parts, policy=policy, batch_size=batch_size)
        shown = [part[0] if len(part) == 1 else part for part in parts]
        return text_task(self.settings.task).answers(trace, self.labels, shown)

    def tag(self, texts: Sequence[Sequence[str]], targets: Any = None, **options: Any) -> Trace:
        """The former name of ``trace``, for texts: whole texts are not tagged."""
        warnings.warn(
            f"{type(self).__name__}.tag is now called trace.", DeprecationWarning, stacklevel=2
        )
        return self.trace(texts, targets, **options)

    def _halted(self, halted: Halted | None, decode: str | None) -> Halted:
        for name, value in (("halted", halted), ("decode", decode)):
            if value not in (None, "copy", "argmax"):
                raise UserError(f"{name}={value!r} has no meaning for text classifiers.")
        return "copy"
