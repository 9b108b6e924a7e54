"""What all networks with exits share: a folder, and what they compute with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tokenexit import kernels
from tokenexit.backbones import Inference
from tokenexit.backbones.freeing import gone
from tokenexit.backbones.precise import check_numbers
from tokenexit.errors import UserError
from tokenexit.models import folders
from tokenexit.models.products import products_of, runtime_used
from tokenexit.models.saved_model import SavedModel, Use
from tokenexit.models.settings import ExitSettings
from tokenexit.precision import check_precision, check_runtime, precision_of


class ExitModel(SavedModel):
    """An ordinary transformers model, with exits.

    Args:
        network: The transformers model.
        tokenizer: Its tokenizer, or None.
        settings: Everything else that is saved with the model.
    """

    loader: ClassVar[str]
    """Name of the class that loads such folders."""

    auto_class: ClassVar[Any]
    """transformers' class that builds the network."""

    layout = folders

    dry_run_settings: ClassVar[Mapping[str, Any]] = {}
    """Of ``predict``, when a folder is tried that does not say whether it was changed."""

    def __init__(self, network: PreTrainedModel, tokenizer: Any, settings: ExitSettings) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer
        self.settings = settings
        self._inference: Inference[Any] = self._new_inference()
        self._runtime = "auto"

    @abstractmethod
    def _new_inference(self) -> Inference[Any]:
        """What gives the network in pieces for inference."""

    # --- precision -------------------------------------------------------------------------

    def use(
        self, precision: str | None = None, runtime: str | None = None, *, free: bool = False
    ) -> Self:
        """Say what inference computes with, from now on; training and saving stay as they are.

        The network's own float32 weights stay the truth: what is done to them is seen by the next
        call. Only a change of a few numbers through ``weight.data`` may be seen late; call ``use``
        again after that.

        Args:
            precision: ``int8`` or ``bf16`` on a CPU, ``bf16`` or ``fp16`` on a GPU, ``fp32``;
                None leaves it as it is. On a CPU ``bf16`` saves time with few rows alone, such
                as one text at a time; with many it saves memory.
            runtime: ``eager`` plans the work on the host, with exact shapes. ``static`` plans it
                on the device, with shapes that come up again, which a GPU captures: for policies
                of one score and a threshold. ``auto`` is ``eager``
                until ``static`` has been timed on a GPU. Remembered by this object alone, and not
                saved; None leaves it as it is.
            free: Let go of the float32 weights that have a copy, to save memory. The model can
                then neither be trained nor saved, nor used in another precision.

        Returns:
            This model.

        Raises:
            UserError: There is no such precision or runtime; it is not served where the model is,
                or not with such weights, or not for such a model; or the float32 weights are gone.
        """
        if precision is not None:
            check_precision(precision)
        chosen = self._runtime if runtime is None else check_runtime(runtime)
        inference = self._inference
        if precision is not None:
            check_numbers(self)
            inference = inference.using(self.network, precision)
        if chosen == "static":
            self._check_static(inference)
        self._inference = inference
        if precision in kernels.KINDS and self.device.type == "cpu":
            kernels.warn_where_missing()
        if free:
            self._inference.free(self.network)
        self._runtime = chosen
        return self

    @abstractmethod
    def _check_static(self, inference: Inference[Any]) -> None:
        """Refuse what cannot be planned on the device.

        Args:
            inference: What would compute.

        Raises:
            UserError: Says why.
        """

    @property
    def precision(self) -> str:
        """What inference computes with: as ``use`` was told, else as the weights are."""
        return self._inference.precision or precision_of(self.dtype)

    @property
    def precision_chosen(self) -> bool:
        """Whether ``use`` was told a precision."""
        return self._inference.precision is not None

    @property
    def products(self) -> str:
        """By what it is multiplied: kernels, with their instruction set, or torch."""
        return products_of(self)

    @property
    def runtime(self) -> str:
        """Who plans inference: ``auto``, ``eager`` or ``static``."""
        return self._runtime

    @property
    def runtime_used(self) -> str:
        """Who plans it now: ``static``, ``kernels`` for whole layers on a CPU, or ``eager``."""
        return runtime_used(self)

    def check_trainable(self) -> None:
        """Refuse to train what computes in another precision than it learns in.

        Raises:
            UserError: Says what to do.
        """
        if self._inference.precision not in (None, "fp32"):
            raise UserError(
                f"The model is used in {self.precision}, which is for inference: call "
                'model.use(precision="fp32") to train it, and set the precision again afterwards.'
            )

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        # Of nn.Module: what ``to``, ``float`` and their kin do to each weight.
        if self._inference.freed:
            raise gone("moved or cast")
        return super()._apply(fn, recurse)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Numbers the model computes with."""
        return next(self.parameters()).dtype

    @property
    def config(self) -> Any:
        """The network's configuration, as transformers' pipelines ask for it."""
        return self.network.config

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """The word embeddings, which most generators score their vocabulary with as well."""
        yield from self.network.get_input_embeddings().parameters()  # type: ignore[union-attr]

    def scorer_parameters(self) -> Iterator[nn.Parameter]:
        """Those of scorers, which generators have not."""
        yield from ()

    @abstractmethod
    def parts(self) -> dict[str, list[nn.Module]]:
        """What a phase of training may freeze, by name.

        A module that stands in several parts belongs to the last.
        """

    @abstractmethod
    def exit_weights(self) -> dict[str, Tensor]:
        """Weights that are saved beside the network's."""

    def write_further(self, folder: Path) -> None:
        """Write what else goes with the weights into a folder; by default nothing."""

    @classmethod
    def _load(cls, folder: str | Path, use: Use, hub: dict[str, Any]) -> Self:
        loaded = folders.load_kind(folder, cls.loader, cls.auto_class, use.precision, **hub)
        with loaded.building():
            model = cls._built(loaded).eval()
        loaded.dry_run(partial(model.predict, **cls.dry_run_settings))
        return model.use(use.precision, use.runtime, free=use.free)

    @classmethod
    @abstractmethod
    def _built(cls, loaded: folders.Loaded) -> Self:
        """The model that a folder holds.

        Args:
            loaded: Its contents.
        """
