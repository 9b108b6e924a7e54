"""One command, several seeds: a run each, and what they have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.files import write_json
from tokenexit.reporting import write_report
from tokenexit.reporting.files import read_json
from tokenexit.reporting.seeds import SEEDS, seeds_text, summary
from tokenexit.training import make_accelerator
from tokenexit.workflows.folder import begin, run_folder
from tokenexit.workflows.logs import quiet

logger = logging.getLogger("tokenexit")


def run_seeds(config: Any, run: Callable[[Any], Path]) -> Path:
    """Train, calibrate, evaluate and report with each of ``config.seeds``.

    Each run has a folder of its own, ``seed-N``, and can be resumed there; ``seeds.json`` is
    written anew after each. A run that fails is recorded and the others go on, but not where
    several processes train together, because those that did not fail would wait for ever.

    Args:
        config: Of a recipe.
        run: Does one run.

    Returns:
        The folder of all.

    Raises:
        UserError: The seeds are not different, or none of the runs came to an end.
    """
    seeds = list(config.seeds)
    if len(set(seeds)) < len(seeds):
        raise UserError(f"seeds must be different, not {seeds}.")
    folder = Path(config.output_dir)
    accelerator = make_accelerator(replace(config.train, trackers=[]), folder)
    quiet(accelerator)
    main, alone = accelerator.is_main_process, accelerator.num_processes == 1
    with run_folder(config, main):
        begin(config, accelerator)
        record: dict[str, Any] = {"seeds": {}, "summary": {}}
        last: Exception | None = None
        for number, seed in enumerate(seeds, start=1):
            place = folder / f"seed-{seed}"
            if main:
                logger.info("seed %d (%d of %d)", seed, number, len(seeds))
            try:
                run(replace(config, seed=seed, seeds=[], output_dir=str(place)))
                metrics = read_json(place / "metrics.json") or {}
                found = {"folder": place.name, "splits": metrics.get("splits") or {}}
            except Exception as error:
                if not alone:
                    raise
                last = error
                found = {"folder": place.name, "error": str(error) or type(error).__name__}
                logger.warning("Seed %d failed: %s", seed, found["error"])
            record["seeds"][str(seed)] = found
            record["summary"] = summary(record)
            if main:
                write_json(folder / SEEDS, record)
        if last is not None and not record["summary"]:
            raise last
        if main:
            logger.info("%s", seeds_text(record))
            logger.info("report: %s", write_report(folder))
    accelerator.wait_for_everyone()
    return folder
