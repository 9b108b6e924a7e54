"""COST-EFF: narrow layers and exits together."""

from __future__ import annotations

from typing import Any

from tokenexit.methods.base import METHODS, Method

PERIODS = 6
"""Times that each layer loses a head."""

_ASSISTANT = 2


def _taught(**settings: Any) -> dict[str, Any]:
    objective = {"name": "distillation", "weights": "uniform", **settings}
    return {"objective": objective, "gradient_equilibrium": True}


@METHODS.register("cost_eff")
class COSTEFF(Method):
    """A narrow network with exits, pruned by what all exits need; entropy (Shen et al. 2022).

    The phases: the network is fine-tuned; it teaches an assistant with exits (half answers, half
    labels, and states), with gradient equilibrium; in six periods each layer loses the head, and
    as large a share of neurons, that the loss of all exits (0.9 answers, 0.1 labels) would miss
    least, by ``|w| |g|``; the narrow network imitates the assistant's states; its exits imitate the
    assistant's, each the one at its layer, and the states. With twelve heads six are left, and half
    of the neurons. Published is a rank for the embeddings as well, which keep theirs here, and a
    number of steps a period; ours is that of the training. Importance is of 2000 texts.
    """

    paper = "Shen et al. 2022"
    fidelity = "the released code; embeddings keep their rank, periods are as long as other phases"
    checked = (
        "scores by hand, all exits keep another set than the top: tests/training/test_prune.py"
    )
    units = ("text", "word")
    heads = {"name": "pooled"}
    train = {
        "phases": [
            {"objective": {"name": "single"}},
            {**_taught(share=0.5, states=1.0), "teacher": "previous"},
            *(
                {**_taught(share=0.9), "prepare": [{"name": "prune"}], "teacher": _ASSISTANT}
                for _ in range(PERIODS)
            ),
            {**_taught(answers=0.0, states=1.0), "teacher": _ASSISTANT},
            {**_taught(share=1.0, states=1.0, of="exits"), "teacher": _ASSISTANT},
        ]
    }
    policies = ({"name": "entropy"},)
