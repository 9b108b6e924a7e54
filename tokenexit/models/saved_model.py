"""What all models have: settings with a default policy, a folder, a precision to compute in."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelHubMixin
from torch import nn

from tokenexit.models.predict_iter import Predicts
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Policy, from_config


@dataclass(frozen=True)
class Use:
    """What a model computes with from the start; see ``use``."""

    precision: str | None = None
    runtime: str | None = None
    free: bool = False


class SavedModel(Predicts, nn.Module, ModelHubMixin, library_name="tokenexit"):
    """A model that is saved in a folder of its own."""

    settings: ExitSettings

    layout: ClassVar[ModuleType]
    """What its folder is written by: ``settings_files`` and ``save``."""

    @abstractmethod
    def use(
        self, precision: str | None = None, runtime: str | None = None, *, free: bool = False
    ) -> Self:
        """Say what inference computes with, from now on; see the subclasses."""

    @property
    def policy(self) -> Policy:
        """The policy used when none is given."""
        return from_config(self.settings.policy)

    def configure(self, **settings: Any) -> None:
        """Change what is saved with the model: ``policy``, ``halted``, ``results``, ..."""
        for name in ("policy", "encoder_policy"):
            if isinstance(settings.get(name), Policy):
                settings[name] = settings[name].to_config()
        self.settings = replace(self.settings, **settings)

    def fit(self, train: Any, validation: Any = None, /, **settings: Any) -> Self:
        """Train this model in place, and choose its policy; see ``tokenexit.fit``.

        Args:
            train: Lists of dictionaries, a data frame, a data set, or splits.
            validation: The same, to choose weights and policy by.
            settings: Keys of the task's configuration, such as ``train={"epochs": 3}``.

        Raises:
            UserError: Anything wrong with the settings, the data or the model.
        """
        # Training stands above models, which know it by name alone and only when asked.
        return import_module("tokenexit.workflows.fit").fit(self, train, validation, **settings)

    def settings_files(self) -> dict[str, str]:
        """Files that say everything but weights, by name."""
        return self.layout.settings_files(self)

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, **kwargs: Any
    ) -> None:
        """Write the model folder: plain transformers checkpoints, and what is beside them.

        Args:
            save_directory: The folder; an older model there is replaced as a whole.
            kwargs: ``push_to_hub=True`` and ``repo_id`` upload it, with whatever else
                ``push_to_hub`` takes.
        """
        push = kwargs.pop("push_to_hub", False)
        repo = kwargs.pop("repo_id", None)
        folder = Path(save_directory)
        self.layout.save(self, folder)
        if push:
            self.push_to_hub(repo or folder.name, **kwargs)

    @classmethod
    @torch.inference_mode(False)
    def from_pretrained(  # type: ignore[override]
        cls,
        folder: str | Path,
        *,
        precision: str | None = None,
        runtime: str | None = None,
        free: bool = False,
        **hub: Any,
    ) -> Self:
        """Load a folder written by ``save_pretrained``, or one from the Hub.

        Args:
            folder: The folder, or a Hub id.
            precision: See ``use``.
            runtime: See ``use``.
            free: See ``use``.
            hub: ``revision``, ``token``, ``cache_dir``, ``dtype`` and the like.

        Raises:
            UserError: No such folder, no network, missing or damaged files, a format newer
                than this version reads, a model of another kind, or as ``use``.
        """
        return cls._load(folder, Use(precision, runtime, free), hub)

    @classmethod
    @abstractmethod
    def _load(cls, folder: str | Path, use: Use, hub: dict[str, Any]) -> Self:
        """Read the folder."""
