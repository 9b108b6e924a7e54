"""A reducer: which rows of a text are computed no further?

A reducer is an immutable value, as a policy is. Its fields are its whole configuration; what it
remembers between layers is an explicit *state*, indexed to the rows that are left.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Hashable, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from tokenexit.errors import UserError, unknown_name
from tokenexit.policies import State
from tokenexit.policies.value import Value
from tokenexit.reducers.rows import Rows
from tokenexit.registry import Registry

REDUCERS: Registry[Reducer] = Registry("reducer", "tokenexit.reducers")

Place = Literal["before", "within"]
PLACES: tuple[Place, ...] = ("before", "within")
"""Where rows are taken out: ``before`` a layer, or ``within`` it, between its attention, which
still reads them, and its feed-forward block, which does not compute them."""

Fate = Literal["copy", "drop", "restore", "merge"]
FATES: tuple[Fate, ...] = ("copy", "drop", "restore", "merge")
"""What becomes of the rows taken out.

``copy``: their state stays as it entered the layer, and later layers read it.
``drop``: they are gone, for later layers and for exits.
``restore``: later layers do not read them; exits and the top find the state with which they
entered the layer. Words can be labelled so.
``merge``: each text has one row in their place, their mean by ``Reducer.weigh``, computed on and
read as any other, but shown neither to the reducer nor to exits. What is taken out later joins it:
it weighs as much as all that it stands for, each as it weighed then. Its place in the text is that
of the heaviest. Within a layer, what they have read is averaged as they are.
"""

OF_ATTENTION = ("attention", "first")
"""What reducers may read that the attention of the layer has to say."""


class Reducer(Value):
    """Decides at layers which rows are computed on; the first row of a text always is.

    Subclasses are frozen dataclasses registered under a name in a file of their own, with the
    fields ``place`` and ``fate``.
    """

    place: Place
    fate: Fate

    registry = REDUCERS

    reads: ClassVar[str] = "nothing"
    """What of a layer is read: ``nothing``, ``states``, ``attention``, which is then computed
    product by product in layers where the reducer is asked, ``first``, the attention of the first
    row alone, which costs a row of scores, ``scores`` of the model's scorers: it is then asked
    only at layers that have one, or ``depths`` that texts come with."""

    counts_tokens: ClassVar[bool] = False
    """Whether a recipe counts the tokens of its training texts for it, see ``counted``."""

    compares: ClassVar[bool] = False
    """Whether every two rows of a text are compared by a product as wide as the state, as costs
    then say."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, allowed in (("place", PLACES), ("fate", FATES)):
            if getattr(self, field) not in allowed:
                name = f"{field} of {type(self).__name__}"
                raise unknown_name(name, getattr(self, field), allowed)
        if self.reads in OF_ATTENTION and self.place == "before":
            raise UserError(
                f"{type(self).__name__} reads the attention of the layer in which it takes rows "
                'out, so its place is "within".'
            )

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """State before the first layer, for ``num_rows`` rows."""
        return None

    @abstractmethod
    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """Decide at one layer.

        Args:
            rows: Those still computed.
            state: What the last call (or ``init``) returned, indexed to the same rows.

        Returns:
            Which rows are computed on, ``[R]`` bool, and the state for the next layer. Texts do
            not look at each other: what is said of a row does not depend on who shares its batch.
        """

    def weigh(self, rows: Rows, state: State) -> Tensor:
        """What each row weighs where it is merged with others, ``[R]``, none below 0; all alike.

        Args:
            rows: As shown to ``keep``.
            state: What ``keep`` has just returned.
        """
        return torch.ones(len(rows), device=rows.text.device)

    def log_odds(self, rows: Rows) -> Tensor:
        """How much surer it is of keeping each row than of not, ``[R]``; kept are those from 0.

        Gradients flow through it, by which what it reads is trained.

        Raises:
            UserError: It goes by nothing that could learn.
        """
        raise UserError(
            f"{self!r} has no log_odds, through which rows could be weighed in training: use a "
            'reducer such as {"name": "scored"}.'
        )

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Whether it may take out anybody at a layer; where not, nothing is computed for it.

        Args:
            layer: From 1.
            num_layers: Depth of the network.
            longest: Tokens of the longest text of the batch.
        """
        return True

    def counted(self, counts: Mapping[int, Mapping[Hashable, int]]) -> Self:
        """The same with what it learns of training texts: ``{token: {label: occurrences}}``."""
        return self

    def with_special(self, tokens: Collection[int]) -> Self:
        """The same told which tokens of the vocabulary are special, such as separators."""
        return self


def check_fate(reducer: Any, words: bool) -> None:
    """Refuse to drop rows by which words would have been labelled.

    Args:
        reducer: The reducer, or whoever weighs rows in its place.
        words: Whether words are labelled, each by its own row, not texts by their first.

    Raises:
        UserError: Says what to use instead.
    """
    if words and reducer.fate in ("drop", "merge"):
        does = "drops" if reducer.fate == "drop" else "merges"
        raise UserError(
            f"{reducer!r} {does} rows, and words whose rows are gone cannot be labelled: use "
            'fate="restore" or fate="copy" for them.'
        )


def check_scorers(reducer: Any, scorers: object) -> None:
    """Refuse to read scores where nothing gives any.

    Args:
        reducer: The reducer, or whoever weighs rows in its place.
        scorers: Those of the model, or their settings; None if it has none.

    Raises:
        UserError: Says how a model gets scorers.
    """
    if reducer.reads == "scores" and not scorers:
        raise UserError(
            f"{reducer!r} reads scores, and the model has no scorers: train one that has, with "
            'heads.scorers={"name": "mlp"} or a method such as tr_bert, or use another reducer.'
        )
