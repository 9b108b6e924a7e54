"""Predictions for a whole corpus: in blocks, by any number of processes, and resumed."""

from __future__ import annotations

from tokenexit.workflows.corpus.alone import taken
from tokenexit.workflows.corpus.config import CorpusConfig
from tokenexit.workflows.corpus.job import Job, look_at_model, open_job
from tokenexit.workflows.corpus.plan import Plan
from tokenexit.workflows.corpus.preparing import missing_blocks, prepare
from tokenexit.workflows.corpus.run import Predicted, predict_corpus, records

__all__ = [
    "CorpusConfig",
    "Job",
    "Plan",
    "Predicted",
    "look_at_model",
    "missing_blocks",
    "open_job",
    "predict_corpus",
    "prepare",
    "records",
    "taken",
]
