"""A model that answers one text at a time, at any threshold, beside its full depth."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import SequenceMatcher
from functools import partial
from threading import Lock
from typing import Any

from tokenexit.demo_page.threshold import Slider
from tokenexit.demo_page.timing import in_turn
from tokenexit.errors import UserError
from tokenexit.models.settings import task_of
from tokenexit.policies import Never, Policy
from tokenexit.policies.in_words import policy_words
from tokenexit.reporting.palette import FILL_DARK, FILL_LIGHT, ink, ramp
from tokenexit.tasks.view import View

LONGEST = 20_000
"""Letters of a text that is answered: a page is no place for books."""


class Answering:
    """What the page asks.

    Args:
        model: A tagger, a text classifier, a cascade or a generator.
        slider: The threshold that is turned.
        pairs: Whether it reads pairs of texts.
        examples: Texts to begin with; the task's own when there are none.
        name: Of the model, for people.
    """

    def __init__(
        self, model: Any, slider: Slider, pairs: bool, examples: Sequence[str], name: str
    ) -> None:
        self._model, self._slider, self._pairs, self._name = model, slider, pairs, name
        self._task = task_of(model.settings)
        self._depth = int(model.settings.exit_layers[-1])
        self._examples = list(examples) or [self._task.example]
        self._lock = Lock()

    def about(self) -> dict[str, Any]:
        """What the page has to know before anything is asked."""
        task, depth = self._task, self._depth
        return {
            "name": self._name,
            "title": task.title,
            "unit": task.unit,
            "holder": task.given,
            "pairs": self._pairs,
            "depth": depth,
            "step": "layer" if getattr(self._model, "uniform_depth", True) else "model",
            "exits": list(self._model.settings.exit_layers),
            "examples": self._examples,
            "slider": self._slider.to_dict(),
            "precision": self._model.precision,
            "device": str(self._model.device),
            "colours": {
                theme: [[colour, ink(colour)] for colour in ramp(stops, depth)]
                for theme, stops in (("light", FILL_LIGHT), ("dark", FILL_DARK))
            },
        }

    def warm_up(self) -> None:
        """Answer an example: a mistake is told before there is a page, and nobody waits later.

        Raises:
            UserError: The policy has no meaning for the model.
        """
        with self._lock:
            text = self._examples[0]
            self._ask([text, text] if self._pairs else text, self._slider.policy)

    def answer(self, text: str, pair: str | None, setting: float | None) -> dict[str, Any]:
        """Answer with the policy and at full depth, and time both in turn.

        Args:
            text: What was typed.
            pair: The second text, of models that read pairs.
            setting: Of the threshold; the policy's own when None.

        Raises:
            UserError: Nothing to answer, too much of it, or a setting that there is not.
        """
        given = self._checked(text, pair)
        policy = self._slider.at(setting)
        with self._lock, _warnings() as notes:
            ours, full = (partial(self._ask, given, one) for one in (policy, Never()))
            said, deep = self._task.view(ours()), self._task.view(full())
            times = in_turn(ours, full, self._model.device)
        layers = [piece.layer for piece in said.pieces]
        return {
            **said.to_dict(),
            "policy": policy_words(policy),
            "differs": _unlike(said, deep) if self._task.countable else [],
            "full": deep.answer,
            "same": said.answer == deep.answer,
            "layers": sum(layers) / len(layers) if layers else None,
            "histogram": [layers.count(layer) for layer in range(1, self._depth + 1)],
            "times": times.to_dict(),
            "full_pieces": len(deep.pieces),
            "notes": notes,
        }

    def _checked(self, text: str, pair: str | None) -> Any:
        parts = [text, pair or ""] if self._pairs else [text]
        if not all(part.strip() for part in parts):
            wanted = "both texts" if self._pairs else "a text"
            raise UserError(f"There is nothing to read: type {wanted}.")
        if (length := sum(map(len, parts))) > LONGEST:
            raise UserError(
                f"{length:,} letters are more than the {LONGEST:,} that this page takes; give "
                "long texts to tokenexit predict."
            )
        return parts if self._pairs else text

    def _ask(self, given: Any, policy: Policy) -> Any:
        return self._model.predict([given], policy=policy, batch_size=1)[0]


def _unlike(ours: View, deep: View) -> list[int]:
    """Places of the pieces that full depth does not say."""
    one, two = ([(piece.text, piece.label) for piece in view.pieces] for view in (ours, deep))
    if len(one) == len(two):
        pairs = enumerate(zip(one, two, strict=True))
        return [place for place, (early, late) in pairs if early != late]
    found = SequenceMatcher(None, one, two, autojunk=False).get_opcodes()
    return [place for kind, a, b, _, _ in found if kind != "equal" for place in range(a, b)]


class _Kept(logging.Handler):
    """Keeps each message once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if (message := record.getMessage()) not in self.messages:
            self.messages.append(message)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What the package warns of meanwhile."""
    handler = _Kept()
    logger = logging.getLogger("tokenexit")
    logger.addHandler(handler)
    try:
        yield handler.messages
    finally:
        logger.removeHandler(handler)
