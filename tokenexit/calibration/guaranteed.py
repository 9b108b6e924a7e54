"""Choose the cheapest setting of which a promise about unseen texts may be given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tokenexit.calibration.candidate_list import candidate_list
from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.dealing import documents_of, halves
from tokenexit.calibration.guarantee import WITHOUT_LABELS, Certified
from tokenexit.calibration.loose import Target, loosest, target_met
from tokenexit.calibration.simulate import grid
from tokenexit.calibration.workload import Workload
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.processes import is_main
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.guarantees import FixedSequence, Guarantee, order_of
from tokenexit.guarantees.losses import LOSSES, Columns, Loss
from tokenexit.policies import Policy
from tokenexit.policies.never import Never

logger = logging.getLogger(__name__)

Listing = Callable[[Sequence[Guarantee], bool], Sequence[Policy]]
"""Settings to test, of the promises that they are ordered by; of the testing texts themselves where
these will test nothing."""

OFTEN = 0.05
"""Share of repeated texts above which it is said what they count."""

FULL_DEPTH = "The model stays at full depth."


def guaranteed(
    work: Workload,
    families: Sequence[Policy],
    guarantees: Sequence[Guarantee],
    *,
    settings: int = 32,
    design: Any = None,
    target: Target | None = None,
) -> Certified:
    """Choose a setting of the families.

    Args:
        work: The model, and texts that neither it nor anything else was chosen on.
        families: Policies with a threshold.
        guarantees: What has to hold.
        settings: Of a family's threshold, to make the list of.
        design: Texts that fix which settings are tested, in which order, such as training texts;
            a half of those of ``work`` when None, which then test nothing; of one family all its
            settings are tested then, strict to loose, and all texts test.
        target: What a setting has to be on the testing texts as well, and which is the best of
            those that may be served. The loosest one that is so, promise or not, is found too, for
            the record.

    Raises:
        UserError: A promise has no meaning for the model, or needs answers that are not there.
    """
    tested, grown = work, design is None and len(families) == 1
    if design is None and not grown:
        chosen, rest = halves(len(work.split), families=2, documents=documents_of(work.split))
        design, tested = work.split.take(chosen), work.on(work.split.take(rest))

    def listed(asked: Sequence[Guarantee], here: bool) -> list[Policy]:
        if grown:
            return [families[0].with_threshold(value) for value in grid(families[0], settings)]
        return candidate_list(tested if here else work.on(design), families, asked, settings)

    found = _tested(tested, guarantees, listed, target=target)
    if found.why and is_main():
        other = "" if target is None else " calibrate.loose=true asks for a target on these alone."
        logger.warning("%s%s", found.why, other)
    chose = 0 if design is None else len(design)
    return replace(found, promise={**found.promise, "family_chosen_on": chose})


def guaranteed_as_it_is(work: Workload, guarantees: Sequence[Guarantee]) -> Certified:
    """Test the model's own policy, so that nothing is chosen.

    Args:
        work: The model, and texts that neither it nor anything else was chosen on.
        guarantees: What has to hold.

    Raises:
        UserError: As ``guaranteed``.
    """
    return _tested(work, guarantees, lambda *_: [work.model.policy], "Nothing is certified.")


def _tested(
    tested: Workload,
    guarantees: Sequence[Guarantee],
    listed: Listing,
    otherwise: str = FULL_DEPTH,
    target: Target | None = None,
) -> Certified:
    """Run settings in order until one breaks a promise.

    Args:
        tested: The model and the texts.
        guarantees: What has to hold.
        listed: The settings.
        otherwise: What follows where none keeps them, in words.
        target: See ``guaranteed``.
    """
    labelled, keys = tested.labelled, tested.split.keys()
    with in_full_precision(tested.model):
        tested = tested if labelled else tested.answered()  # held to what full depth says
        reference = tested.evaluate(Never())
    full, deep = reference
    if is_reduced(tested.model):
        full, _ = tested.evaluate(Never(), reference)
    columns = tested.counted(deep, deep)
    check_columns(guarantees, columns, labelled)
    absent = classes_without_texts(guarantees, columns, getattr(tested.model, "labels", ()))
    if absent and is_main():
        logger.warning(
            "Nothing is promised of %s: no text of the %s split is of such a class.",
            ", ".join(absent), tested.name,
        )  # fmt: skip
    sequence = FixedSequence(guarantees, columns, order_of(keys), documents_of(tested.split))
    needed = sequence.needed()
    runs: list[Result] = []
    counted: list[Columns] = []

    def run(policy: Policy) -> Columns:
        result, trace = tested.evaluate(policy, reference)
        runs.append(result)
        counted.append(tested.counted(trace, deep))
        return counted[-1]

    texts, unit, repeats = sequence.units, sequence.unit, len(keys) - len(sequence.order)
    if repeats > OFTEN * len(keys) and is_main():
        logger.warning(
            "%d of the %d texts repeat another of them; each counts once, so that the promise is "
            "about different texts, not about how often they come.",
            repeats, len(keys),
        )  # fmt: skip
    enough = all(count is not None and count <= texts for count in needed.values())
    queue = listed(sequence.in_order or guarantees, not enough) if enough or target else []
    passed, tests = sequence.last(map(run, queue)) if enough else (0, [])
    kept, savings = sequence.afterwards(counted[:passed])
    told: dict[str, Any] = {}
    tried, served = runs[:passed], kept
    if target is not None:
        more = loosest(
            queue, runs, target.keeps, lambda policy: tested.evaluate(policy, reference)[0]
        )
        told = {"loose": None if more is None else target_met(more)}
        served = target.best(tried[:kept])
        if served < kept:  # the others passed as well, and are not served
            runs, counted, tests = runs[:served], counted[:served], tests[:served]
    why = ""
    if kept and not served:
        why = f"None of the {kept} settings that can be promised is as asked on {texts} {unit}."
        why = f"{why} {otherwise}"
    elif not kept:
        why = why_nothing(guarantees, needed, texts, tried, otherwise, unit)
        if tests and not passed:
            why += missing(sequence.needed(counted[0]), texts, unit)
    policies = [dict(result.policy) for result in runs]
    best = runs[served - 1] if served else full
    if not labelled:
        best = replace(best, notes={**best.notes, "gold": WITHOUT_LABELS})
    return Certified(
        best=best,
        full=full,
        runs=runs,
        reached=served > 0,
        promise={
            "guarantee": " and ".join(map(str, guarantees)),
            "promise": "; ".join(one.told(unit) for one in guarantees),
            "method": "settings tested strict to loose until one fails",
            "n": texts,
            "unit": unit,
            "repeats": repeats,
            "needed": needed,
            "sequence": policies,
            "tests": [[one.to_json() for one in setting] for setting in tests],
            "tests_of_savings": [[one.to_json() for one in setting] for setting in savings],
            "settings_run": len(runs),
            "family_chosen_on": 0,
            "labelled": labelled,
            **told,
            **({"classes_without_texts": absent} if absent else {}),
        },
        evidence=Evidence.of(sequence, keys, policies, counted),
        why=why,
    )


def classes_without_texts(
    guarantees: Sequence[Guarantee], columns: Columns, labels: Sequence[str]
) -> list[str]:
    """Classes that ``every class`` says nothing of, where it is asked for."""
    if "class" not in columns or all(one.every != "class" for one in guarantees):
        return []
    there = set(columns["class"])
    return [label for label in labels if label not in there]


def check_columns(guarantees: Sequence[Guarantee], columns: Columns, labelled: bool) -> None:
    """Refuse a promise that nothing can be counted for.

    Raises:
        UserError: It needs right answers that are not there, or has no meaning for the model; the
            message says which promises have one.
    """
    for guarantee in guarantees:
        if _serves(guarantee.kind, columns):
            continue
        if guarantee.kind.labelled and not labelled:
            raise UserError(
                f"The promise {guarantee.loss!r} needs texts with right answers, and these have "
                "none; 'differs' needs none."
            )
        served = [name for name, cls in LOSSES.items() if _serves(cls(), columns)]
        raise UserError(
            f"The promise {guarantee.loss!r} has no meaning for this model; these have one: "
            f"{', '.join(served)}."
        )


def _serves(loss: Loss, columns: Columns) -> bool:
    """Whether it can be counted; of words, nothing that is about one answer a text."""
    words = bool((np.asarray(columns["rows"]) != 1).any())
    return all(name in columns for name in loss.needs) and not (words and loss.of_whole_texts)


def why_nothing(
    guarantees: Sequence[Guarantee],
    needed: dict[str, int | None],
    texts: int,
    passed: Sequence[Result],
    deep: str = FULL_DEPTH,
    unit: str = "texts",
) -> str:
    """That nobody leaves early, why, and what would help, in words."""
    asked = " and ".join(map(str, guarantees))
    short = {name: count for name, count in needed.items() if count is None or count > texts}
    if passed:
        return (
            f"No setting that keeps what is to be kept can be promised to save so much: {asked}, "
            f"on {texts} {unit}. The loosest that keeps it saved {passed[-1].depth_speedup:.2f}x "
            f"there. {deep}"
        )
    if not short:
        return f"No setting that saves layers can be promised: {asked}, on {texts} {unit}. {deep}"
    name, count = max(short.items(), key=lambda item: item[1] or float("inf"))
    if count is None:
        return (
            f"{name} cannot be promised on any number of {unit} like these {texts}: full depth has "
            f"nothing to spare on them. {deep}"
        )
    return (
        f"{name} cannot be promised on {texts} {unit}: {count} are needed even if nothing is lost. "
        f"{deep} Add {count - texts} {unit}, or ask for less."
    )


def missing(needed: Mapping[str, int | None], texts: int, unit: str = "texts") -> str:
    """About how many texts would do where the strictest setting lost too much on fewer, in words.

    Args:
        needed: Texts, if it goes on to lose as much.
        texts: On which it was tested.
        unit: What they are.
    """
    counts = [count for count in needed.values() if count is not None]
    if len(counts) < len(needed) or max(counts) <= texts:
        return ""
    more = max(counts) - texts
    return f" At what the strictest one lost there, about {more} more {unit} would do."
