"""A model folder: a plain transformers checkpoint, and the exits beside it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel

from tokenexit.errors import UserError
from tokenexit.models.card import model_card
from tokenexit.models.needed_libraries import installed_by
from tokenexit.models.settings import ExitSettings

logger = logging.getLogger(__name__)

CONFIG, WEIGHTS = "exit_config.json", "exit_heads.safetensors"
CASCADE = "cascade.json"

# Families whose byte-level tokenizers must be told that words come already split.
_PREFIX_SPACE = ("roberta", "modernbert", "deberta")


class Described(Protocol):
    """A model that tells everything about itself but its weights."""

    def settings_files(self) -> dict[str, str]:
        """Contents of files, by name."""
        ...


class Saveable(Described, Protocol):
    """A model with exits, as a folder sees it."""

    network: PreTrainedModel
    tokenizer: Any
    settings: ExitSettings

    def exit_weights(self) -> dict[str, Tensor]:
        """Everything learned that is not in the network."""
        ...


@dataclass(frozen=True)
class Loaded:
    """Everything a model folder holds.

    Attributes:
        network: The transformers model.
        tokenizer: Its tokenizer; None if none was saved.
        settings: What is saved about the exits.
        weights: Everything learned that is not in the network.
        origin: Where the weights came from, for messages.
    """

    network: PreTrainedModel
    tokenizer: Any
    settings: ExitSettings
    weights: dict[str, Tensor]
    origin: Path

    def fill(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        """Load weights into a module, which goes where the network is.

        Raises:
            UserError: They do not fit.
        """
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            raise _damaged(self.origin, error) from error
        module.to(device=self.network.device, dtype=self.network.dtype).eval()


def save(model: Saveable, folder: Path) -> None:
    """Write a model folder; the transformers part loads with transformers alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CASCADE).unlink(missing_ok=True)  # of a cascade that was saved here before
    model.network.save_pretrained(folder)
    if model.tokenizer is not None:
        model.tokenizer.save_pretrained(folder)
    save_file({k: v.contiguous() for k, v in model.exit_weights().items()}, folder / WEIGHTS)
    save_settings(model, folder)


def settings_files(model: Saveable) -> dict[str, str]:
    """What is not weights: policy and calibration, and the card."""
    text = json.dumps(model.settings.to_json(), indent=2, ensure_ascii=False)
    card = model_card(model.settings, type(model).__name__, model.network.config.model_type)
    return {CONFIG: text + "\n", "README.md": card}


def save_settings(model: Described, folder: Path) -> None:
    """Write what is not weights. A kill leaves the old or the new."""
    for name, content in model.settings_files().items():
        partial = folder / f".{name}.partial"
        partial.write_text(content, encoding="utf-8")
        partial.replace(folder / name)


def load(source: str | Path, auto_class: Any, **options: Any) -> Loaded:
    """Read a model folder.

    Args:
        source: Folder or Hub id.
        auto_class: The transformers class that builds the network.
        options: ``dtype``, ``attn_implementation``; ``revision``, ``token``, ``cache_dir``.

    Raises:
        UserError: No such folder, no network, missing or damaged files, a newer format.
    """
    hub = {k: options.pop(k) for k in ("revision", "token", "cache_dir") if k in options}
    folder = resolve(source, **hub)
    settings = read_settings(folder)
    network = load_network(folder, auto_class, **options)
    bare = not any(folder.glob("tokenizer*")) and not settings.labels
    tokenizer = None if bare else load_tokenizer(folder, split_words=bool(settings.labels))
    return Loaded(network, tokenizer, settings, _read_weights(folder / WEIGHTS), folder / WEIGHTS)


def load_kind(source: str | Path, loads: str, auto_class: Any, **options: Any) -> Loaded:
    """As ``load``, for the class that asks.

    Args:
        source: Folder or Hub id.
        loads: Name of the class; another kind of model is refused before its weights are read.
        auto_class: As ``load``.
        options: As ``load``.

    Raises:
        UserError: As ``load``, or the folder holds a model of another kind.
    """
    hub = {k: options.pop(k) for k in ("revision", "token", "cache_dir") if k in options}
    folder = resolve(source, **hub)
    check_kind(folder, loads)
    return load(folder, auto_class, **options)


