"""What is asked of a model that labels words or texts: one network with exits, or several."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from tokenexit.halting import Halted, Trace
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.predict_iter import check_batch_size
from tokenexit.models.saved_model import SavedModel
from tokenexit.policies import PolicyLike
from tokenexit.policies.base import check_unit


class Labeller(SavedModel):
    """A model that labels words or texts, and tells where each of them left."""

    uniform_depth: ClassVar[bool] = True
    """Whether one step of depth costs as much as another, so that depth tells the cost."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.settings.labels

    @property
    @abstractmethod
    def precision(self) -> str:
        """What inference computes with."""

    @property
    @abstractmethod
    def products(self) -> str:
        """By what: kernels, with their instruction set, or torch."""

    @property
    @abstractmethod
    def runtime_used(self) -> str:
        """Who plans it."""

    @property
    @abstractmethod
    def policy_unit(self) -> str:
        """Kind of the rows that leave, as policies call it."""

    def trace(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[float]] | None = None,
        *,
        policy: PolicyLike | None = None,
        batch_size: int = 32,
        halted: Halted | None = None,
        decode: str | None = None,
    ) -> Trace:
        """Label words, or texts, and tell what happened to each.

        Args:
            texts: Words of each text, of a tagger; a text may be empty. Else one or two strings.
            targets: Gold class of each word, or of each text in a list of one, or its value: for
                policies that need it; else carried along.
            policy: Who halts; the model's own policy when None.
            batch_size: Texts (or windows of long texts) a batch.
            halted: Of taggers: ``copy``, ``drop`` or ``restore``; the model's own when None.
                Nothing is left to read a text that has gone.
            decode: Of taggers: ``argmax``, ``legal`` (the best sequence in the BIO scheme) or
                ``crf`` (the best under transitions learned by ``fit_crf``); the model's own when
                None.

        Returns:
            One entry a word, or a text. Of a cascade a layer is a model.

        Raises:
            UserError: A bad policy or setting.
        """
        check_batch_size(batch_size)
        states = self._halted(halted, decode)
        chosen = chosen_policy(self, policy)
        check_unit(chosen, self.policy_unit)
        return self.decided(
            self._run(self._read(texts, targets), chosen, batch_size, states), decode
        )

    def exit_table(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[float]] | None = None,
        batch_size: int = 32,
    ) -> ExitTable:
        """What every exit says of every word, or text, when nobody halts."""
        return self._exits(self._read(texts, targets), batch_size)

    @abstractmethod
    def mac_ratio(self, trace: Trace) -> float:
        """Multiply-accumulates of a run, over those of the plain model on the same texts."""

    def decided(self, trace: Trace, decode: str | None = None) -> Trace:
        """The same trace with labels chosen for each text as a whole, where they are.

        Args:
            trace: Of this model.
            decode: How labels are chosen; the model's own way when None.
        """
        return trace

    @abstractmethod
    def _halted(self, halted: Halted | None, decode: str | None) -> Halted:
        """What halted rows still give to the others, after both settings were checked."""

    @abstractmethod
    def _read(self, texts: Any, targets: Any) -> Any:
        """Texts as the model reads them."""

    @abstractmethod
    def _run(self, read: Any, policy: Any, batch_size: int, halted: Halted) -> Trace:
        """Label what was read."""

    @abstractmethod
    def _exits(self, read: Any, batch_size: int) -> ExitTable:
        """What every exit says of what was read."""
