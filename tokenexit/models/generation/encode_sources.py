"""The source side of a generator: at full depth, or with tokens that leave early."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.source_exits import check_source_policy, encode_source
from tokenexit.halting import Work
from tokenexit.models.generation.compiled_source import encode_compiled
from tokenexit.models.generation.exit_seq2seq import ExitSeq2Seq
from tokenexit.policies import PolicyLike, from_config
from tokenexit.policies.never import Never


def encode_sources(
    model: ExitSeq2Seq,
    sources: tuple[Tensor, Tensor],
    policy: PolicyLike | None = None,
    decoder: Decoder | None = None,
    padded: bool | None = None,
) -> tuple[Tensor, Work | None]:
    """Encode sources as the model's settings, or a policy given here, say.

    Args:
        model: The generator; while training its own modules are used, with gradients.
        sources: Ids and mask, ``[B, S]`` each.
        policy: Which tokens leave the encoder early; the model's own when None.
        decoder: The model's ``inference_decoder``, if it has been asked for already.
        padded: Whether any source is padded, where the host knows; see ``Decoder.encode``.

    Returns:
        Encoder states ``[B, S, H]``, and the work done where tokens could leave.

    Raises:
        UserError: A policy that has no meaning for tokens of a source.
    """
    chosen = from_config(model.settings.encoder_policy if policy is None else policy)
    if decoder is None:
        decoder = model.decoder if torch.is_grad_enabled() else model.inference_decoder
    if isinstance(chosen, Never):
        states = encode_compiled(model._inference, decoder, *sources)
        return decoder.encode(*sources, padded) if states is None else states, None
    check_source_policy(chosen)
    found = encode_source(decoder.source_encoder(), *sources, chosen)
    return found.memory, found.work
