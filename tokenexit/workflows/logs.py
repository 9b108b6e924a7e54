"""Who speaks in a run: the main process, in our words."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from transformers.utils import logging as transformers_logging

from tokenexit.errors import printable
from tokenexit.models.progress import show_progress

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger("tokenexit")


class _Plain(logging.Formatter):
    """The message alone, with nothing in it that a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def quiet(accelerator: Accelerator) -> None:
    """Our messages and, on a terminal, bars on the main process; transformers' bars nowhere."""
    show_progress(accelerator.is_main_process and sys.stderr.isatty())
    transformers_logging.disable_progress_bar()
    # It warns of tied weights at every checkpoint; loading is strict, so none can be missed.
    logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)
    level = logging.INFO if accelerator.is_main_process else logging.ERROR
    terminal = logging.StreamHandler()
    terminal.setFormatter(_Plain("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[terminal])
    logger.setLevel(level)
