"""Runs of a comparison in processes side by side: small trainings leave most of a GPU idle.

Of runs that learn the same, the first goes alone and the others, which take its training, follow
once it is there.
"""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tokenexit.workflows.method_runs import MethodRun

Work = Callable[[MethodRun], dict[str, Any]]
"""Trains and measures one run; what goes wrong is its result."""


def side_by_side(
    waiting: Sequence[MethodRun],
    jobs: int,
    work: Work,
    begin: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Iterator[tuple[MethodRun, dict[str, Any]]]:
    """Yield each run with its result, as they end.

    Args:
        waiting: Runs to do.
        jobs: Processes.
        work: Does one; a function of a module, as is ``begin``.
        begin: Prepares a process, once, given ``arguments``.
        arguments: Values that processes can be sent.
    """
    later = _by_training(waiting)
    with ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=begin, initargs=arguments
    ) as pool:
        going: dict[Future[dict[str, Any]], MethodRun] = {}

        def start(run: MethodRun) -> None:
            going[pool.submit(work, run)] = run

        for group in later.values():
            start(group.pop(0))
        while going:
            done, _ = wait(going, return_when=FIRST_COMPLETED)
            for future in done:
                run = going.pop(future)
                try:
                    yield run, future.result()
                except BrokenProcessPool as error:
                    raise _died() from error
                for other in later.pop(run.training, ()):
                    start(other)


def _by_training(runs: Sequence[MethodRun]) -> dict[str, list[MethodRun]]:
    groups: defaultdict[str, list[MethodRun]] = defaultdict(list)
    for run in runs:
        groups[run.training].append(run)
    return dict(groups)


def _died() -> RuntimeError:
    return RuntimeError(
        "A process of the comparison died, as it does when memory runs out. What is finished is "
        "kept: start the same command again, with fewer jobs."
    )
