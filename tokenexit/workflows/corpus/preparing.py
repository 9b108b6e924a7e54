"""Everything before the first prediction: the files are looked through, the folder is begun."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from tokenexit.data.corpus import Corpus, FileIndex, Found, choose_columns, find_files, scan
from tokenexit.data.corpus.opening import stamp_of
from tokenexit.errors import UserError
from tokenexit.evaluation.processes import agree, from_main, gather, is_main, my_share
from tokenexit.extras import require_libraries
from tokenexit.files import clear_partials, write_json
from tokenexit.workflows.corpus.config import CorpusConfig
from tokenexit.workflows.corpus.manifest import check_same, manifest_of
from tokenexit.workflows.corpus.parts import is_whole
from tokenexit.workflows.corpus.plan import MANIFEST, PARTS, Plan, load_index
from tokenexit.workflows.corpus.schema import check_kept
from tokenexit.workflows.corpus.served import Served

logger = logging.getLogger(__name__)

_MARKS = 8  # of a file of lines, for each block


def prepare(config: CorpusConfig, served: Served) -> Plan:
    """Begin an output folder, or go on with it. For every process, with the folder ``taken``.

    Raises:
        UserError: The corpus cannot be read, lacks a column, or is not what the folder was begun
            with.
    """
    folder = config.folder
    corpus = look_through(config, folder)
    plan = agree(lambda: plan_for(config, corpus, served))
    agree(lambda: _begin(plan, config, served) if is_main() else None)
    return plan


def plan_for(config: CorpusConfig, corpus: Corpus, served: Served) -> Plan:
    """How a corpus is read for a model.

    Raises:
        UserError: It has no rows, or lacks a column.
    """
    if not corpus.rows:
        raise UserError(f"{config.data} has no rows.")
    told = {name: getattr(config, name) for name in ("column", "pair_column", "lang")}
    task, reads = served.task, served.task.reads
    for name, fits, whom in (
        ("pair_column", reads.pairs, "a text classifier"),
        ("lang", reads.translated, "a model that generates text"),
    ):
        if told[name] is not None and not fits:
            raise UserError(f"{name} is for {whom}, and the model is {task.made}.")
    columns = choose_columns(corpus, reads, told, served.reading, config.keep)
    folder = Path(config.output_dir).expanduser()
    plan = Plan(folder, corpus, columns, config.format, config.block_size)
    check_kept(plan, served)
    return plan


def look_through(config: CorpusConfig, folder: Path | None) -> Corpus:
    """What is known of the files; each process looks through some, once in the life of a folder.

    Raises:
        UserError: One cannot be read, or pyarrow is not installed.
    """
    require_libraries("pyarrow")  # answers have its types, written as JSON too
    found = from_main(lambda: _find(config))
    known = from_main(lambda: _known(folder, found))
    if known is not None:
        return Corpus(known[0], tuple(map(FileIndex.from_json, known[1])))
    every = max(1, config.block_size // _MARKS)
    mine = my_share(len(found.paths))
    scanned = agree(
        lambda: [(place, scan(found.paths[place], found.format, every)) for place in mine]
    )
    files = sorted(gather(scanned), key=lambda item: item[0])
    return Corpus(found.format, tuple(file for _, file in files))


def _find(config: CorpusConfig) -> Found:
    return find_files(config.data, config.split, config.data_name, config.revision)


def _known(folder: Path | None, found: Found) -> tuple[str, list[dict]] | None:
    """What a run before this one found, if the files are still the same."""
    known = None if folder is None else load_index(folder)
    if known is None or known.format != found.format:
        return None
    paths = tuple(file.path for file in known.files)
    if paths != found.paths or any(stamp_of(file.path) != file.stamp for file in known.files):
        return None
    return known.format, [file.to_json() for file in known.files]


def _there(plan: Plan) -> list[int]:
    names = {path.name for path in (plan.folder / PARTS).iterdir()}
    return [block for block in range(plan.blocks) if plan.part(block).name in names]


def _begin(plan: Plan, config: CorpusConfig, served: Served) -> None:
    told = json.loads(json.dumps(manifest_of(plan, config, served)))
    bound = any((plan.folder / PARTS).glob("part-*"))  # else there is nothing that could be mixed
    if bound:
        check_same(plan.folder, told)
    (plan.folder / PARTS).mkdir(exist_ok=True)
    clear_partials(plan.folder)
    clear_partials(plan.folder / PARTS)
    if load_index(plan.folder) != plan.corpus:
        plan.save_index()
    if not bound:
        write_json(plan.folder / MANIFEST, told)


def missing_blocks(plan: Plan) -> list[int]:
    """Blocks whose part is not there whole, in order. For every process, which share the looking.

    Parts that are damaged are said, and written anew.
    """
    there = from_main(lambda: _there(plan))
    mine = [there[place] for place in my_share(len(there))]
    damaged = gather([block for block in mine if not is_whole(plan.part(block), plan.rows(block))])
    for block in sorted(damaged) if is_main() else ():
        logger.warning("%s is not whole and is written anew.", plan.part(block))
    done = set(there) - set(damaged)
    return [block for block in range(plan.blocks) if block not in done]
