"""Serve texts, audit a share of them, and go stricter or back."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from tokenexit.audit.detector import Detector
from tokenexit.audit.drawing import is_drawn
from tokenexit.audit.ladder import Ladder
from tokenexit.errors import UserError
from tokenexit.policies import Policy

logger = logging.getLogger(__name__)

FORMAT = 1
KEPT = 10_000
"""Audited texts whose answers wait for labels at most; the oldest are forgotten."""

TOGETHER = 8
"""Texts that are audited in one batch: alone each would cost three times as much."""

_HOW = {
    "exit_layer", "exit_layers", "confidence", "confidences", "entities", "text", "words",
    "offsets", "tokens", "token_texts",
}  # fmt: skip
"""Of a result, what does not say what was answered."""


class _Drawn(NamedTuple):
    """A text that was drawn: how many were served before it, and what was answered."""

    number: int
    text: Any
    said: Any


class Audit:
    """Serves texts with a model's policy, and re-runs a random share of them at full depth.

    Args:
        model: Whatever has ``predict`` and a policy.
        rate: Share of the texts that is audited, above 0 and below 1; each draw knows only how
            many texts were served before.
        allowed: Share of audited texts that may differ from full depth.
        ladder: Settings from strict to loose, the last in use at first; full depth is below them.
            The model's own policy alone when None.
        per_false_alarm: Audited texts between two false alarms, on average.
        back_after: The same of a false all-clear, after which the next looser setting is back.
        seed: Of the draw.
        batch_size: Texts a batch.
        state: Of an audit to go on with, from ``state``.

    Raises:
        UserError: A rate or share out of range, or a state of another model or other settings.
    """

    def __init__(
        self,
        model: Any,
        *,
        rate: float = 0.01,
        allowed: float = 0.05,
        ladder: Sequence[Policy] | None = None,
        per_false_alarm: float = 5000.0,
        back_after: float = 500.0,
        seed: int = 0,
        batch_size: int = 32,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        if not 0 < rate < 1:
            raise UserError(f"An audit draws a share of texts between 0 and 1, not {rate!r}.")
        self.model, self.rate, self.seed, self.batch_size = model, rate, seed, batch_size
        self.ladder = Ladder.of(ladder or [model.policy], allowed, per_false_alarm, back_after)
        self.costs = Detector.of_cost(allowed, per_false_alarm)
        self._settings = {
            "rate": rate, "allowed": allowed, "seed": seed, "per_false_alarm": per_false_alarm,
            "back_after": back_after, "ladder": [p.to_config() for p in self.ladder.rungs],
        }  # fmt: skip
        self._model = _told_apart(model)
        self.counts = {"served": 0, "audited": 0, "differ": 0, "rows": 0, "layers": 0}
        self.alarms: list[dict[str, Any]] = []
        self._waiting: dict[str, list[Any]] = {}
        self._drawn: list[_Drawn] = []
        if state is not None:
            self._resume(state)

    @property
    def rung(self) -> int:
        """Which setting serves: of the ladder, 0 for full depth."""
        return self.ladder.rung

    @property
    def policy(self) -> Policy:
        """The setting that serves."""
        return self.ladder.policy

    def serve(self, texts: Iterable[Any], **options: Any) -> Iterator[Any]:
        """Results of texts, in order, while they are read; as ``predict_iter``.

        A few drawn texts wait for each other, and are audited at the end at the latest.

        Args:
            texts: As ``predict`` of the model takes them, endless ones as well.
            options: As ``predict``.
        """
        items, given = iter(texts), {"batch_size": self.batch_size, **options}
        try:
            while block := list(islice(items, self.batch_size)):
                yield from self._block(block, given)
        finally:
            self._audit(given)

    def label(self, number: int, answer: Any) -> None:
        """Tell the right answer of an audited text, whenever it is known.

        Args:
            number: Which text: how many were served before it.
            answer: What is right, as results have it: labels, a label, or token ids.

        Raises:
            UserError: The text was not audited, or has been labelled or forgotten.
        """
        found = self._waiting.pop(str(number), None)
        if found is None:
            raise UserError(
                f"Text {number} has no answers waiting for a label: it was not audited, was "
                f"labelled before, or is older than the last {KEPT} audited ones."
            )
        here, deep = found
        right = json.loads(json.dumps(answer))
        self.costs = self.costs.saw(float(deep == right) - float(here == right))

    @property
    def alarm(self) -> bool:
        """Whether labels say that exits cost more than is allowed."""
        return self.costs.alarm

    @property
    def report(self) -> dict[str, Any]:
        """What was seen so far, as plain data: depth as well, since it may drift as quietly."""
        seen, full = self.counts, self.model.settings.exit_layers[-1]
        depth = seen["layers"] / seen["rows"] if seen["rows"] else None
        return {
            **self.counts,
            "differ_share": seen["differ"] / seen["audited"] if seen["audited"] else None,
            "mean_exit_layer": depth,
            "layers_saved": None if not depth else full / depth,
            "rung": self.rung,
            "rungs": len(self.ladder.rungs),
            "policy": self.policy.to_config(),
            "level": self.ladder.worse.level,
            "alarms": list(self.alarms),
            "labels": {"seen": self.costs.seen, "level": self.costs.level, "alarm": self.alarm},
        }

    @property
    def state(self) -> dict[str, Any]:
        """All that an audit knows, as plain data, to go on with elsewhere or later."""
        return {
            "format": FORMAT,
            "model": self._model,
            "settings": self._settings,
            "counts": dict(self.counts),
            "alarms": list(self.alarms),
            "ladder": self.ladder.to_json(),
            "costs": self.costs.to_json(),
            "waiting": dict(self._waiting),
        }

    def _resume(self, state: Mapping[str, Any]) -> None:
        for name, now in (("model", self._model), ("settings", self._settings)):
            if state.get("format") != FORMAT or state.get(name) != json.loads(json.dumps(now)):
                what = "model" if name == "model" else "rate, share or ladder"
                raise UserError(
                    f"This state is of an audit of another {what}: audit as before, or start anew "
                    "without it."
                )
        self.counts |= state["counts"]
        self.alarms, self._waiting = list(state["alarms"]), dict(state["waiting"])
        self.ladder = self.ladder.resumed(state["ladder"])
        self.costs = self.costs.resumed(state["costs"])

    def _block(self, block: list[Any], options: Mapping[str, Any]) -> Sequence[Any]:
        first = self.counts["served"]
        results = list(self.model.predict(block, policy=self.policy, **options))
        for result in results:
            layers = _layers(result)
            self.counts["rows"] += len(layers)
            self.counts["layers"] += sum(layers)
        self.counts["served"] += len(block)
        self._drawn += [
            _Drawn(first + n, block[n], _said(results[n]))
            for n in range(len(block))
            if is_drawn(first + n, self.rate, self.seed)
        ]
        if len(self._drawn) >= TOGETHER:
            self._audit(options)
        return results

    def _audit(self, options: Mapping[str, Any]) -> None:
        """Run the texts that were drawn again; all were served by the setting in use."""
        drawn, self._drawn = self._drawn, []
        if not drawn:
            return
        texts = [one.text for one in drawn]
        deep = [_said(one) for one in self.model.predict(texts, policy="never", **options)]
        beside, looser, rung = [one.said for one in drawn], self.ladder.looser, self.rung
        if looser is not None:
            beside = [_said(one) for one in self.model.predict(texts, policy=looser, **options)]
        for one, wanted, other in zip(drawn, deep, beside, strict=True):
            self.counts["audited"] += 1
            self.counts["differ"] += one.said != wanted
            self._waiting[str(one.number)] = [one.said, wanted]
            if len(self._waiting) > KEPT:
                del self._waiting[next(iter(self._waiting))]
            if self.rung == rung:  # else it says nothing of the setting that serves from here on
                moved = self.ladder.saw(float(one.said != wanted), float(other != wanted))
                if moved.rung != rung:
                    self._tell(moved.rung, one.number)
                self.ladder = moved

    def _tell(self, rung: int, number: int) -> None:
        now = self.ladder.rungs[rung]
        kind = "alarm" if rung < self.ladder.rung else "all clear"
        self.alarms.append(
            {"kind": kind, "served": number + 1, "audited": self.counts["audited"], "rung": rung}
        )
        logger.warning(
            "%s after %d texts (%d audited): %s serves from the next batch on.",
            kind, number + 1, self.counts["audited"], now,
        )  # fmt: skip


def _said(result: Any) -> Any:
    """What was answered, without how sure and how deep, as plain data."""
    told = {name: value for name, value in result.to_dict().items() if name not in _HOW}
    return json.loads(json.dumps(next(iter(told.values())) if len(told) == 1 else told))


def _layers(result: Any) -> Sequence[int]:
    layers: Sequence[int] | None = getattr(result, "exit_layers", None)
    return [result.exit_layer] if layers is None else layers


def _told_apart(model: Any) -> str:
    """What tells a model from another: its exits, and a number of each of its weights."""
    numbers = {
        name: [f"{float(weight.detach().float().norm()):.4g}", list(weight.shape)]
        for name, weight in model.named_parameters()
        if not weight.is_meta
    }
    text = json.dumps([list(model.settings.exit_layers), numbers], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