def read_settings(folder: Path) -> ExitSettings:
    """What a model folder says of its exits.

    Raises:
        UserError: It is no model folder, or of a newer format.
    """
    if is_cascade(folder):
        raise UserError(
            f"{str(folder)!r} holds a cascade of text classifiers: load it with "
            "CascadeForSequenceClassification.from_pretrained, or give the folder of one stage."
        )
    return ExitSettings.from_json(read_json(folder / CONFIG), str(folder / CONFIG))


def is_cascade(folder: Path) -> bool:
    """Whether a folder holds several models that are asked one after the other."""
    return (folder / CASCADE).is_file()


def kind_of(settings: ExitSettings) -> tuple[str, str]:
    """What a model folder holds, in words, and the class that loads it."""
    if not settings.labels:
        return "a model that generates text", "ExitModelForSeq2SeqLM"
    if settings.task in ("classification", "regression"):
        return "a text classifier", "ExitModelForSequenceClassification"
    return "a tagger", "ExitModelForTokenClassification"


def check_kind(folder: Path, loads: str) -> None:
    """Refuse a model folder of another kind.

    Args:
        folder: The folder.
        loads: Name of the class that was asked to load it.

    Raises:
        UserError: Says what it holds and which class loads that.
    """
    what, loader = kind_of(read_settings(folder))
    if loader != loads:
        raise UserError(f"{str(folder)!r} holds {what}: load it with {loader}.from_pretrained.")


def resolve(source: str | Path, **hub: Any) -> Path:
    """A local folder for a folder or a Hub id.

    Raises:
        UserError: There is no such folder, and the Hub cannot be reached or has no such model.
    """
    path = Path(source)
    if path.is_dir():
        return path
    if path.exists() or str(source).startswith((".", "/", "~")) or str(source).count("/") > 1:
        raise UserError(f"{str(source)!r} is not a folder. Give a model folder or a Hub id.")
    try:
        return Path(snapshot_download(str(source), **hub))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{str(source)!r} is not a folder here, and it could not be fetched from the Hub "
            f"({type(error).__name__}). Check the name and the network, or give a local folder."
        ) from error


def load_network(source: str | Path, auto_class: Any, **options: Any) -> PreTrainedModel:
    """Load a transformers model, with readable errors.

    Raises:
        UserError: Unsupported family, damaged weights, no network.
    """
    try:
        return auto_class.from_pretrained(source, **options).eval()
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise UserError(
            f"The model {str(source)!r} cannot be loaded: {_first_line(error)} Give a folder with "
            "a complete transformers checkpoint, or a Hub id with the network on."
        ) from error


def load_tokenizer(source: str | Path, *, split_words: bool = True) -> Any:
    """Load a tokenizer.

    Args:
        source: Folder or Hub id.
        split_words: Whether it has to take split words, which only fast ones do.

    Raises:
        UserError: There is none, or only a slow one where words are split, or it needs a library
            that is not installed.
    """
    try:
        kind = AutoConfig.from_pretrained(source).model_type
        extra = {"add_prefix_space": True} if kind in _PREFIX_SPACE else {}
        tokenizer = AutoTokenizer.from_pretrained(source, **extra)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"The tokenizer of {str(source)!r} cannot be loaded: "
            f"{installed_by(error) or _first_line(error)}"
        ) from error
    if split_words and not tokenizer.is_fast:
        raise UserError(f"The tokenizer of {str(source)!r} is not a fast one, which words need.")
    return tokenizer


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(
            f"{path} is missing, so the exits have no weights. The folder is incomplete; copy it "
            "again, or train anew."
        )
    try:
        return load_file(path)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} is damaged or belongs to another model: {_first_line(error)} Copy the folder "
        "again, or train anew."
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping.

    Raises:
        UserError: The file is missing or damaged.
    """
    if not path.is_file():
        raise UserError(
            f"{path.parent} has no {path.name}, so it is no tokenexit model. Train one with a "
            "recipe, or add exits to it with from_transformers."
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}. Copy the folder again.") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no settings by name. Copy the folder again.")
    return data


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".") + "."
