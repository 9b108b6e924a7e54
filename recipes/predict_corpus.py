"""Predict a corpus on a Ray cluster: the blocks of `tokenexit predict` dealt out by Ray Data.

    pip install 'tokenexit[ray]'
    python recipes/predict_corpus.py model=runs/ner data=texts/ output_dir=tagged workers=2
    python recipes/predict_corpus.py model=runs/ner data=owner/name output_dir=tagged \
        workers=16 gpus=1 address=auto                       # one GPU each, on a running cluster

The rows that Ray moves are numbers of blocks: each worker loads the model once, reads its blocks
itself and writes their parts, so whoever is free takes the next block, and parts, order and
resumption are those of the command. `data` and `output_dir` must be places that every node sees,
and tokenexit must be installed there. `python recipes/predict_corpus.py --help` lists every key.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tokenexit.config import friendly_errors, load_config
from tokenexit.config.limits import about
from tokenexit.errors import UserError
from tokenexit.workflows.corpus import (
    CorpusConfig,
    look_at_model,
    missing_blocks,
    open_job,
    prepare,
    taken,
)
from tokenexit.workflows.same_run import whole_path


@dataclass(frozen=True)
class RayConfig(CorpusConfig):
    """As for the command, and what Ray is asked for."""

    workers: int = field(default=2, metadata=about("models at work at once", low=1))
    cpus: float = field(default=1.0, metadata=about("CPUs a worker", low=0))
    gpus: float = field(default=0.0, metadata=about("GPUs a worker; 0.5 puts two on one", low=0))
    address: str | None = field(
        default=None, metadata=about("of a cluster, auto for the one here; else Ray is started")
    )


class Worker:
    """A model on its node, for as many blocks as come.

    Args:
        settings: Of a ``CorpusConfig``.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.told = ""  # a mistake, which Ray would wrap beyond recognition
        try:
            self.job = open_job(CorpusConfig(**settings))
        except UserError as error:
            self.told = str(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Write the part of a block."""
        try:
            for block in batch["block"] if not self.told else ():
                self.job.write(int(block))
        except UserError as error:
            self.told = str(error)
        return {"block": batch["block"], "process": [os.getpid()], "mistake": [self.told]}


def settings_of(config: RayConfig) -> dict[str, Any]:
    """What a worker is told, with places that are the same on every node."""
    names = [one.name for one in fields(CorpusConfig)]
    settings = {name: value for name, value in asdict(config).items() if name in names}
    settings["model"] = whole_path(config.model)
    settings["output_dir"] = str(config.folder.resolve())
    # A worker computes with the CPUs that it was given, not with all of its node.
    settings["threads"] = config.threads or max(1, int(config.cpus))
    if config.device is None:
        settings["device"] = "cuda" if config.gpus else "cpu"  # Ray shows a worker its own alone
    return settings


def check_room(config: RayConfig, there: dict[str, float]) -> None:
    """Refuse more workers than fit, for which Ray would wait; a cluster may grow."""
    asked = {"CPU": config.cpus, "GPU": config.gpus}
    short = [name for name, each in asked.items() if each * config.workers > there.get(name, 0)]
    if short and config.address is None:
        found = ", ".join(f"{there.get(name, 0):g} {name}s" for name in asked)
        raise UserError(
            f"{config.workers} workers with {config.cpus:g} CPUs and {config.gpus:g} GPUs each do "
            f"not fit: Ray has {found} here. Give fewer, or the address of a cluster."
        )


def predict(config: RayConfig) -> list[dict[str, Any]]:
    """Predict what is missing, and say by whom each block was written."""
    if importlib.util.find_spec("ray") is None:
        raise UserError("Ray is not installed: pip install 'tokenexit[ray]'.")
    import ray

    served = look_at_model(config)
    with taken(config.folder):
        plan = prepare(config, served)
        missing = missing_blocks(plan)
        print(f"{plan.corpus.rows} rows in {plan.blocks} blocks; {len(missing)} to predict")
        if not missing:
            return []
        if not ray.is_initialized():
            ray.init(address=config.address)
        check_room(config, ray.cluster_resources())
        # Each block a Ray block of its own, already in memory: a task that reads would wait for a
        # CPU that the workers hold.
        blocks = ray.data.from_items(
            [{"block": block} for block in missing], override_num_blocks=len(missing)
        )
        # One at a time: else the worker that is ready first takes several, and others wait.
        size = min(config.workers, len(missing))
        pool = ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1)
        answers = blocks.map_batches(
            Worker,
            batch_size=1,
            compute=pool,
            fn_constructor_args=(settings_of(config),),
            num_cpus=config.cpus,
            num_gpus=config.gpus or None,
        )
        done = []
        for answer in answers.iter_rows():
            if answer["mistake"]:
                raise UserError(answer["mistake"])
            done.append(answer)
    print(f"parts: {plan.part(0).parent}")
    return done


def main(argv: Sequence[str]) -> None:
    """Predict as the arguments say."""
    with friendly_errors():
        predict(load_config(RayConfig, argv))


if __name__ == "__main__":
    main(sys.argv[1:])
