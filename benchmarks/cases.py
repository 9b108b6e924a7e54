"""What is timed: every clock of the README, the ones that matter most first.

A case is one ``tokenexit bench`` in a process of its own. Models are run folders by the names that
the README's commands give them, data the folders of its corpora.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        model: Name of the run folder.
        data: Name of the corpus.
        precision: What ours computes in.
        batch_size: Texts a batch.
        limit: Texts.
        repeats: Timed passes over them.
        against: Engines that a user would take instead.
        threads: Of everybody.
        kernels: Which of our kernels may run: ``auto``, or ``off`` for torch's operators.
        options: Further options of ``tokenexit bench``.
    """

    model: str
    data: str
    precision: str
    batch_size: int
    limit: int
    repeats: int
    against: str
    threads: int = 1
    kernels: str = "auto"
    options: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """What tells it from the others."""
        more = [f"{self.threads} threads"] if self.threads > 1 else []
        more += ["no kernels"] if self.kernels == "off" else []
        return ", ".join([self.model, self.precision, f"batch {self.batch_size}", *more])

    @property
    def flags(self) -> list[str]:
        """Options of ``tokenexit bench`` after model and data."""
        told: dict[str, object] = {
            "batch-size": self.batch_size,
            "limit": self.limit,
            "repeats": self.repeats,
        }
        told |= {"threads": self.threads, "against": self.against, "precision": self.precision}
        return [text for k, v in told.items() for text in (f"--{k}", str(v))] + [*self.options]


TAGGERS = {"ewt": "uner_en_ewt", "pos": "ud_en_ewt"}
GENERATORS = {"e2e": "e2e_nlg", "ende": "tatoeba_en_de", "e2e_07": "e2e_nlg"}
LANG = {"ende": ("--lang", "en-de")}

TAGGED = {1: (96, 5), 8: (128, 5), 32: (256, 5)}
"""Texts and passes by batch size. One text takes plain transformers some 10 ms."""

WRITTEN = {1: (16, 4), 8: (40, 3), 32: (96, 3)}
"""Likewise; one text takes ``generate`` some 250 ms alone and 20 ms in large batches."""


def cases() -> Iterator[Case]:
    """All of them, in the order in which they are run."""
    for precision in ("int8", "fp32"):
        yield from _tagged(precision)
        yield from _written(precision, ("e2e", "ende"))
    yield from _tagged("int8", kernels="off")
    for threads in (2,):
        yield from _tagged("int8", sizes=(32,), threads=threads)
        yield from _written("int8", ("e2e", "ende"), sizes=(32,), threads=threads)
    for precision in ("int8", "fp32"):
        yield from _written(precision, ("e2e_07",))


def _tagged(precision: str, sizes: tuple[int, ...] = (1, 8, 32), **more: object) -> Iterator[Case]:
    for model, data in TAGGERS.items():
        for size in sizes:
            yield Case(
                model, data, precision, size, *TAGGED[size], "onnxruntime,ctranslate2", **more
            )  # type: ignore[arg-type]


def _written(
    precision: str, models: tuple[str, ...], sizes: tuple[int, ...] = (1, 8, 32), **more: object
) -> Iterator[Case]:
    for model in models:
        for size in sizes:
            told = {"options": LANG.get(model, ()), **more}
            data = GENERATORS[model]
            yield Case(model, data, precision, size, *WRITTEN[size], "ctranslate2", **told)  # type: ignore[arg-type]
