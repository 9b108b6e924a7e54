"""The transformers model of a folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from tokenexit.errors import UserError
from tokenexit.models.folders.plain import read_json

_READ = (
    "config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "model.safetensors.index.json",
)  # fmt: skip
_MOST_LAYERS = 4096
_SHOWN = 5


def load_network(source: str | Path, auto_class: Any, **options: Any) -> PreTrainedModel:
    """Load a transformers model to start from; a head it lacks is made anew.

    Raises:
        UserError: Unsupported family, damaged weights, no network.
    """
    _no_strange_code(options)
    try:
        return auto_class.from_pretrained(source, trust_remote_code=False, **options).eval()
    except Exception as error:  # of any kind, from whatever read a damaged file
        raise _not_loaded(source, error) from error


def load_finished(
    folder: Path, auto_class: Any, adapt: Callable[[PreTrainedModel], Any], **options: Any
) -> PreTrainedModel:
    """Load the network of a finished model, which has every weight it needs and no other.

    Weights come from safetensors alone.

    Args:
        folder: The model folder.
        auto_class: The transformers class that builds it.
        adapt: Refuses families that are not supported.
        options: Of ``from_pretrained``.

    Raises:
        UserError: Unsupported family; damaged files; weights that are missing, strange, of
            another shape or no numbers.
    """
    _no_strange_code(options)
    check_readable(folder)
    try:
        with quiet_transformers():
            network, told = auto_class.from_pretrained(
                folder,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # to be named with all others
                use_safetensors=True,
                trust_remote_code=False,
                **options,
            )
    except Exception as error:  # of any kind, from whatever read a damaged file
        raise _not_loaded(folder, error) from error
    faults = {
        "missing": told["missing_keys"],
        "of no use": told["unexpected_keys"],
        "of another shape": {key for key, *_ in told["mismatched_keys"]},
    }
    found = [f"{_listed(keys)} {what}" for what, keys in faults.items() if keys]
    if found:
        adapt(network)
        raise UserError(
            f"The weights in {folder} are incomplete or belong to another model: "
            f"{'; '.join(found)}. Copy the folder again, or train anew."
        )
    check_finite(network, folder)
    return network.eval()


def check_finite(module: nn.Module, origin: Path) -> None:
    """Refuse weights that are no numbers.

    Args:
        module: Has the weights.
        origin: Where they came from, for messages.

    Raises:
        UserError: Names them.
    """
    weights = [*module.named_parameters(), *module.named_buffers()]
    broken = [name for name, weight in weights if not _finite(weight)]
    if broken:
        raise UserError(
            f"{origin}: {_listed(broken)} not a number or infinite in places, as after training "
            "that went astray. Train anew, with a smaller train.lr, or copy the folder again."
        )


def check_readable(folder: Path) -> None:
    """Refuse damaged files that transformers would pass over, or be caught in.

    Raises:
        UserError: Names the file.
    """
    for name in _READ:
        path = folder / name
        if not path.exists() and not path.is_symlink():
            continue
        try:
            data = read_json(path)
        except UserError as error:
            raise UserError(f"The model {str(folder)!r} cannot be loaded: {error}") from error
        if name != "config.json":
            continue
        for key, value in data.items():
            if "layers" in key and isinstance(value, int) and value > _MOST_LAYERS:
                raise UserError(f"{path}: {key} is {value}. Copy the folder again.")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' tables and progress bars from the terminal."""
    level, bars = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".") + "."


def _finite(weight: Tensor) -> bool:
    if not weight.is_floating_point() or weight.is_meta:
        return True
    # The sum alone is quick, and tells nearly always.
    total = weight.detach().sum(dtype=torch.float32)
    return bool(total.isfinite()) or bool(weight.isfinite().all())


def _listed(keys: Collection[str]) -> str:
    shown = sorted(keys)[:_SHOWN]
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{', '.join(shown)}{more} {'is' if len(keys) == 1 else 'are'}"


def _no_strange_code(options: dict[str, Any]) -> None:
    if options.pop("trust_remote_code", False):
        raise UserError(
            "tokenexit runs no code from model folders: leave trust_remote_code out. A new family "
            "is one file in tokenexit/backbones."
        )


def _not_loaded(source: str | Path, error: Exception) -> UserError:
    if "trust_remote_code" in str(error):
        return UserError(
            f"The model {str(source)!r} cannot be loaded: it wants to run Python code of its own, "
            "which tokenexit never does. Give a model of a family that transformers knows."
        )
    return UserError(
        f"The model {str(source)!r} cannot be loaded: {first_line(error)} Give a folder with "
        "a complete transformers checkpoint, or a Hub id with the network on."
    )
