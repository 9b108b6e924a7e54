"""Read a model folder, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from tokenexit.backbones import adapt
from tokenexit.decoders import adapt_decoder
from tokenexit.errors import UserError
from tokenexit.heads import check_exit_layers
from tokenexit.models.folders.contents import changed_since, check_contents, without_weights
from tokenexit.models.folders.kinds import check_kind, read_all
from tokenexit.models.folders.names import CONFIG, WEIGHTS
from tokenexit.models.folders.network import check_finite, first_line, load_finished
from tokenexit.models.folders.source import resolve
from tokenexit.models.folders.tokenizer import check_tokenizer, load_tokenizer
from tokenexit.models.settings import ExitSettings
from tokenexit.precision import check_precision

_HUB = ("revision", "token", "cache_dir")


@dataclass(frozen=True)
class Loaded:
    """Everything a model folder holds.

    Attributes:
        network: The transformers model.
        tokenizer: Its tokenizer; None if none was saved.
        settings: What is saved about the exits.
        weights: Everything learned that is not in the network.
        origin: Where the weights came from, for messages.
        changed: Files that are not as they were saved; None where that is not known.
    """

    network: PreTrainedModel
    tokenizer: Any
    settings: ExitSettings
    weights: dict[str, Tensor]
    origin: Path
    changed: list[str] | None

    def exits(self, num_layers: int) -> tuple[int, ...]:
        """The exit layers.

        Args:
            num_layers: Depth of the network.

        Raises:
            UserError: They are not those of such a network.
        """
        found = check_exit_layers(self.settings.exit_layers, num_layers)
        if found != self.settings.exit_layers:
            raise UserError(
                f"{self.origin.with_name(CONFIG)}: exit_layers are "
                f"{list(self.settings.exit_layers)}, and should go up to the top, "
                f"{num_layers}. The file is damaged or belongs to another model."
            )
        return found

    @contextmanager
    def building(self) -> Iterator[None]:
        """Say of which folder the parts are that cannot be built.

        Raises:
            UserError: In the place of any other error.
        """
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # of any kind: the settings are whatever is in the folder
            raise UserError(
                f"The model in {self.origin.parent} cannot be built from its settings "
                f"({type(error).__name__}: {first_line(error)}) Copy the folder again."
            ) from error

    def dry_run(self, predict: Callable[[list[str]], Any]) -> None:
        """Last of all: refuse changed files, and where none are known let the model work once.

        Args:
            predict: Of the model.

        Raises:
            UserError: Files were changed, or it cannot.
        """
        if self.changed:
            raise changed_since(self.origin.parent, self.changed)
        if self.changed is not None or self.tokenizer is None:
            return
        try:
            predict(["a b"])
        except UserError:
            return  # of how it is used, and said when it is
        except Exception as error:  # of any kind: whatever a damaged file leads to
            raise UserError(
                f"The model in {self.origin.parent} is damaged: it cannot read a text "
                f"({type(error).__name__}: {first_line(error)}) Copy the folder again."
            ) from error

    def fill(self, module: nn.Module, weights: dict[str, Tensor], *, follow: bool = True) -> None:
        """Load weights into a module.

        Args:
            module: Is given them.
            weights: By name.
            follow: Whether it goes where the network is, and takes its precision.

        Raises:
            UserError: They do not fit, or are no numbers.
        """
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            raise _damaged(self.origin, error) from error
        check_finite(module, self.origin)
        if follow:
            module.to(device=self.network.device, dtype=self.network.dtype)
        module.eval()


def load(source: str | Path, auto_class: Any, **options: Any) -> Loaded:
    """Read a model folder.

    Args:
        source: Folder or Hub id.
        auto_class: The transformers class that builds the network.
        options: ``dtype``, ``attn_implementation``; ``revision``, ``token``, ``cache_dir``.

    Raises:
        UserError: No such folder, no network, missing or damaged files, a newer format.
    """
    folder = resolve(source, **{key: options.pop(key) for key in _HUB if key in options})
    settings, noted = read_all(folder)
    changed = check_contents(folder, noted)
    family: Any = adapt if settings.labels else adapt_decoder
    network = load_finished(folder, auto_class, family, **options)
    _check_labels(settings.labels, network, folder)
    tokenizer = None
    if settings.labels or any(folder.glob("tokenizer*")):
        tokenizer = load_tokenizer(folder, split_words=bool(settings.labels))
        check_tokenizer(tokenizer, folder)
    path = folder / WEIGHTS
    return Loaded(network, tokenizer, settings, _read_weights(path), path, changed)


def load_kind(
    source: str | Path, loads: str, auto_class: Any, precision: str | None = None, **options: Any
) -> Loaded:
    """As ``load``, for the class that asks.

    Args:
        source: Folder or Hub id.
        loads: Name of the class; another kind of model is refused before its weights are read.
        auto_class: As ``load``.
        precision: What inference will compute with, which is made from float32 weights.
        options: As ``load``.

    Raises:
        UserError: As ``load``, no such precision, or the folder holds a model of another kind.
    """
    if precision is not None:
        check_precision(precision)
        options.setdefault("dtype", "float32")
    folder = resolve(source, **{key: options.pop(key) for key in _HUB if key in options})
    check_kind(folder, loads)
    return load(folder, auto_class, **options)


def _check_labels(labels: Sequence[str], network: PreTrainedModel, folder: Path) -> None:
    """Compare the names of the classes with those the network was saved with."""
    if not labels:
        return
    config: Any = network.config
    named = [str(config.id2label.get(number)) for number in range(config.num_labels)]
    unnamed = all(name == f"LABEL_{number}" for number, name in enumerate(named))
    if len(named) != len(labels) or not (unnamed or named == list(labels)):
        raise UserError(
            f"{folder / CONFIG} names {len(labels)} classes ({_few(labels)}) and config.json "
            f"{len(named)} ({_few(named)}): they are of two models. Copy the folder again."
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise without_weights(path)
    try:
        return load_file(path)
    except (SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    told = " ".join(str(error).split())
    told = told if len(told) < 300 else told[:300] + " ..."
    return UserError(
        f"{path} is damaged or belongs to another model: {told.rstrip('.')}. Copy the folder "
        "again, or train anew."
    )
