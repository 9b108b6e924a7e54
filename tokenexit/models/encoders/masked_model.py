"""An encoder with a head for masked tokens at every exit: what is pre-trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from tokenexit.backbones import Backbone, adapt
from tokenexit.errors import UserError
from tokenexit.files import replacing, writing
from tokenexit.heads import ExitHeads, check_exit_layers
from tokenexit.heads.masked_lm import MaskedLMHead
from tokenexit.models.encoders.vocabulary import check_vocabulary, embeddings
from tokenexit.models.folders.names import MASKED_HEADS

HEADS = {"name": "masked_lm"}


@dataclass(frozen=True)
class MaskedSettings:
    """What training asks of a model's settings.

    Attributes:
        exit_layers: Depths with a head, the top included.
        heads: Their kind.
    """

    exit_layers: tuple[int, ...]
    heads: dict[str, Any]


class MaskedModel(nn.Module):
    """Guesses masked tokens at each exit, with heads that share nothing.

    Args:
        network: A transformers encoder without a head.
        tokenizer: Its fast tokenizer.
        exit_layers: Layers with an exit; all when None. The top always has one.

    Raises:
        UserError: The family is not supported, there is no such layer, or the tokenizer does not
            fit.
    """

    labels: tuple[str, ...] = ()
    scale = None
    reducer = None

    def __init__(
        self, network: PreTrainedModel, tokenizer: Any, exit_layers: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        check_vocabulary(tokenizer, embeddings(network))
        self.network, self.tokenizer = network, tokenizer
        self.backbone: Backbone = adapt(network)
        exits = check_exit_layers(exit_layers, self.backbone.num_layers)
        self.settings = MaskedSettings(exits, HEADS)
        self.heads = ExitHeads(HEADS, exits, self.backbone.hidden_size, len(tokenizer))
        known: Any = network.get_input_embeddings()
        for head in self.heads.exits.values():
            assert isinstance(head, MaskedLMHead)
            head.start_from_words(known.weight[: len(tokenizer)])

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def used_backbone(self) -> Backbone:
        """All of it: there are no widths here."""
        return self.backbone

    def check_trainable(self) -> None:
        """It always is; models that serve may not be."""

    def parts(self) -> dict[str, list[nn.Module]]:
        """What a training may freeze, by name; see ``ExitModel``."""
        embeddings: Any = self.network.get_input_embeddings()
        return {"network": [self.network], "embeddings": [embeddings], "heads": [self.heads]}

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the heads."""
        yield from self.heads.parameters()

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """The word embeddings."""
        known: Any = self.network.get_input_embeddings()
        yield from known.parameters()

    def save_pretrained(self, folder: Path) -> None:
        """Write an ordinary encoder, its tokenizer, and the heads beside it.

        Raises:
            UserError: It cannot be written.
        """
        with writing(folder):
            self.network.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        with replacing(folder / MASKED_HEADS) as partial:
            weights = {name: w.detach().contiguous() for name, w in self.heads.state_dict().items()}
            save_file(weights, str(partial))


def load_masked(network: PreTrainedModel, tokenizer: Any, folder: str | Path) -> MaskedModel:
    """A pre-trained encoder with its heads, for more training or for what they say of tokens.

    Args:
        network: The encoder of the folder.
        tokenizer: Its tokenizer.
        folder: That a pre-training wrote.

    Raises:
        UserError: There are no heads in it, or they are another network's.
    """
    path = Path(folder) / MASKED_HEADS
    if not path.is_file():
        raise UserError(
            f"{folder} has no {MASKED_HEADS}: heads for masked tokens are written by "
            "`tokenexit pretrain`."
        )
    try:
        weights = load_file(path)
        layers = sorted({int(name.split(".")[1]) for name in weights})
        model = MaskedModel(network, tokenizer, layers)
        model.heads.load_state_dict(weights)
    except (OSError, RuntimeError, ValueError, IndexError, SafetensorError) as error:
        raise UserError(f"{path} does not fit the network beside it: {error}") from error
    return model
