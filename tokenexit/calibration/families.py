"""Which policies are searched when the user names none."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.data.bio import is_bio
from tokenexit.policies import Policy
from tokenexit.policies.context_gate import ContextGate
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.pcee import PCEE
from tokenexit.policies.per_class import PerClass
from tokenexit.policies.value_patience import ValuePatience
from tokenexit.policies.window import Window


def default_families(
    labels: Sequence[str], task: str = "ner", context: bool = False
) -> list[Policy]:
    """The margin and entropy alone, entropy over a window, twice in a row, per class for ``O``.

    The margin saved most where policies were compared (``recipes/results/policies``); the others
    cost one simulation each, and another corpus may prefer them.

    Args:
        labels: Names of the classes.
        task: ``ner``, ``pos`` or ``classification``; of a text there is no window. Or
            ``regression``, whose exits tell numbers.
        context: Whether the model has a context gate, which is then the first.
    """
    gated: list[Policy] = [ContextGate()] if context else []
    if task == "regression":
        return [ValuePatience(), ValuePatience(times=2)]
    if task == "classification":
        return [*gated, Entropy(), PCEE(Entropy(), 2), Margin()]
    families: list[Policy] = [*gated, Margin(), Entropy(), Window(Entropy(), 3), PCEE(Entropy(), 2)]
    if is_bio(labels) and "O" in labels:
        # 'O' is most of the text and easy; a lost entity is what costs quality.
        families += [PerClass(Entropy(0.1), {"O": Entropy(0.1 * r)}) for r in (0.3, 3.0)]
        families.append(Window(PerClass(Entropy(0.1), {"O": Entropy(0.03)}), 3))
    return families
