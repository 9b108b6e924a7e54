"""How often may an answer differ from full depth? Promises that hold for texts not yet seen.

Pure functions of losses, one number from 0 to 1 a text. Texts have to be drawn alike and
independently (for a promise on average: be exchangeable); words of one text need not. Nothing
else is assumed of the data or the model, and no labels are needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tokenexit.extras import require_libraries
from tokenexit.renamed import renamed

Losses = NDArray[np.float64]
"""One number from 0 to 1 a text, ``[n]``."""

Of = Literal["text", "words"]
Among = Literal["all", "disagreeing"]


def text_losses(
    differs: NDArray[np.bool_], text: NDArray[np.int64], count: int, of: Of = "text"
) -> Losses:
    """Loss of each text, ``[count]``; that of a text without words is 0.

    Args:
        differs: Whether a word's label is another than at full depth, ``[W]``.
        text: Number of each word's text, ``[W]``.
        count: Texts.
        of: ``text``, 1 if anything in it differs; ``words``, the share that does.
    """
    changed = np.bincount(text[differs], minlength=count).astype(np.float64)
    if of == "text":
        return np.minimum(changed, 1.0)
    return changed / np.maximum(np.bincount(text, minlength=count), 1)


def _special() -> Any:
    """The functions of scipy that tests and bounds are made of."""
    require_libraries("scipy")
    from scipy import special

    return special


def binomial_p(changed: int, count: int, risk: float) -> float:
    """P-value of "texts change more often than ``risk``", when ``changed`` of ``count`` did.

    Exact, for losses of 0 and 1.
    """
    return float(_special().bdtr(changed, count, risk))


def binomial_bound(changed: int, count: int, delta: float) -> float:
    """Upper bound on the risk that holds with probability ``1 - delta`` (Clopper-Pearson)."""
    if changed >= count:
        return 1.0
    return float(_special().betaincinv(changed + 1, count - changed, 1 - delta))


def hoeffding_bentkus_p(mean: float, count: int, risk: float) -> float:
    """The same p-value for any losses from 0 to 1 (Bates et al. 2021).

    The smaller of Hoeffding's and Bentkus's bound on the probability of so small a mean.
    """
    low, special = min(mean, risk), _special()
    rel_entr, bdtr = special.rel_entr, special.bdtr
    hoeffding = math.exp(-count * float(rel_entr(low, risk) + rel_entr(1 - low, 1 - risk)))
    bentkus = math.e * float(bdtr(min(math.ceil(count * mean), count), count, risk))
    return min(hoeffding, bentkus, 1.0)


def hoeffding_bentkus_bound(mean: float, count: int, delta: float) -> float:
    """The smallest risk that ``hoeffding_bentkus_p`` rejects at ``delta``, found by halving."""
    low, high = mean, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if hoeffding_bentkus_p(mean, count, middle) <= delta:
            high = middle
        else:
            low = middle
    return high


def conformal_bound(total: float, count: int) -> float:
    """Bound on the average risk of a setting chosen by it (Angelopoulos et al. 2022).

    Args:
        total: Sum of the losses of ``count`` texts; the next text counts as lost.
        count: Texts.
    """
    return (total + 1) / (count + 1)


@dataclass(frozen=True)
class RiskControl:
    """At most ``risk`` of what is predicted differs from full depth.

    With ``delta``, this holds for the chosen setting with probability ``1 - delta`` over the
    texts it was chosen on: settings are tested in an order fixed beforehand, from strict to
    loose, until one fails, so that the first test does not pay for the others (fixed-sequence
    testing in Learn then Test, Angelopoulos et al. 2021).

    Without, it holds on average over those texts and the next one (conformal risk control,
    Angelopoulos et al. 2022). That theorem asks for losses that only grow as settings get
    looser; a text that has changed therefore stays lost for all looser settings.

    Attributes:
        risk: The largest loss allowed, above 0 and below 1.
        delta: Probability that the promise is broken, or None.
        of: What is lost: ``text``, a text in which anything differs; ``words``, the share of its
            words that differ.
        among: ``all`` texts; ``disagreeing``, only those at which some exit disagrees with the
            top, of which no more than ``risk`` may differ: stricter than of all.
    """

    risk: float
    delta: float | None = None
    of: Of = "text"
    among: Among = "all"

    @property
    def needed(self) -> int:
        """Texts without which nothing can be promised, even if none of them changes."""
        # Half a text of play: a quotient such as 1 / 0.05 need not come out whole.
        count = max(1, math.floor(1 / self.risk) - 2)
        if self.delta is not None:
            count = max(1, math.floor(math.log(self.delta) / math.log1p(-self.risk)) - 2)
        while not self.keeps(np.zeros(count)):
            count += 1
        return count

    @property
    def method(self) -> str:
        """What it rests on, in words."""
        if self.delta is None:
            return "conformal risk control"
        test = "exact binomial (Clopper-Pearson)" if self.of == "text" else "Hoeffding-Bentkus"
        return f"fixed-sequence testing, {test}"

    @property
    def words(self) -> str:
        """The promise as a sentence."""
        lost: dict[str, str] = {
            "text": "of texts differ anywhere from full depth",
            "words": "of a text's words differ from full depth, averaged over texts",
        }
        if self.among == "disagreeing":
            lost = {"text": "of texts at which some exit disagrees differ from full depth"}
        sure = "on average over calibrations"
        if self.delta is not None:
            sure = f"with probability {1 - self.delta:.4g}"
        return f"at most {100 * self.risk:.4g}% {lost[self.of]}, {sure}"

    def bound(self, losses: Losses) -> float:
        """Upper bound on the risk that these losses allow, in the sense of the promise."""
        count = len(losses)
        if self.delta is None:
            return conformal_bound(float(losses.sum()), count)
        if count == 0:
            return 1.0
        if self.of == "text":
            return binomial_bound(int(losses.sum()), count, self.delta)
        return hoeffding_bentkus_bound(float(losses.mean()), count, self.delta)

    def keeps(self, losses: Losses) -> bool:
        """Whether the test of one setting comes out well."""
        count = len(losses)
        if self.delta is None:
            return conformal_bound(float(losses.sum()), count) <= self.risk
        if count == 0:
            return False
        if self.of == "text":
            return binomial_p(int(losses.sum()), count, self.risk) <= self.delta
        return hoeffding_bentkus_p(float(losses.mean()), count, self.risk) <= self.delta

    def last(self, settings: Iterable[Losses]) -> int:
        """How many settings, from the first, keep the promise; the last of them is to be taken.

        Args:
            settings: Losses of the same texts at each setting, from strict to loose. Read one by
                one, so that no setting need be run after the first that fails.
        """
        kept, worst = 0, None
        for losses in settings:
            worst = losses if worst is None or self.delta is not None else np.maximum(worst, losses)
            if not self.keeps(worst):
                break
            kept += 1
        return kept

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        told = {"risk": self.risk, "delta": self.delta, "of": self.of, "method": self.method}
        return told if self.among == "all" else {**told, "among": self.among}


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"Promise": RiskControl})
