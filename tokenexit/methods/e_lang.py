"""E-LANG: texts of high energy go to the larger model."""

from __future__ import annotations

from tokenexit.methods.base import METHODS
from tokenexit.methods.tangobert import TangoBERT


@METHODS.register("e_lang")
class ELANG(TangoBERT):
    """Energy routes between two complete models, fine-tuned as usual (Akbari et al. 2022).

    The paper takes two checkpoints of different sizes, and routes sequences for generation as well;
    here the first model is the lowest two layers of the network, unless ``stages`` names another
    ``model``, and only texts are classified.
    """

    paper = "Akbari et al. 2022"
    fidelity = f"{TangoBERT.fidelity}; no generation"
    checked = "energies and who is asked next: tests/models/test_cascade.py"
    policies = ({"name": "energy"},)
