"""Whether several classifiers can be one cascade: the same labels, the same reading of a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tokenexit.errors import UserError
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification

FEW = 5
"""Names shown of many."""


def check_stages(stages: Sequence[Any]) -> None:
    """Refuse what is no list of two or more text classifiers.

    Raises:
        UserError: Says what was given.
    """
    if not isinstance(stages, Sequence) or len(stages) < 2:
        raise UserError("A cascade has two or more models, the cheapest first.")
    for number, stage in enumerate(stages, start=1):
        if not isinstance(stage, ExitModelForSequenceClassification):
            raise UserError(
                f"Stage {number} is a {type(stage).__name__}; a cascade is made of models of the "
                "class ExitModelForSequenceClassification."
            )


def label_columns(
    stages: Sequence[ExitModelForSequenceClassification],
) -> list[list[int] | None]:
    """For each stage, the columns of its scores in the order of the last stage's labels.

    Returns:
        None for a stage that has that order already.

    Raises:
        UserError: A stage has other labels than the last.
    """
    labels, columns = stages[-1].labels, []
    for number, stage in enumerate(stages, start=1):
        here, there = _only(stage.labels, labels), _only(labels, stage.labels)
        if here or there:
            told = [f"only stage {number} has {here}"] if here else []
            told += [f"only the last has {there}"] if there else []
            raise UserError(
                f"Stage {number} and the last stage label texts differently: {'; '.join(told)}. "
                "The models of a cascade must have the same labels: train them on the same data."
            )
        same = stage.labels == labels
        columns.append(None if same else [stage.labels.index(label) for label in labels])
    return columns


def check_tokenizers(stages: Sequence[ExitModelForSequenceClassification]) -> None:
    """Refuse stages that read a text differently.

    Raises:
        UserError: Says what differs.
    """
    last = stages[-1].tokenizer
    for number, stage in enumerate(stages[:-1], start=1):
        found = list(differences(stage.tokenizer, last))
        if found:
            raise UserError(
                f"Stage {number} and the last stage have different tokenizers: "
                f"{'; '.join(found)}. If that is meant, such as with models of two families, give "
                "allow_different_tokenizers=True: each stage then reads texts with its own."
            )


def differences(first: Any, second: Any) -> Iterator[str]:
    """What two tokenizers do differently, in words; nothing if they read all texts alike."""
    if first is second:
        return
    ours, theirs = first.get_vocab(), second.get_vocab()
    if ours != theirs:
        if ours.keys() == theirs.keys():
            moved = next(token for token, number in ours.items() if theirs[token] != number)
            yield f"the same tokens have other ids ({moved!r}: {ours[moved]} and {theirs[moved]})"
        else:
            apart = zip(
                ("first", "second"), (_only(ours, theirs), _only(theirs, ours)), strict=True
            )
            told = ", ".join(f"only the {which} has {names}" for which, names in apart if names)
            yield f"vocabularies of {len(ours)} and {len(theirs)} tokens ({told})"
    if first.special_tokens_map != second.special_tokens_map:
        yield f"special tokens {first.special_tokens_map} and {second.special_tokens_map}"
    for part in ("normalizer", "pre_tokenizer", "post_processor"):
        one, other = (repr(getattr(_backend(t), part, None)) for t in (first, second))
        if one != other:
            yield f"{part.replace('_', '-')} {one} and {other}"


def _backend(tokenizer: Any) -> Any:
    return getattr(tokenizer, "backend_tokenizer", None)


def _only(names: Sequence[str] | dict[str, int], others: Sequence[str] | dict[str, int]) -> str:
    """Names that the others have not, the first few of them; nothing where there are none."""
    known = set(others)
    found = sorted(name for name in names if name not in known)
    more = [f"{len(found) - FEW} more"] if len(found) > FEW else []
    return ", ".join([*map(repr, found[:FEW]), *more])
