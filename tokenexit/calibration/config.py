"""What calibration is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tokenexit.calibration.risk import RiskControl
from tokenexit.calibration.rows.config import ReducerGoal
from tokenexit.config.limits import setting
from tokenexit.errors import UserError, unknown_name
from tokenexit.guarantees import Guarantee, parse
from tokenexit.promises import promises_of

Minimised = Literal["macs", "layers", "time"]
MINIMISED = ("macs", "layers", "time")
"""What can be minimised among choices that keep the quality."""


OWN = ("min_quality", "speedup", "latency", "risk")
"""Promises that have a key of their own; others stand in ``promises``."""


@dataclass(frozen=True)
class CalibrateConfig:
    """What the policy has to keep.

    ``min_quality`` is a promise about texts not yet seen, tested on the validation split. It is a
    target, met on these texts alone, where ``loose`` says so, where the clock decides, or where a
    reducer is chosen on the same texts.

    With both targets given, ``min_quality`` decides and ``speedup`` is only reported. ``latency``
    alone asks for the best quality within it; beside ``min_quality``, the fastest choice that keeps
    the quality has to be within it. ``risk`` is a promise about texts not yet seen; beside it,
    ``min_quality`` is kept too if it is given.
    """

    min_quality: float | None = setting(
        None,
        "share of full-depth quality to keep (0.99 by default), promised for texts not yet seen",
    )
    speedup: float | None = setting(None, "layers to save instead: depth over mean exit layer")
    latency: float | None = setting(
        None, "milliseconds a text may take here, at batch_size texts a batch"
    )
    minimise: Minimised | None = setting(
        None,
        "what the choice saves: macs, layers, or time as measured on this machine; by "
        "default layers of encoders and macs of cascades and generators",
    )
    confidence: float | None = setting(
        None,
        "probability with which min_quality is promised (0.9 by default); with loose, "
        "share of bootstrap resamples that keep it",
    )
    loose: bool = setting(False, "take min_quality for a target on these texts, not for a promise")
    risk: float | None = setting(
        None,
        "share of unseen texts that may differ from full depth, such as 0.05; with "
        "delta=0.1 short for guarantee='differs <= 0.05 with 90%'",
    )
    delta: float | None = setting(
        None, "probability that risk is exceeded; null promises it on average"
    )
    risk_of: Literal["text", "words"] = setting(
        "text", "what may differ: anything in a text, or the share of its words"
    )
    risk_among: Literal["all", "disagreeing"] = setting(
        "all", "texts that risk is a share of: all, or where some exit disagrees"
    )
    promises: dict[str, float] = setting(
        dict, "further promises by name, such as those of a plug-in"
    )
    guarantee: str | None = setting(
        None,
        "what holds with a stated probability on unseen texts, such as 'f1 kept >= 0.99 with 90%'",
    )
    limit: int | None = setting(None, "texts to calibrate on, drawn at random; all by default")
    policies: list[dict[str, Any]] = setting(list, "families to search; a default few when empty")
    verify: int = setting(3, "families to verify by real runs")
    grid: int = setting(32, "settings of a threshold to simulate")
    reducer: ReducerGoal = field(default_factory=ReducerGoal)

    def __post_init__(self) -> None:
        for promise in promises_of(self._given):
            promise.check(self._given[promise.name])
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise UserError(
                f"calibrate.confidence must be between 0 and 1, not {self.confidence!r}."
            )
        self._check_guarantee()
        self._check_kept()
        self._check_promises()
        self._check_risk()
        self._check_clock()
        if self.limit is not None and self.limit < 1:
            raise UserError(f"calibrate.limit must be 1 or more, not {self.limit!r}.")
        if self.verify < 1 or self.grid < 2:
            raise UserError("calibrate.verify must be 1 or more, and calibrate.grid 2 or more.")

    def _check_guarantee(self) -> None:
        if self.guarantee is None:
            return
        parse(self.guarantee)
        others = [name for name in self._given if name != "guarantee"]
        others += [name for name in ("confidence", "delta") if getattr(self, name) is not None]
        others += ["reducer.by"] if self.reducer.by is not None else []
        if others or self.by_clock:
            beside = others[0] if others else "minimise=time"
            raise UserError(
                f"calibrate.guarantee is tested alone: leave calibrate.{beside} out, or say it as "
                f"a part of the guarantee ({self.guarantee!r} and ...); calibrate.guarantee=null "
                "where a method sets it."
            )

    def _check_kept(self) -> None:
        if self.promises_quality and self.target[1] >= 1:
            raise UserError(
                "calibrate.min_quality=1 leaves exits nothing to lose, which no number of texts "
                "promises. Ask for less, such as 0.999, or set calibrate.loose=true for a target "
                "on the validation texts alone."
            )

    def _check_promises(self) -> None:
        for name in OWN:
            if name in self.promises:
                raise UserError(
                    f"calibrate.promises is for further promises; give calibrate.{name} itself."
                )
        if self.promises and self.risk is not None:
            raise UserError(
                "calibrate.risk is certified beside calibrate.min_quality alone, not beside "
                f"calibrate.promises ({', '.join(self.promises)}); leave one out."
            )

    def _check_risk(self) -> None:
        if self.delta is not None and not 0 < self.delta < 1:
            raise UserError(f"calibrate.delta must be between 0 and 1, not {self.delta!r}.")
        if self.risk_of not in ("text", "words"):
            raise UserError(f"calibrate.risk_of must be text or words, not {self.risk_of!r}.")
        if self.risk_among != "all":
            others = {"delta": self.delta, "min_quality": self.min_quality}
            clash = [name for name, value in others.items() if value is not None]
            clash += ["risk_of=words"] if self.risk_of == "words" else []
            if self.risk is None or clash:
                raise UserError(
                    "calibrate.risk_among=disagreeing is a form of calibrate.risk for whole texts, "
                    f"on average over calibrations: {'leave out ' if clash else 'give calibrate.'}"
                    f"{', '.join(clash) or 'risk'}."
                )
        if self.risk is None and self.delta is not None:
            raise UserError("calibrate.delta says how sure calibrate.risk is; give that as well.")
        if self.risk is not None and self.speedup is not None:
            raise UserError(
                "calibrate.risk already says how far to go, so calibrate.speedup cannot; leave one "
                "out (calibrate.risk=null where a method sets it)."
            )
        if self.risk is not None and self.reducer.by is not None:
            raise UserError(
                "calibrate.risk counts answers that differ from full depth with the reducer that "
                "is used, which calibrate.reducer.by would change before: leave one out, or choose "
                "the reducer first and ask for the risk in a second calibration."
            )
        if self.risk is not None and self.confidence is not None:
            raise UserError(
                "calibrate.confidence belongs to calibrate.min_quality alone; beside "
                "calibrate.risk, calibrate.delta says how sure it is."
            )

    def _check_clock(self) -> None:
        if self.minimise not in (None, *MINIMISED):
            raise unknown_name("value of calibrate.minimise", self.minimise, MINIMISED)
        latency = self.latency
        if latency is not None and self.minimise in ("macs", "layers"):
            raise UserError(
                f"calibrate.latency is kept on the clock, so calibrate.minimise={self.minimise} "
                "cannot be asked for beside it; leave one out."
            )
        alone = self.speedup is not None and self.min_quality is None
        if alone and (latency is not None or self.minimise is not None):
            beside = "latency" if latency is not None else "minimise"
            raise UserError(
                "calibrate.speedup already says how much to save, in layers, so "
                f"calibrate.{beside} cannot; leave one out."
            )
        if self.risk is not None and (latency is not None or self.minimise == "macs"):
            beside = "latency" if latency is not None else "minimise=macs"
            raise UserError(
                f"calibrate.risk chooses by layers or by time, so calibrate.{beside} has no "
                "meaning beside it; leave one out."
            )
        if latency is not None and self.min_quality is None and self.confidence is not None:
            raise UserError(
                "calibrate.confidence says how sure min_quality is kept; give that as well, or "
                "leave it out beside calibrate.latency."
            )

    @property
    def _given(self) -> dict[str, float]:
        """All promises by name."""
        own = {name: getattr(self, name) for name in OWN}
        return {name: asked for name, asked in own.items() if asked is not None} | self.promises

    @property
    def asked(self) -> bool:
        """Whether any promise was asked for, so that a policy's threshold is to be calibrated."""
        return bool(self._given or self.guarantee) or self.minimise is not None

    @property
    def guarantees(self) -> tuple[Guarantee, ...]:
        """What ``guarantee`` says, or ``risk`` with ``delta``, which is the same in other words."""
        if self.guarantee is not None:
            return parse(self.guarantee)
        if self.risk is None or self.delta is None:
            return ()
        loss = "differs" if self.risk_of == "text" else "words of a text changed"
        return (Guarantee(loss, self.risk, self.delta),)

    @property
    def promises_quality(self) -> bool:
        """Whether ``min_quality`` is a promise about unseen texts, where the task has one."""
        if self.loose or self.by_clock or self.reducer.by is not None:
            return False
        others = self.guarantee is not None or self.risk is not None
        return not others and self.target[0] == "min_quality"

    @property
    def unlabelled(self) -> bool:
        """Whether texts without right answers serve."""
        if self.guarantee is not None:
            return not any(one.kind.labelled for one in self.guarantees)
        return self.risk is not None and self.min_quality is None

    @property
    def by_clock(self) -> bool:
        """Whether the choice is made by times measured here."""
        return self.minimise == "time" or self.latency is not None

    @property
    def promise(self) -> RiskControl | None:
        """The promise about unseen texts, if one is asked for."""
        return (
            None
            if self.risk is None
            else RiskControl(self.risk, self.delta, self.risk_of, self.risk_among)
        )

    @property
    def goals(self) -> dict[str, Any]:
        """Everything that the promise about unseen texts consists of, as plain data."""
        names = ("risk", "delta", "min_quality", "guarantee")
        given = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        given |= {"risk_of": "words"} if self.risk_of == "words" else {}
        return given | ({} if self.risk_among == "all" else {"risk_among": self.risk_among})

    @property
    def target(self) -> tuple[str, float]:
        """The promise that decides: ``("min_quality", q)``, ``("speedup", s)``, ..."""
        if self.min_quality is None and self.latency is not None:
            return "latency", self.latency
        if self.min_quality is None and self.speedup is not None:
            return "speedup", self.speedup
        if self.min_quality is None and self.promises:
            return next(iter(self.promises.items()))
        return "min_quality", 0.99 if self.min_quality is None else self.min_quality
