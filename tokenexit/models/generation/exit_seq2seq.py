"""An encoder-decoder with exits, in the pieces that generation and training ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tokenexit import kernels
from tokenexit.backbones import Inference
from tokenexit.backbones.twin import evaluated
from tokenexit.context import ContextGate
from tokenexit.decoders import Decoder, adapt_decoder
from tokenexit.decoding import PENDING, Decoding, DecodingSettings, Exits, Sequences
from tokenexit.decoding.compiled import CompiledDecoder, CompiledDecoding, compile_decoder
from tokenexit.decoding.static import StaticDecoder, StaticDecoding, check_decoder
from tokenexit.decoding.uneven import UnevenDecoding
from tokenexit.errors import UserError, unknown_name
from tokenexit.gates import LinearGate
from tokenexit.heads import check_top
from tokenexit.heads.stack import DepthHead
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.context_gate import Judged, check_asked
from tokenexit.models.exit_model import ExitModel
from tokenexit.models.generation.gate_of_decoder import decoder_weights
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import PolicyLike


class ExitSeq2Seq(Judged, ExitModel):
    """The part of a generator that has to do with its network and its small heads.

    What generates stands above it, in ``ExitModelForSeq2SeqLM``, and takes one of these.
    """

    row_unit = "token"

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: Any,
        gate: LinearGate | None,
        depth: DepthHead | None,
        settings: ExitSettings,
        context: ContextGate | None = None,
    ) -> None:
        super().__init__(network, tokenizer, settings)
        self.gate = gate
        self.depth = depth
        self._context = context
        self.decoder = adapt_decoder(network)

    def _new_inference(self) -> Inference[Decoder]:
        return Inference(adapt_decoder)

    def _check_static(self, inference: Inference[Any]) -> None:
        check_decoder(inference.get(self.network), *self._side.children())

    def exit_weights(self) -> dict[str, Tensor]:
        """Weights of the gates and the depth head."""
        return self._side.state_dict()

    @property
    def _side(self) -> nn.ModuleDict:
        """What there is beside the network, by the names it is saved under."""
        found = {"gate": self.gate, "depth": self.depth, "context": self._context}
        return nn.ModuleDict({name: head for name, head in found.items() if head is not None})

    def exits(self, decoder: Decoder) -> Exits:
        """The exits, scored by a decoder of this model."""
        side = self._inference.beside
        layers = self.settings.exit_layers[:-1]
        return Exits(decoder, layers, side(self.gate), side(self.depth), side(self._context))

    def parts(self) -> dict[str, list[nn.Module]]:
        """See ``ExitModel``; the vocabulary's head is one with the network."""
        embeddings: Any = self.network.get_input_embeddings()
        side = {name: [head] for name, head in self._side.items() if name != "context"}
        return {"network": [self.network], "embeddings": [embeddings], **side}

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that start from nothing: those of gate and depth head."""
        yield from self._side.parameters()

    @property
    def inference_decoder(self) -> Decoder:
        """The decoder as of now, in evaluation mode and without gradients.

        Equal up to rounding, or in the precision that ``use`` was told; in whatever mode the model
        is, which is left in it. Ask once a call.
        """
        return self.for_inference()

    def for_inference(self, rows: int = 0) -> Decoder:
        """The same, told how many tokens will be computed with it: a large call looks closer."""
        autocast = torch.is_autocast_enabled(self.device.type)
        if autocast and self._inference.precision is None:  # which the lean twin does not heed
            found = adapt_decoder(evaluated(self.network))
        else:
            found = self._inference.get(self.network, rows)
        check_top(self.settings.exit_layers[-1], found.num_layers)
        return found

    @property
    def start_token(self) -> int:
        """What the decoder reads first, when generating and in training.

        Raises:
            UserError: The model names none.
        """
        own: Any = self.network.generation_config
        for found in (own.decoder_start_token_id, own.bos_token_id):
            if found is not None:
                return int(found[0] if isinstance(found, list | tuple) else found)
        raise UserError(
            "The model does not say which token its decoder begins with: set "
            "decoder_start_token_id in the network's generation_config; T5's is the padding token."
        )

    def compiled(self, decoder: Decoder) -> CompiledDecoder | None:
        """The decoder laid out for kernels, as long as nothing is done to the model.

        Args:
            decoder: From ``for_inference``.

        Returns:
            None where no precision was asked for, where there are no kernels, or where they do
            not know what the decoder is made of: torch's operators compute the same.
        """
        precision = self._inference.precision
        if precision not in kernels.KINDS or decoder.model.device.type != "cpu":
            return None
        return self._inference.keep(decoder, "kernels", lambda: compile_decoder(decoder, precision))

    def static(self, decoder: Decoder) -> StaticDecoder | None:
        """The decoder in memory of fixed size, kept as long as nothing is done to the model.

        ``auto`` is eager on every device until ``static`` has been timed on a GPU.

        Args:
            decoder: From ``for_inference``.

        Raises:
            UserError: ``static`` was asked for and does not serve the model.
        """
        if self.runtime != "static":
            return None
        exits, beside = self.exits(decoder), self._same_side()
        check_decoder(decoder, *beside.children())

        def make() -> StaticDecoder:
            return StaticDecoder(decoder, exits)

        heads = beside if len(beside) else None
        key = f"static {exits.layers}"
        return self._inference.keep(decoder, key, make, heads, in_place=True)

    def _same_side(self) -> nn.ModuleDict:
        """What there is beside the network: the same object as long as that is the same."""
        found, known = self._side, vars(self).get("_side_known")
        if known is None or dict(known.items()) != dict(found.items()):
            known = vars(self)["_side_known"] = found
        return known

    def begin(
        self,
        memory: Tensor,
        mask: Tensor | None,
        *,
        policy: PolicyLike | None = None,
        pending: str | None = None,
        max_steps: int | None = None,
        decoder: Decoder | None = None,
        uneven: bool = False,
    ) -> Sequences:
        """Begin from encoder states, ``[B, S, H]``, by a ``decoder`` of ``for_inference``.

        ``uneven`` sequences may undo steps of their own, where the model's modules compute.
        """
        decoder = self.for_inference(memory[..., 0].numel()) if decoder is None else decoder
        if pending is None:
            # Verifying is a way to search; what it stands on is this rule.
            pending = self.settings.pending
            pending = "parallel" if pending == "verify" else pending
        if pending not in PENDING:
            raise unknown_name("rule for pending tokens", pending, PENDING)
        chosen = chosen_policy(self, policy)
        check_asked(self, chosen)
        written = memory, mask, DecodingSettings(chosen, pending, max_steps)
        static = self.static(decoder)
        if static is not None:
            return StaticDecoding(static, *written)
        exits, compiled = self.exits(decoder), self.compiled(decoder)
        if compiled is not None:
            return CompiledDecoding(compiled, exits, *written)
        return (UnevenDecoding if uneven else Decoding)(decoder, exits, *written)

    @property
    def context(self) -> ContextGate | None:
        """The gate that the policy ``context_gate`` asks, if one was fitted."""
        return self._context

    def put_context(self, gate: ContextGate | None) -> None:
        """See ``Judged``."""
        self._context = gate

    def judged_weights(self) -> dict[str, Tensor]:
        """See ``Judged``."""
        return decoder_weights(self.decoder)
