"""Depth-Adaptive Transformer: at each exit a gate, trained into the network, says whether to go."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("depth_adaptive")
class DepthAdaptive(Method):
    """The geometric-like halting distribution of a token (Elbayad et al. 2020).

    First aligned training of all exits alike, without a loss of the distribution; then with one:
    the cross-entropy of the exit that the oracle takes, by correctness less a price for depth,
    whose gradient reaches the network. A token leaves once ``chi`` is above a threshold, 0.5 in the
    paper or tuned; here it is calibrated, one for all exits. ``oracle: likelihood``, ``sigma`` of
    the kernel and mixed training (``mixed: M``) are settings of the objective. Exits share the
    vocabulary head, as the paper's on WMT; those on IWSLT have heads of their own. Optimiser and
    schedule start anew in the second phase, where the paper goes on. Halting of whole sequences by
    the mean of the encoder is left out. In a tagger, which the paper has not, words leave so.
    """

    paper = "Elbayad et al. 2020"
    fidelity = (
        "exits share a head, as on WMT; one threshold for all; none by sequence; words are ours"
    )
    checked = "distributions, oracles and rules by hand: tests/objectives/test_exit_distribution.py"
    units = ("token", "word")
    heads = {"name": "linear", "gate": True}
    train = {
        "objective": {"name": "exit_distribution", "oracle": "correctness"},
        "phases": [{"objective": {"share": 0.0}}, {}],
    }
    policies = ({"name": "learned_gate"},)
