"""The encoder of an encoder-decoder, cut into pieces like any encoder whose rows may leave."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from tokenexit.backbones import Backbone
from tokenexit.backbones.adapter import of_config
from tokenexit.backbones.base import check_sound
from tokenexit.embeddings.plain import Plain
from tokenexit.errors import UserError


class SourceEncoder(Backbone):
    """One family of encoders below decoders; made by ``Decoder.source_encoder``.

    It has no classes: policies that read logits have no meaning here.

    Args:
        model: The whole encoder-decoder, left unmodified.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        check_sound(self)

    @property
    def base(self) -> Any:
        """The encoder."""
        return self.model.get_encoder()

    hidden_size = of_config("d_model")
    """Width of the states, ``H``."""

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Refused: an encoder comes with its decoder."""
        raise UserError("Ask the decoder of the family for its example.")

    def classify(self, rows: Tensor) -> Tensor:
        """Refused."""
        raise UserError(
            "The encoder of a text generator has no classes, so a policy on its tokens can read "
            "no logits: use hash, token_frequency, assigned_depth or saturation."
        )

    def classify_cost(self) -> int:
        """Nothing: there is no head."""
        return 0

    def final_head(self) -> nn.Module:
        """An empty module: there is no head."""
        return nn.Module()


class NoHeads:
    """In the place of exit heads, where rows leave and are not classified.

    Args:
        encoder: Whose rows leave.
    """

    gate = None
    reads_past = False
    context = None
    scorers = None
    pool = "first"

    def __init__(self, encoder: SourceEncoder) -> None:
        self.embeddings = Plain()
        self.layers = tuple(range(1, encoder.num_layers))
        self._encoder = encoder

    def at(self, layer: int) -> Any:
        """What refuses to classify."""
        return self._encoder.classify
