"""What a corpus is predicted with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tokenexit.config.limits import THREADS, about, check_limits
from tokenexit.errors import UserError


@dataclass(frozen=True)
class CorpusConfig:
    """A corpus, a model, and where the answers go."""

    model: str = field(metadata=about("model or run folder, or a Hub id"))
    data: str = field(metadata=about("file or folder of parquet, JSON lines or text, or a Hub id"))
    output_dir: str = field(
        default="", metadata=about("folder of the answers; one that was begun is gone on with")
    )
    format: Literal["jsonl", "parquet"] = field(default="jsonl", metadata=about("of the parts"))
    block_size: int = field(
        default=10_000,
        metadata=about("rows a part, and what a process that dies loses at most", low=1),
    )
    split: str | None = field(
        default=None, metadata=about("split of a folder or Hub data set; everything by default")
    )
    data_name: str | None = field(
        default=None, metadata=about("sub-folder, or configuration of a Hub data set")
    )
    revision: str | None = field(
        default=None, metadata=about("branch, tag or commit of a Hub data set")
    )
    column: str | None = field(
        default=None,
        metadata=about("column of the texts, words or sources; by usual names by default"),
    )
    pair_column: str | None = field(default=None, metadata=about("column of second texts"))
    lang: str | None = field(
        default=None, metadata=about("direction of a column of translations, such as en-de")
    )
    keep: list[str] = field(
        default_factory=list, metadata=about("columns to write beside the answers")
    )
    bad_rows: Literal["stop", "note"] = field(
        default="stop",
        metadata=about("end at a row without a text, or write what is wrong"),
    )
    policy: str | dict[str, Any] | None = field(
        default=None, metadata=about("policy; the model's own by default")
    )
    batch_size: int = field(default=32, metadata=about("texts a batch", low=1))
    decode: str | None = field(default=None, metadata=about("argmax, legal or crf, for taggers"))
    pending: str | None = field(
        default=None, metadata=about("lazy, eager, parallel or verify, for generators")
    )
    batching: str | None = field(
        default=None, metadata=about("fixed or by_depth, for generators; the texts are the same")
    )
    max_wait: int | None = field(
        default=None, metadata=about("by depth, rounds after which a row is due", low=0)
    )
    splitter: str | None = field(
        default=None, metadata=about("how texts become words, for taggers")
    )
    pretokenized: bool = field(
        default=False, metadata=about("texts hold words with spaces between them, for taggers")
    )
    precision: str | None = field(
        default=None, metadata=about("int8, bf16, fp16 or fp32; as the weights are by default")
    )
    runtime: str | None = field(default=None, metadata=about("who plans the work"))
    reducer: str | None = field(
        default=None, metadata=about("what takes rows out of texts, or none; the model's own")
    )
    widths: str | None = field(
        default=None, metadata=about("which heads and neurons are computed, or none; the model's")
    )
    dtype: str | None = field(default=None, metadata=about("type of the weights"))
    device: str | None = field(
        default=None, metadata=about("cpu, cuda, ...; an accelerator a process by default")
    )
    threads: int | None = field(
        default=None, metadata=about("threads torch computes with", low=1, high=THREADS)
    )
    plugins: list[str] = field(
        default_factory=list, metadata=about(".py files that register policies or heads")
    )

    def __post_init__(self) -> None:
        for name in ("model", "data"):
            if not getattr(self, name).strip():
                raise UserError(f"{name} is empty; say {name}=...")
        check_limits(self)
        if self.lang is not None and self.column is not None:
            raise UserError("lang and column both say what is read; give one of the two.")

    @property
    def folder(self) -> Path:
        """Where the answers go.

        Raises:
            UserError: No place was given.
        """
        if not self.output_dir.strip():
            raise UserError("output_dir is empty; give a folder for the answers.")
        return Path(self.output_dir).expanduser()

    @property
    def options(self) -> dict[str, Any]:
        """What ``predict`` of its model is told."""
        names = ("decode", "pending", "batching", "max_wait", "splitter")
        told = {name: getattr(self, name) for name in names}
        return {**told, "pretokenized": self.pretokenized or None}
