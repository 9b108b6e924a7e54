"""Parts of speech: accuracy, since every word has one."""

from __future__ import annotations

from typing import ClassVar

from tokenexit.tasks.base import TASKS
from tokenexit.tasks.by_accuracy import ByAccuracy
from tokenexit.tasks.words import WordTask


@TASKS.register("pos")
class PartsOfSpeech(ByAccuracy, WordTask):
    """Each word gets its part of speech."""

    title: ClassVar[str] = "part-of-speech tagging"
    label_kind: ClassVar[str] = "parts of speech"
