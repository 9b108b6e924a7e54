"""Find the setting that keeps the user's promise with the least compute.

What a model labels is simulated first, see ``by_table``; what it generates is run alone, see
``by_runs``. By the clock, times are foretold from what operations cost on this machine; policies
asked at fewer exits and fixed layers are tried as well, and the finalists are timed.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.calibration.by_runs import search_by_runs
from tokenexit.calibration.by_table import search_by_table
from tokenexit.calibration.clock.cost_model import CostModel
from tokenexit.calibration.clock.open import clock_of
from tokenexit.calibration.clock.stopwatch import Stopwatch, stopwatch
from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Calibration
from tokenexit.calibration.goal import check_family, check_promises
from tokenexit.calibration.guarantee import certify
from tokenexit.calibration.guaranteed import guaranteed
from tokenexit.calibration.kept import as_risk, kept, promises_kept, quality_beside
from tokenexit.calibration.open import workload_of
from tokenexit.calibration.promised import promised
from tokenexit.calibration.sampling import drawn, sample, warn_of_few
from tokenexit.calibration.trying import Search
from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy


def calibrate(
    model: Labeller | ExitModelForSeq2SeqLM,
    split: TaggedSplit | PairSplit,
    config: CalibrateConfig,
    *,
    name: str = "validation",
    families: Sequence[Policy] | None = None,
    batch_size: int = 32,
    on_unknown: str = "error",
    design: TaggedSplit | PairSplit | None = None,
    looks: int = 1,
    costs: CostModel | None = None,
    watch: Stopwatch = stopwatch,
) -> Calibration:
    """Choose a policy for a model, in the precision it is in. The model is not changed.

    Args:
        model: A tagger, text classifier, cascade or generator.
        split: Texts with right answers that the model was not trained on, a ``TaggedSplit`` or
            ``PairSplit``; ``risk`` alone needs no answers.
        config: The promise; quality is the model's metric.
        name: Name of the split.
        families: Policies whose thresholds are turned; a few that suit the model when None.
        batch_size: Texts a batch; by the clock, those that will run.
        on_unknown: ``error`` or ``keep`` labels outside the training set, as wrong.
        design: For promises about unseen texts: further ones, such as training texts, that fix
            which settings are tested, see ``guaranteed``.
        looks: Models that the texts of ``split`` chose among, such as epochs: see ``kept``.
        costs: By the clock: what operations cost, if it was measured before.
        watch: By the clock: measures.

    Raises:
        UserError: A family has no threshold, looks at gold labels or has no meaning for what the
            model does, or the split has no word or labels that the model does not know; a
            ``latency`` that is out of reach.
    """
    check_promises(config)
    work = workload_of(model, split, name, batch_size)
    policies = list(families or work.families(config.by_clock))
    for policy in policies:
        check_family(policy)
    work.check(config, policies, on_unknown)
    promising = promises_kept(work, config)
    asked = list(config.guarantees)
    count = len(split) + (0 if design is None or promising or asked else len(design))
    if not (promising or asked):
        split, design = drawn(split, design, config.limit)
    elif config.limit is not None:
        split = sample(split, config.limit)
    work = work.on(split)
    if not promising:
        warn_of_few(config, len(split))
    work.check_texts()
    clock = None
    if config.by_clock:
        clock = clock_of(model, work.inputs, policies, batch_size, known=costs, watch=watch)
    if promising:
        found = kept(work, policies, config, design=design, looks=looks)
        return promised(found, config, work, count)
    if asked:
        quality, target = quality_beside(work, config)
        told = {"settings": config.grid, "design": design, "target": target}
        found = as_risk(guaranteed(work, policies, [*asked, *quality], **told), config)
        return promised(found, config, work, count, clock)
    if config.promise is not None:
        found = certify(
            work,
            policies,
            config.promise,
            min_quality=config.min_quality,
            settings=config.grid,
            design=design,
        )
        return promised(found, config, work, count, clock)
    search = Search(work, config, clock)
    search.check_latency()
    simulated = (search_by_table if work.simulated else search_by_runs)(search, policies)
    return search.concluded(count, simulated)
