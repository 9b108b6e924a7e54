"""How well predicted numbers follow the true ones: Pearson, Spearman, mean squared error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.extras import require_libraries


def correlation(prediction: NDArray[np.floating], gold: NDArray[np.floating]) -> dict[str, float]:
    """Figures of a regression.

    ``correlation`` is the mean of Pearson's and Spearman's coefficient, as for STS-B in GLUE
    (Wang et al. 2019), and 0 where that is negative, since quality runs from 0 to 1. Where one
    side is constant there is no coefficient; it counts as 0.

    Args:
        prediction: What was told, ``[N]``.
        gold: What is true, ``[N]``.

    Raises:
        UserError: A number that was told is none.
    """
    require_libraries("scipy")
    from scipy.stats import rankdata

    prediction, gold = prediction.astype(np.float64), gold.astype(np.float64)
    if not np.isfinite(prediction).all():
        raise UserError(
            f"{int((~np.isfinite(prediction)).sum())} of {len(prediction)} numbers that the model "
            "tells are infinite or none (NaN); its weights are damaged or its training diverged."
        )
    pearson = _coefficient(prediction, gold)
    spearman = _coefficient(rankdata(prediction), rankdata(gold))
    error = float(np.square(prediction - gold).mean()) if len(gold) else 0.0
    mean = max((pearson + spearman) / 2, 0.0)
    return {"correlation": mean, "pearson": pearson, "spearman": spearman, "mse": error}


def _coefficient(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0  # rounding would make something of a constant
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0
