"""The training loop, on Accelerate: one process, several, or GPUs.

The number of steps, evaluations and checkpoints depends on the configuration alone, never on
what a process computes, so all processes meet in every collective call.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from tqdm.auto import tqdm

from tokenexit.errors import UserError
from tokenexit.files import replacing
from tokenexit.training.accelerator import start_trackers
from tokenexit.training.batches import Example, TrainingStep, labelled_words, steps, steps_per_epoch
from tokenexit.training.beginning import check_begun, newest
from tokenexit.training.bilevel import upper_parameters
from tokenexit.training.checkpoint import (
    BEST,
    TrainerState,
    clear_checkpoints,
    load_checkpoint,
    reading,
    save_checkpoint,
)
from tokenexit.training.config import TrainConfig
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.finite import Finite
from tokenexit.training.freezing import frozen_parts, set_modes
from tokenexit.training.loss_module import LossModule
from tokenexit.training.optimizer import build_optimizer, build_schedule
from tokenexit.training.patience import Evaluate, judge, ran_out
from tokenexit.training.phases import Phase, check_phases, deal, phases_of
from tokenexit.training.run import Begun, MakeModule, Run, begin
from tokenexit.training.step import Sums, one_step
from tokenexit.training.tracking import TrainLog

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)


def train(
    model: Any,
    sentences: Sequence[Example],
    config: TrainConfig,
    *,
    accelerator: Accelerator,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    evaluate: Evaluate | None = None,
    chosen_on: int = 0,
    loss_module: MakeModule = EncoderLossModule,
    bucket: bool = False,
) -> TrainerState:
    """Train a model in place, phase after phase; it ends with the weights of its best evaluation.

    With ``config.patience`` a phase stops after so many evaluations without a better one,
    on every process at the same step, and stays stopped when resumed.

    Args:
        model: A tagger or a generator.
        sentences: Labelled training examples.
        config: Settings.
        accelerator: From ``make_accelerator``.
        folder: Run folder: ``train_log.jsonl`` and ``checkpoints`` go there.
        seed: Of data order, dropout and draws.
        resume: Go on from the newest checkpoint, if there is one; without it, checkpoints of
            an earlier training in ``folder`` are removed.
        evaluate: Called after each epoch; without it the last weights are kept.
        chosen_on: Texts that ``evaluate`` is dealt from, for the record.
        loss_module: Wraps model and objective as one module whose ``forward`` gives a loss.
        bucket: Make up steps of examples of like length, unless ``config.bucket`` says otherwise.

    Returns:
        Where the training ended: the state of its last phase.

    Raises:
        UserError: Nothing to train on, a model that is used in another precision, a part to freeze
            that it has not, patience where it cannot be had, a checkpoint that is damaged or of
            another number of processes, or one that cannot be written.
    """
    phases = check_training(config, evaluated=evaluate is not None)
    model.check_trainable()
    check_phases(model, config)
    for phase in phases:  # what a later one could not train is refused now
        loss_module(model, phase.objective, phase.config.gradient_equilibrium)
    if any(weight.is_inference() for weight in model.parameters()):
        raise UserError(
            "The network was built inside torch.inference_mode(), and what is built there can "
            "never be trained: build or load it outside."
        )
    if not any(labelled_words(s) for s in sentences):
        raise UserError("There is no labelled word to train on; check the training split.")
    run = Run(
        model, sentences, deal(sentences, config.splits, seed), accelerator, folder, seed,
        evaluate, chosen_on, loss_module, bucket,
    )  # fmt: skip
    start_trackers(config, accelerator)
    model.to(accelerator.device)
    if not resume:
        clear_checkpoints(accelerator, run.checkpoints)
    first = newest(run.checkpoints) or 0
    check_begun(first, len(phases), run.checkpoints)
    state = TrainerState(processes=accelerator.num_processes)
    for phase in phases[first:]:
        with frozen_parts(model, phase.config.freeze):
            state = _train_phase(run, phase, begin(run, phase, state))
    return state


def _train_phase(run: Run, phase: Phase, begun: Begun) -> TrainerState:
    model, accelerator, config = run.model, run.accelerator, phase.config
    module, best = begun.module, run.checkpoints / BEST
    per_epoch = steps_per_epoch(len(begun.texts), config.batch_size)
    total, seed = config.max_steps or per_epoch * config.epochs, phase.seed(run.seed)
    judging = phase.judge(run.evaluate, model)
    chooses = judging is not None and (config.keep_best or config.patience is not None)
    looks = begun.state.looks * (math.ceil(total / per_epoch) if chooses else 1)

    accelerator.free_memory()  # of an earlier training with the same accelerator
    adam = build_optimizer(model, config, upper_parameters(module))
    wrapped, optimizer = accelerator.prepare(module, adam)
    torch.manual_seed(seed + accelerator.process_index)
    state = load_checkpoint(accelerator, run.checkpoints, begun.state)
    state.stopped = ran_out(state, config.patience)
    known = state.chosen_on or not state.step  # else a checkpoint of before that was counted
    state.chosen_on, state.looks = max(state.chosen_on, run.chosen_on) if known else 0, looks
    schedule = build_schedule(adam, total, config.warmup, state.step)
    log = TrainLog(run.folder / "train_log.jsonl", accelerator, state.all_steps)
    plan = steps(
        begun.texts,
        batch_size=config.batch_size,
        accumulation=config.accumulation,
        seed=seed,
        start=state.step,
        stop=state.step if state.stopped else total,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        bucket=run.bucket if config.bucket is None else config.bucket,
    )
    shown = tqdm(
        plan,
        total=total,
        initial=state.step,
        desc="training" if phase.name == "train" else f"training, phase {phase.number + 1}",
        disable=not accelerator.is_local_main_process,
    )
    clock, finite = time.perf_counter(), Finite(state.step)
    for step in shown:
        set_modes(model, config.freeze)
        rate = float(schedule.get_last_lr()[0])
        sums = one_step(step, wrapped, optimizer, accelerator, config, total, seed, rate)
        finite.add(sums)
        schedule.step()
        state.step = step.number + 1
        done = state.step == total
        if state.step % config.log_every == 0 or done:
            finite.ask(state.step)
            entry = _entry(sums, model, accelerator, step)
            entry["lr"] = rate
            entry["seconds"] = round(time.perf_counter() - clock, 1)
            log.write(state.all_steps, entry | phase.label())
            shown.set_postfix(loss=f"{entry['loss']:.4f}")
        if judging is not None and (done or state.step % per_epoch == 0):
            result = judging(model)
            named = {f"validation_{k}": v for k, v in result.items()}
            log.write(state.all_steps, named | phase.label())
            if judge(state, float(result["quality"]), config.patience):
                if config.keep_best and accelerator.is_main_process:
                    _save_weights(model, best)
            elif state.stopped and not done:
                told = {"stopped": f"no better one in {state.waited} evaluations"}
                log.write(state.all_steps, told | phase.label())
        if state.step % (config.checkpoint_every or per_epoch) == 0 or done or state.stopped:
            save_checkpoint(accelerator, run.checkpoints, state)
        if state.stopped:
            break
    accelerator.wait_for_everyone()
    if judging is not None and config.keep_best and state.best_step:
        with reading(best):
            load_model(model, best)
    if isinstance(module, LossModule):
        module.finish()
    model.eval()
    return state


def check_training(config: TrainConfig, *, evaluated: bool) -> list[Phase]:
    """What a training would refuse before its first step, without a model.

    Args:
        config: Settings.
        evaluated: Whether there will be evaluations.

    Returns:
        Its phases.

    Raises:
        UserError: As ``phases_of``.
    """
    return phases_of(config, evaluated=evaluated)


def _entry(
    sums: Sums,
    model: Any,
    accelerator: Accelerator,
    step: TrainingStep,
) -> dict[str, Any]:
    """Mean cross-entropy of each exit, and the share of labelled words that reached it.

    Where a step has further passes over its texts, their mean losses: as many passes more.
    """
    exits = model.settings.exit_layers
    passes = [key for key in sums if isinstance(key, str)]
    table = torch.zeros(len(exits) + len(passes), 2, device=accelerator.device, dtype=torch.float64)
    for row, key in enumerate([*exits, *passes]):
        if key in sums:
            table[row, 0], table[row, 1] = sums[key]
    table = torch.as_tensor(accelerator.reduce(table, reduction="sum")).cpu()  # the one fetch
    table, further = table[: len(exits)], table[len(exits) :, 0] / max(step.words, 1)
    seen = table[:, 1].clamp_min(1)
    asked = (table[:, 1] > 0).sum().clamp_min(1)  # nobody, where a step has no label at all
    return {
        "epoch": step.epoch,
        "loss": float((table[:, 0] / seen).sum() / asked),
        "loss_by_exit": [round(v, 5) for v in (table[:, 0] / seen).tolist()],
        "reached": [round(v, 4) for v in (table[:, 1] / max(step.words, 1)).tolist()],
        **({"loss_by_pass": [round(v, 5) for v in further.tolist()]} if passes else {}),
    }


def _save_weights(model: nn.Module, path: Path) -> None:
    with replacing(path) as partial:
        save_model(model, str(partial))  # knows weights that are tied
