"""Results one after the other, for more texts than fit into memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, TypeVar

from tokenexit.errors import UserError
from tokenexit.models.inputs import Texts, read_texts

T = TypeVar("T")


class Predicts:
    """A model that predicts: all at once, or in the course of an iteration."""

    look_ahead: ClassVar[int] = 1
    """Batches read before the first of them is answered."""

    @staticmethod
    def read(texts: Any) -> Iterator[Any]:
        """Texts that were checked, item by item."""
        return read_texts(texts)

    @abstractmethod
    def predict(self, texts: Any, *, batch_size: int = 32) -> Sequence[Any]:
        """Results of texts, in order; see the subclasses."""

    def predict_iter(self, texts: Texts, *, batch_size: int = 32, **options: Any) -> Iterator[Any]:
        """Predict while texts are read, and keep none of them.

        Args:
            texts: As ``predict``, endless ones as well; no more than ``look_ahead`` batches are
                read ahead. When reading fails, what was read before is answered first.
            batch_size: Texts a batch.
            options: As ``predict``.

        Returns:
            The results of ``predict``, in order.

        Raises:
            UserError: As ``predict``; for an item when its turn comes.
        """
        check_batch_size(batch_size)

        def answer(block: list[Any]) -> Sequence[Any]:
            return self.predict(block, batch_size=batch_size, **options)

        return _in_blocks(self.read(texts), self.look_ahead * batch_size, answer)


def check_batch_size(batch_size: int) -> None:
    """Refuse what is no number of texts.

    Raises:
        UserError: Says what was given.
    """
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise UserError(f"batch_size must be a whole number from 1, not {batch_size!r}.")


def _in_blocks(
    items: Iterator[Any], size: int, answer: Callable[[list[Any]], Sequence[T]]
) -> Iterator[T]:
    failed: list[Exception] = []
    calm = until_failure(items, failed)
    while block := list(islice(calm, size)):
        yield from answer(block)
    if failed:
        raise failed[0]


def until_failure(items: Iterator[T], failed: list[Exception]) -> Iterator[T]:
    """Items up to the first that cannot be read, whose error is kept in ``failed``."""
    try:
        yield from items
    except Exception as error:
        failed.append(error)
