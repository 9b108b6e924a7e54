"""Write a model folder."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from tokenexit.backbones import adapt
from tokenexit.backbones.freeing import freed, gone
from tokenexit.backbones.given import own_parts
from tokenexit.backbones.sliced import zeroed
from tokenexit.errors import UserError
from tokenexit.files import replacing, sync, to_json, write_text, writing
from tokenexit.models.folders.card import model_card
from tokenexit.models.folders.contents import FILES, contents_of
from tokenexit.models.folders.names import CARD, CONFIG, MARKERS, WEIGHTS
from tokenexit.models.folders.network import quiet_transformers
from tokenexit.models.folders.place import replace_model
from tokenexit.models.settings import ExitSettings
from tokenexit.widths import from_config


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

    def write_further(self, folder: Path) -> None:
        """Write what else goes with the weights."""
        ...


def save(model: Saveable, folder: Path) -> None:
    """Write a model folder; the transformers part loads with transformers alone.

    A kill leaves the old model, the new one, or a folder that is refused.

    Raises:
        UserError: It cannot be written; names the file and says what to do.
    """
    replace_model(folder, lambda fresh: write_model(model, fresh, folder))


def write_model(model: Saveable, fresh: Path, shown: Path) -> None:
    """Write all files of a model into an empty folder.

    Args:
        model: The model.
        fresh: The empty folder.
        shown: The folder that messages name.

    Raises:
        UserError: As ``save``.
    """
    if freed(model.network):
        raise gone("saved")
    parts = own_parts(model.network)
    if parts:
        raise UserError(
            f"A model folder holds what a configuration tells of, and {parts[0]} is of a class or "
            "form of its own, so that it would not come back: merge adapters (merge_and_unload), "
            "make pruning permanent (torch.nn.utils.prune.remove), and save before quantising."
        )
    with writing(shown / "model.safetensors"), quiet_transformers():
        _shell(model.network).save_pretrained(fresh, state_dict=_weights(model))
    if model.tokenizer is not None:
        with writing(shown / "tokenizer.json"):
            model.tokenizer.save_pretrained(fresh)
    with writing(shown / WEIGHTS):
        save_file(_apart(model.exit_weights()), fresh / WEIGHTS)
    with writing(shown):
        model.write_further(fresh)
    files = model.settings_files()
    files[CONFIG] = _with_contents(files[CONFIG], contents_of(fresh))
    for name, text in files.items():
        write_text(fresh / name, text)


def _apart(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in memory of their own: heads may share some, which the file holds for each."""
    held = Counter(weight.data_ptr() for weight in weights.values())
    return {
        name: weight.clone() if held[weight.data_ptr()] > 1 else weight.contiguous()
        for name, weight in weights.items()
    }


def _weights(model: Saveable) -> dict[str, Tensor] | None:
    """The network's weights if they are not saved as they are: what widths leave out is zero."""
    told = None if model.settings.widths is None else from_config(model.settings.widths)
    if told is None or told.selected is not None:
        return None
    return zeroed(adapt(model.network), told)


def _shell(network: PreTrainedModel) -> PreTrainedModel:
    """The same network under configurations of its own, into which transformers writes."""
    own = copy.copy(network)
    for name in ("config", "generation_config"):  # classifiers have no second
        if name in vars(network):
            setattr(own, name, copy.deepcopy(vars(network)[name]))
    return own


def settings_files(model: Saveable) -> dict[str, str]:
    """What is not weights: policy and calibration, and the card."""
    card = model_card(model.settings, type(model).__name__, model.network.config.model_type)
    return {CONFIG: to_json(model.settings.to_json(), indent=2) + "\n", CARD: card}


def save_settings(model: Described, folder: Path, beside: Mapping[str, str] | None = None) -> None:
    """Write what is not weights.

    A kill leaves the old settings or the new, and nothing beside them that speaks of the others.

    Args:
        model: The model.
        folder: Its folder.
        beside: Contents of further files that go with these settings, by name.

    Raises:
        UserError: One cannot be written; the old settings are still there.
    """
    files = model.settings_files()
    marker = next(name for name in MARKERS if name in files)
    files[marker] = _with_contents(files[marker], _saved_contents(folder / marker))
    others = {**{name: text for name, text in files.items() if name != marker}, **(beside or {})}
    with ExitStack() as renames:  # last opened, first renamed
        for name, text in [*others.items(), (marker, files[marker])]:
            partial = renames.enter_context(replacing(folder / name))
            partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        for name in others:
            (folder / name).unlink(missing_ok=True)
        sync(folder)


def _with_contents(text: str, contents: Mapping[str, Any]) -> str:
    if not contents:
        return text
    return to_json({**json.loads(text), FILES: dict(contents)}, indent=2) + "\n"


def _saved_contents(marker: Path) -> Mapping[str, Any]:
    """What was noted of the files when the weights were saved."""
    found = json.loads(marker.read_bytes()) if marker.is_file() else {}
    return found.get(FILES) or {}
