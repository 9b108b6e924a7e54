"""Which policies are searched for a generator when the user names none."""

from __future__ import annotations

from tokenexit.calibration.clock.counts import asked_at
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.context_gate import ContextGate
from tokenexit.policies.decay import Decay
from tokenexit.policies.every_kth import EveryKth
from tokenexit.policies.from_layer import FromLayer
from tokenexit.policies.learned_gate import LearnedGate
from tokenexit.policies.margin import Margin
from tokenexit.policies.saturation import Saturation
from tokenexit.policies.shortlist import Shortlist
from tokenexit.policies.two_stage import TwoStage


def default_text_families(model: ExitModelForSeq2SeqLM) -> list[Policy]:
    """The margin at every second layer, and at every layer; a gate that was trained besides.

    A context gate, where the model has one, is the first: it asks no vocabulary.

    A vocabulary costs more than a layer does, so asking half as often wins on the clock; the margin
    is the confidence that did (``recipes/results/policies/e2e``).
    """
    families: list[Policy] = [EveryKth(Margin(0.9), 2), Decay(Margin(0.9))]
    if model.gate is not None:
        families.append(LearnedGate(0.1))
    return families if model.context is None else [ContextGate(), *families]


def timed_text_families(model: ExitModelForSeq2SeqLM) -> list[Policy]:
    """By the clock: the same asked less often, and what avoids the vocabulary or most of it.

    Those are saturation, which may also propose to the margin, and a shortlist; a gate that was
    trained at fewer exits besides.
    """
    layers = model.settings.exit_layers
    middle = max(layers[-1] // 2, 1)
    families: list[Policy] = [
        *default_text_families(model),
        EveryKth(Margin(0.9), 3),
        FromLayer(Margin(0.9), middle),
        Saturation(),
        TwoStage(Saturation(0.9), Margin(0.9)),
        EveryKth(Shortlist(Margin(0.9)), 2),
    ]
    if model.gate is not None:
        families.append(EveryKth(LearnedGate(0.1), 2))
    if model.context is not None:
        families.append(EveryKth(ContextGate(), 2))
    return [family for family in families if asked_at(family, layers[:-1])]
