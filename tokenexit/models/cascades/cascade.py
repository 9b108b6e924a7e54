"""A cascade of complete models: what a small one is not sure of, a larger one classifies."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from tokenexit.halting import Halted, Trace
from tokenexit.models.cascades import folder as cascade_folder
from tokenexit.models.cascades.run import Reading, cascade_exits, run_cascade
from tokenexit.models.cascades.stages import Stages, check_runtime
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.saved_model import Use
from tokenexit.policies import Policy


class CascadeForSequenceClassification(Stages, tags=["early-exit", "text-classification"]):
    """Text classifiers that are asked one after the other, the cheapest first.

    The policies are those of exits, with a model in the place of a layer: a policy sees the texts
    that reached a model and says which of them are done; the next model gets the others, in fresh
    batches. So work TangoBERT (Mamou et al. 2022), E-LANG (Akbari et al. 2022), Model Cascading
    (Varshney and Baral 2022) and CascadeBERT (Li et al. 2021). Every model runs at full depth;
    exits that it has of its own are not used.

    Args:
        stages: Two or more models with the same labels, which may stand in another order.
        policy: Who is done after which model; nobody before the last when None.
        allow_different_tokenizers: Let each model read texts with a tokenizer of its own.

    Raises:
        UserError: Fewer than two models, or something else; other labels; tokenizers that differ;
            a policy that has no meaning for texts.
    """

    layout = cascade_folder
    look_ahead = 16  # what one model lets pass is pooled for the next

    @classmethod
    def _load(cls, folder: str | Path, use: Use, hub: dict[str, Any]) -> Self:
        check_runtime(use.runtime)
        stages, values, settings = cascade_folder.read(folder, **vars(use), **hub)
        cascade = cls(stages, **values)
        cascade.configure(**settings)
        return cascade.eval()

    def _read(self, texts: Any, targets: Any) -> Reading:
        return Reading(self, texts, targets)

    def _run(self, read: Any, policy: Policy, batch_size: int, halted: Halted) -> Trace:
        return run_cascade(self, read, policy, batch_size)

    def _exits(self, read: Any, batch_size: int) -> ExitTable:
        return cascade_exits(self, read, batch_size)
