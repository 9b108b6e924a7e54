"""Parts of speech: accuracy, since every word has one."""

from __future__ import annotations

from pathlib import Path

from tokenexit.demo import tagging
from tokenexit.tasks.base import TASKS
from tokenexit.tasks.by_accuracy import ByAccuracy
from tokenexit.tasks.words import WordTask


@TASKS.register("pos")
class PartsOfSpeech(ByAccuracy, WordTask):
    """Each word gets its part of speech."""

    title = "part-of-speech tagging"
    label_kind = "parts of speech"
    kept = "token accuracy kept"

    def write_demo(self, folder: Path) -> None:
        """See ``Task``."""
        tagging.write(folder, self.name)
