"""What all models with exits share: settings, a folder, a default policy."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tokenexit.models import persistence
from tokenexit.models.predict_iter import Predicts
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Policy, from_config


class ExitModel(Predicts, nn.Module):
    """An ordinary transformers model, with exits.

    Args:
        network: The transformers model.
        tokenizer: Its tokenizer, or None.
        settings: Everything else that is saved with the model.
    """

    def __init__(self, network: PreTrainedModel, tokenizer: Any, settings: ExitSettings) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer
        self.settings = settings

    @property
    def policy(self) -> Policy:
        """The policy used when none is given."""
        return from_config(self.settings.policy)

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

    def configure(self, **settings: Any) -> None:
        """Change what is saved with the model: ``policy``, ``halted``, ``pending``, ..."""
        for name in ("policy", "encoder_policy"):
            if isinstance(settings.get(name), Policy):
                settings[name] = settings[name].to_config()
        self.settings = replace(self.settings, **settings)

    @abstractmethod
    def exit_weights(self) -> dict[str, Tensor]:
        """Weights that are saved beside the network's."""

    def settings_files(self) -> dict[str, str]:
        """Files that say everything but weights, by name."""
        return persistence.settings_files(self)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Write the model folder: a plain transformers checkpoint, and the exits beside it."""
        push = kwargs.pop("push_to_hub", False)
        repo = kwargs.pop("repo_id", None)
        persistence.save(self, Path(save_directory))
        if push:
            upload: Any = self  # a mixin of huggingface_hub
            upload.push_to_hub(repo or Path(save_directory).name, **kwargs)
