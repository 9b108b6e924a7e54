"""A generator of text whose tokens leave the decoder early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import ModelHubMixin
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from tokenexit.backbones import Inference
from tokenexit.backbones.given import unwrapped
from tokenexit.backbones.twin import evaluated
from tokenexit.context import ContextGate
from tokenexit.decoders import Decoder, adapt_decoder
from tokenexit.decoding import PENDING, REHEARSAL, Decoding, Sequences
from tokenexit.decoding.compiled import CompiledDecoding
from tokenexit.decoding.static import StaticDecoding, check_decoder
from tokenexit.decoding.uneven import UnevenDecoding
from tokenexit.errors import unknown_name
from tokenexit.gates import LinearGate
from tokenexit.heads import check_exit_layers, check_top
from tokenexit.heads.stack import DepthHead
from tokenexit.models import folders
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.context_gate import check_asked
from tokenexit.models.encoders.vocabulary import check_vocabulary
from tokenexit.models.exit_model import ExitModel
from tokenexit.models.generation.compiled_decoder import compiled_decoder
from tokenexit.models.generation.generate import Generated, generate
from tokenexit.models.generation.heads import GeneratorHeads
from tokenexit.models.generation.inputs import check_start, encode_inputs, rows_of, start_token
from tokenexit.models.generation.languages import with_languages
from tokenexit.models.generation.predict_generated import PredictsTexts
from tokenexit.models.generation.side_heads import context_gate, side_heads
from tokenexit.models.generation.static_decoder import static_decoder
from tokenexit.models.inputs import read_strings
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Policy

PolicyLike = Policy | Mapping[str, Any] | str


class ExitModelForSeq2SeqLM(
    GeneratorHeads,
    PredictsTexts,
    ExitModel,
    ModelHubMixin,
    library_name="tokenexit",
    tags=["early-exit", "text2text-generation"],
):
    """An ordinary transformers encoder-decoder, with exits in its decoder.

    Every exit shares the model's final norm and vocabulary head, as CALM's do. Built by
    ``from_transformers`` or ``from_pretrained``.

    Args:
        network: A transformers model for conditional generation.
        tokenizer: Its tokenizer, or None for ids in and ids out.
        gate: The learned gate, or None.
        depth: The head that predicts the depth needed, or None.
        settings: Everything else that is saved with the model.
        context: The context gate, or None; see ``use_context``.
    """

    read = staticmethod(read_strings)

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

    # --- building, loading, saving ---------------------------------------------------------

    @classmethod
    @torch.inference_mode(False)
    def from_transformers(
        cls,
        network: PreTrainedModel,
        tokenizer: Any = None,
        *,
        exit_layers: Sequence[int] | None = None,
        gate: bool = False,
        depth: bool = False,
        task: str = "text2text",
    ) -> Self:
        """Add exits to a transformers model in memory, ready to train.

        Args:
            network: A model for conditional generation.
            tokenizer: Its tokenizer; None for ids in and ids out.
            exit_layers: Decoder layers with an exit, from 1; all when None. The top always has
                one.
            gate: Whether there is a learned gate (CALM's classifier).
            depth: Whether there is a head that predicts the depth needed (Depth-Adaptive
                Transformer).
            task: Name of the task, such as ``translation``.

        Raises:
            UserError: Unsupported family, no such exit layer, a tokenizer that does not fit.
        """
        network = unwrapped(network)
        decoder = adapt_decoder(network)
        exits = check_exit_layers(exit_layers, decoder.num_layers)
        if tokenizer is not None:
            check_vocabulary(tokenizer, decoder.vocab_size)
        heads = {"name": "shared", "gate": gate, "depth": depth}
        made = side_heads(decoder, heads)
        for head in made:
            if head is not None:
                head.to(device=network.device, dtype=network.dtype)
        return cls(network, tokenizer, *made, ExitSettings((), exits, heads, task=task))

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
        """Load a model folder, or one from the Hub.

        Args:
            folder: A folder written by ``save_pretrained``, or a Hub id.
            precision: See ``use``.
            runtime: See ``use``.
            free: See ``use``.
            hub: ``revision``, ``token``, ``cache_dir``, ``dtype`` and the like.

        Raises:
            UserError: No such folder, no network, missing or damaged files, a format newer
                than this version reads, or a model of another kind.
        """
        loaded = folders.load_kind(
            folder, "ExitModelForSeq2SeqLM", AutoModelForSeq2SeqLM, precision, **hub
        )
        with loaded.building():
            decoder = adapt_decoder(loaded.network)
            loaded.exits(decoder.num_layers)
            made = side_heads(decoder, loaded.settings.heads)
            settings, tokenizer = loaded.settings, loaded.tokenizer
            if tokenizer is not None and settings.source_lang and settings.target_lang:
                tokenizer = with_languages(tokenizer, settings.source_lang, settings.target_lang)
            context = context_gate(decoder, settings.heads)
            model = cls(loaded.network, tokenizer, *made, settings, context)
            loaded.fill(model._side, loaded.weights)
        loaded.rehearse(partial(model.eval().predict, **REHEARSAL))
        return model.use(precision, runtime, free=free)

    # --- facts -----------------------------------------------------------------------------

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
        return start_token(self.network)

    # --- generating ------------------------------------------------------------------------

    @torch.no_grad()
    def start(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        policy: PolicyLike | None = None,
        pending: str | None = None,
        max_steps: int | None = None,
        encoder_policy: PolicyLike | None = None,
        **inputs: Any,
    ) -> Sequences:
        """Encode sources and begin decoding, for people who write their own decoders.

        Args:
            input_ids: ``[B, S]``.
            attention_mask: ``[B, S]``, 1 for real tokens.
            policy: Who halts; the model's own policy when None.
            pending: ``lazy``, ``eager`` or ``parallel``; the model's own when None.
            max_steps: Steps that will be taken at most; schedules over time need it.
            encoder_policy: Which tokens of the source leave the encoder early; the model's own
                when None.
            inputs: ``encoder_outputs`` or ``inputs_embeds`` in the place of ``input_ids``; whatever
                else a tokenizer returns of a source is not looked at.

        Returns:
            A decoding with one row a source. Feed ``start_token`` first.

        Raises:
            UserError: Bad inputs, a policy that has no meaning here, or an argument that ``start``
                does not take.
        """
        check_start(inputs)
        decoder = self.for_inference(rows_of(input_ids, inputs))
        memory = encode_inputs(self, decoder, input_ids, attention_mask, inputs, encoder_policy)
        decoding = self.begin(
            memory.states,
            memory.mask,
            policy=policy,
            pending=pending,
            max_steps=max_steps,
            decoder=decoder,
        )
        decoding.work.encoder = memory.work
        return decoding

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
        exits = self.exits(decoder)
        settings: dict[str, Any] = {"pending": pending, "max_steps": max_steps}
        static = static_decoder(self, decoder)
        if static is not None:
            return StaticDecoding(static, memory, mask, chosen, **settings)
        compiled = compiled_decoder(self._inference, decoder)
        if compiled is not None:
            return CompiledDecoding(compiled, exits, memory, mask, chosen, **settings)
        kind = UnevenDecoding if uneven else Decoding
        return kind(decoder, exits, memory, mask, chosen, **settings)

    def generate(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        policy: PolicyLike | None = None,
        pending: str | None = None,
        encoder_policy: PolicyLike | None = None,
        **settings: Any,
    ) -> Tensor | Generated:
        """Generate with any argument of transformers' ``generate`` that exits can serve.

        Args:
            input_ids: ``[B, S]``.
            attention_mask: ``[B, S]``, 1 for real tokens.
            policy: Who halts; the model's own policy when None.
            pending: ``lazy``, ``eager``, ``parallel`` or ``verify``; the model's own when None.
                ``verify`` gives exactly the full-depth greedy output.
            encoder_policy: Which tokens of the source leave the encoder early; the model's own
                when None.
            settings: ``max_new_tokens``, ``num_beams``, ``do_sample``, ``logits_processor``,
                ``stopping_criteria``, ``streamer``, ``return_dict_in_generate``, ...; in the
                place of ``input_ids`` also ``encoder_outputs`` or ``inputs_embeds``.

        Returns:
            Sequences ``[B', T]``, or with ``return_dict_in_generate`` a ``Generated``, which
            has exit layers and work as well.

        Raises:
            UserError: Bad inputs, or an argument that exits do not serve.
        """
        chosen = chosen_policy(self, policy)
        return generate(
            self,
            input_ids,
            attention_mask,
            chosen,
            pending or self.settings.pending,
            settings,
            encoder_policy,
        )
