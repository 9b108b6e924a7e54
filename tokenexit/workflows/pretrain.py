"""Multi-exit pre-training: from running text to an encoder that recipes start from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModel

from tokenexit.config import load_config
from tokenexit.data.passages import read_passages
from tokenexit.demo.texts import make
from tokenexit.errors import UserError
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.extras import require_libraries
from tokenexit.files import write_json, write_text
from tokenexit.models.encoders.masked_model import MaskedModel
from tokenexit.models.encoders.passages import Masking, Passage, masking_of, read_windows
from tokenexit.models.folders import load_network, load_tokenizer
from tokenexit.models.folders.names import CARD
from tokenexit.models.fresh.encoder import fresh_encoder, train_tokenizer
from tokenexit.models.splitting.words import split_words
from tokenexit.registry import load_plugin
from tokenexit.training import make_accelerator, train
from tokenexit.training.masked_loss import MaskedLossModule, masked_quality
from tokenexit.workflows.folder import begin, run_folder
from tokenexit.workflows.logs import logger, quiet
from tokenexit.workflows.pretrain_config import PretrainConfig
from tokenexit.workflows.same_run import with_whole_paths

if TYPE_CHECKING:
    from accelerate import Accelerator

DEMO: Mapping[str, Any] = {
    "model": {
        "model_type": "bert", "hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 500,
        "num_attention_heads": 4, "intermediate_size": 128, "max_position_embeddings": 64,
    },
    "max_length": 32,
    "train": {"max_steps": 60, "lr": 2e-3, "head_lr": 2e-3},
}  # fmt: skip
"""What is set where neither data nor model is given."""

_FOR_TOKENIZER = 20_000


def pretrain(arguments: Sequence[str]) -> Path:
    """Pre-train on the command line's arguments; the run folder.

    Args:
        arguments: A YAML file if there is one, then ``key=value``.

    Raises:
        UserError: Anything wrong with the configuration, the data or the model.
    """
    from tokenexit.workflows.train import is_own

    defaults = {"output_dir": "runs/pretrain-demo", **({} if is_own(arguments) else DEMO)}
    return run_pretraining(load_config(PretrainConfig, arguments, defaults))


def run_pretraining(config: PretrainConfig) -> Path:
    """Pre-train, measure each exit, and write the encoder.

    Raises:
        UserError: Anything wrong with the configuration, the data or the model.
    """
    require_libraries("accelerate")
    if config.train.phases or config.train.teacher is not None or config.train.prepare:
        raise UserError(
            "Pre-training is one training: leave out train.phases, train.teacher and "
            "train.prepare, and pre-train again from the folder for another."
        )
    config = with_whole_paths(config)
    for plugin in config.plugins:
        load_plugin(plugin)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    accelerator = make_accelerator(config.train, Path(config.output_dir))
    quiet(accelerator)
    with run_folder(config, accelerator.is_main_process):
        return _run(config, accelerator)


def _run(config: PretrainConfig, accelerator: Accelerator) -> Path:
    from accelerate.utils import set_seed

    run, main = Path(config.output_dir), accelerator.is_main_process
    texts = split_texts(config)
    set_seed(config.seed)
    model = build(config, texts["train"])
    masking = masking_of(model.tokenizer, config.whole_words)
    length = min(config.max_length, model.backbone.max_length)
    windows = {
        name: list(read_windows(model.tokenizer, some, length, config.mask))
        for name, some in texts.items()
    }
    for name, found in windows.items():
        if not found:
            raise UserError(f"The {name} texts are too short: no window of a few tokens in them.")
    begin(config, accelerator)
    say = logger.info if main else logger.debug
    say("%d windows to learn, %d to measure on; exits at %s; %d process(es) on %s",
        len(windows["train"]), len(windows["validation"]), list(model.settings.exit_layers),
        accelerator.num_processes, accelerator.device)  # fmt: skip
    measure = partial(measured, windows["validation"], masking, config)
    model.to(accelerator.device)
    before = measure(model)
    state = train(
        model,
        windows["train"],
        config.train,
        accelerator=accelerator,
        folder=run,
        seed=config.seed,
        resume=config.resume,
        evaluate=measure,
        chosen_on=len(windows["validation"]),
        loss_module=partial(MaskedLossModule, masking=masking),
    )
    after = measure(model)
    if main:
        model.save_pretrained(run)
        report = {"steps": state.step, "best_step": state.best_step, "exits": exits_of(model)}
        report |= {"windows": {name: len(found) for name, found in windows.items()}}
        write_json(run / "metrics.json", {**report, "before": before, "after": after})
        write_text(run / CARD, card(config, model, before, after))
        say("loss of each exit: %s, before %s", after["loss_by_exit"], before["loss_by_exit"])
    accelerator.wait_for_everyone()
    if config.train.trackers:
        accelerator.end_training()
    return run


def split_texts(config: PretrainConfig) -> dict[str, list[str]]:
    """Training and validation texts; held out where there are none for validation.

    Raises:
        UserError: The data cannot be read, or there is one text alone.
    """
    if config.data is None:
        found = {"train": [row["sentence"] for row in make(seed=config.seed)["train"]]}
    else:
        found = read_passages(config.data, column=config.column, name=config.data_name)
    train, draw = found["train"], random.Random(config.seed)
    held = found.get("validation")
    if held is None:
        if len(train) < 2:
            raise UserError(f"{config.data} holds one text; some are needed to measure on.")
        train = draw.sample(train, len(train))
        count = min(config.validate_on, max(1, len(train) // 20))
        held, train = train[:count], train[count:]
    if config.train_on is not None:
        train = draw.sample(train, min(config.train_on, len(train)))
    held = draw.sample(held, min(config.validate_on, len(held)))
    return {"train": train, "validation": held}


def build(config: PretrainConfig, texts: Sequence[str]) -> MaskedModel:
    """The model that training starts from: a checkpoint, or a fresh one with its tokenizer.

    Raises:
        UserError: There is no such model, or the description makes none.
    """
    if isinstance(config.model, Mapping):
        description = dict(config.model)
        size, lowercase = description.pop("vocab_size", 4000), description.pop("lowercase", False)
        words = [split_words(text)[0] for text in texts[:_FOR_TOKENIZER]]
        tokenizer = train_tokenizer(words, size, lowercase)
        network: Any = fresh_encoder(description, tokenizer, 2).base_model
    else:
        tokenizer = load_tokenizer(config.model)
        network = load_network(config.model, AutoModel, dtype=torch.float32)
    return MaskedModel(network, tokenizer, config.exit_layers)


def measured(
    windows: Sequence[Passage], masking: Masking, config: PretrainConfig, model: MaskedModel
) -> dict[str, Any]:
    """Mean loss and accuracy of each exit, of all processes; less loss is more quality."""
    mine = [windows[row] for row in my_share(len(windows))]
    sums = masked_quality(model, mine, masking, config.seed, config.batch_size)
    total = torch.stack(gather([sums])).sum(dim=0)
    loss, right = (total[:, :2] / total[:, 2:].clamp_min(1)).T.tolist()
    return {
        "quality": -sum(loss) / len(loss),
        "loss_by_exit": [round(value, 5) for value in loss],
        "accuracy_by_exit": [round(value, 5) for value in right],
    }


def exits_of(model: MaskedModel) -> list[int]:
    """Layers with an exit."""
    return list(model.settings.exit_layers)


def card(
    config: PretrainConfig, model: MaskedModel, before: Mapping[str, Any], after: Mapping[str, Any]
) -> str:
    """The folder's README."""
    rows = zip(exits_of(model), before["loss_by_exit"], after["loss_by_exit"], strict=True)
    table = "".join(f"| {layer} | {old:.3f} | {new:.3f} |\n" for layer, old, new in rows)
    start = config.model if isinstance(config.model, str) else "a fresh network"
    return (
        "# An encoder pre-trained with exits\n\n"
        f"From {start}, on {config.data or 'generated text'}, by guessing "
        f"{config.mask:.0%} of the tokens at each exit ({config.train.objective['name']}), after "
        "ElasticBERT (Liu et al. 2022) without its sentence order prediction. An ordinary encoder: "
        "`AutoModel.from_pretrained`, or `model=` of the recipes of tokenexit.\n\n"
        f"| exit | loss before | loss after |\n|---|---|---|\n{table}"
    )
