"""Libraries that not everybody needs: predicting does without them, training and the like do not.

``pyproject.toml`` has them under ``[project.optional-dependencies]``. They are imported where they
are used, after ``require_libraries``.
"""

from __future__ import annotations

import importlib

from tokenexit.errors import UserError

# The package to install where it has another name, what it is for, and the extra that brings it.
LIBRARIES = {
    "accelerate": ("accelerate", "training and runs of several processes need", "train"),
    "datasets": ("datasets", "data sets of the Hub and saved ones need", "train"),
    "pyarrow": ("pyarrow", "parquet, corpora and reports need", "train"),
    "sacrebleu": ("sacrebleu", "BLEU, chrF and TER need", "train"),
    "scipy": ("scipy", "calibration and correlations need", "train"),
    "seqeval": ("seqeval", "F1 of entities needs", "train"),
    "sklearn": ("scikit-learn", "macro F1 and clusters of embeddings need", "train"),
    "rouge_score": ("rouge-score", "ROUGE needs", "rouge"),
    "torchcrf": ("pytorch-crf", "decode=crf needs", "crf"),
    "matplotlib": ("matplotlib", "figures need", "plots"),
}


def require_libraries(*modules: str, instead: str = "") -> None:
    """See that libraries are there, before they are imported.

    Args:
        modules: As they are imported.
        instead: What to do without them, if anything.

    Raises:
        UserError: One is not installed; says which, for what, and how to install it.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise missing(module, instead) from error


def missing(module: str | None, instead: str = "") -> UserError:
    """The error for a library that is not installed.

    Args:
        module: As it is imported.
        instead: What to do without it, if anything.
    """
    package, purpose, extra = LIBRARIES[module or ""]
    end = f", or {instead}." if instead else "."
    return UserError(
        f'{package} is not installed, which {purpose}: pip install "tokenexit[{extra}]"{end}'
    )


def is_optional(module: str | None) -> bool:
    """Whether a module is one of these libraries."""
    return module in LIBRARIES
