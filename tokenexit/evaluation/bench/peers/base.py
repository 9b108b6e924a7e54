"""What another engine has to say of itself."""

from __future__ import annotations

import importlib
import logging
import tempfile
import warnings
from abc import ABC
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import ClassVar

import torch

from tokenexit.evaluation.bench.contender import Contender, Missing, because
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM


class Refused(ValueError):
    """A checkpoint that an engine does not take, and why."""


class Peer(ABC):
    """An engine that runs the plain model of a checkpoint.

    Attributes:
        title: What it is called in tables.
        packages: Modules it needs, which are packages of the same names.
        precisions: What it can compute in.
    """

    title: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")

    def encoder(
        self, model: EncoderModel, windows: Sequence[TextWindow], precision: str, folder: Path
    ) -> Contender:
        """Make a contender of a tagger or classifier.

        Args:
            model: The model; only read.
            windows: What it will be asked, at least one.
            precision: One of ``precisions``.
            folder: An empty folder of its own, the same for all precisions, gone after the race.

        Raises:
            Refused: It does not take such a model. Its own errors are told as they are.
        """
        raise Refused("it is compared on text generators only")

    def generator(
        self, model: ExitModelForSeq2SeqLM, precision: str, folder: Path, most: int
    ) -> Contender:
        """Make a contender of a generator that writes at most ``most`` tokens a text; likewise."""
        raise Refused("it is compared on taggers and text classifiers only")


Build = Callable[[Peer, str, Path], Contender]


@contextmanager
def entrants(
    peers: Sequence[Peer], device: torch.device, build: Build
) -> Iterator[list[Contender | Missing]]:
    """Contenders of engines in all their precisions, whose files last as long as the context.

    Args:
        peers: The engines.
        device: Where the model computes.
        build: Makes a contender of an engine, a precision and a folder.
    """
    with tempfile.TemporaryDirectory(prefix="tokenexit-bench-") as root:
        found: list[Contender | Missing] = []
        for number, peer in enumerate(peers):
            folder = Path(root) / str(number)
            folder.mkdir()
            for precision in peer.precisions:
                reason = _hindrance(peer, device)
                found.append(
                    _built(peer, precision, folder, build)
                    if reason is None
                    else Missing(peer.title, precision, reason)
                )
        yield found


def _hindrance(peer: Peer, device: torch.device) -> str | None:
    """Why an engine cannot take part whatever the model is."""
    for package in peer.packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name == package:
                return f'{package} is not installed here: pip install "tokenexit[peers]"'
            return f"{package} cannot be imported: {because(error)}"
        except Exception as error:  # a foreign package may fail in any way
            return f"{package} cannot be imported: {because(error)}"
    if device.type != "cpu":
        return f"it is compared on a CPU, and the model is on {device}: give --device cpu"
    return None


def _built(peer: Peer, precision: str, folder: Path, build: Build) -> Contender | Missing:
    try:
        with _quiet():
            return build(peer, precision, folder)
    except Refused as error:
        return Missing(peer.title, precision, str(error))
    except Exception as error:  # a foreign engine may refuse in any way
        reason = f"it does not take the checkpoint: {because(error)}"
        return Missing(peer.title, precision, reason)


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters have much to say that is of no use to whoever wants to know the time."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
