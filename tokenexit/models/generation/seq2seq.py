"""A generator of text whose tokens leave the decoder early."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from tokenexit.backbones.given import unwrapped
from tokenexit.decoders import adapt_decoder
from tokenexit.decoding import DRY_RUN, Sequences
from tokenexit.heads import check_exit_layers
from tokenexit.models import folders
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.vocabulary import check_vocabulary
from tokenexit.models.generation.by_depth import check_batching_name
from tokenexit.models.generation.exit_seq2seq import ExitSeq2Seq
from tokenexit.models.generation.generate import Generated, generate
from tokenexit.models.generation.generate_texts import (
    GeneratedText,
    encode_texts,
    read_outputs,
    source_batches,
)
from tokenexit.models.generation.inputs import check_start, encode_inputs, rows_of
from tokenexit.models.generation.languages import with_languages
from tokenexit.models.generation.predict_by_depth import (
    check_fixed,
    stream_by_depth,
    write_by_depth,
)
from tokenexit.models.generation.side_heads import context_gate, side_heads
from tokenexit.models.inputs import Texts, read_strings
from tokenexit.models.predict_iter import check_batch_size
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import PolicyLike


class ExitModelForSeq2SeqLM(ExitSeq2Seq, tags=["early-exit", "text2text-generation"]):
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

    loader = "ExitModelForSeq2SeqLM"
    auto_class = AutoModelForSeq2SeqLM
    dry_run_settings = DRY_RUN
    read = staticmethod(read_strings)

    # --- building, loading, saving ---------------------------------------------------------

    @classmethod
    @torch.inference_mode(False)
    def from_transformers(
        cls,
        network: PreTrainedModel,
        tokenizer: Any = None,
        *,
        exit_layers: Sequence[int] | int | None = None,
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
    def _built(cls, loaded: folders.Loaded) -> Self:
        network, settings, tokenizer = loaded.network, loaded.settings, loaded.tokenizer
        decoder = adapt_decoder(network)
        loaded.exits(decoder.num_layers)
        made = side_heads(decoder, settings.heads)
        if tokenizer is not None and settings.source_lang and settings.target_lang:
            tokenizer = with_languages(tokenizer, settings.source_lang, settings.target_lang)
        context = context_gate(decoder, settings.heads)
        model = cls(network, tokenizer, *made, settings, context)
        loaded.fill(model._side, loaded.weights)
        return model

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

    def predict(  # type: ignore[override]
        self,
        texts: Iterable[str],
        *,
        policy: PolicyLike | None = None,
        pending: str | None = None,
        batch_size: int = 32,
        batching: str | None = None,
        max_wait: int | None = None,
        slots: int | None = None,
        **settings: Any,
    ) -> list[GeneratedText]:
        """Turn texts into texts.

        Args:
            texts: Sources, in anything that can be gone through.
            policy: Who halts; the model's own policy when None.
            pending: See ``generate``.
            batch_size: Sources a batch.
            batching: ``fixed`` writes a batch until its last text has ended. ``by_depth`` writes
                the same texts, for greedy search over more texts than a batch: rows that must go
                deeper wait until enough of them do, and ended texts give way to the next.
            max_wait: By depth, rounds of layers between two exits for which a row may be passed
                over before it is due; 16 when None.
            slots: By depth, texts in flight, ``batch_size`` or more; twice as many when None.
            settings: As ``generate``; the model's own ``generation`` settings underneath.

        Returns:
            One result a source, in order.
        """
        if check_batching_name(batching) == "by_depth":
            told = {"max_wait": max_wait, "slots": slots, **settings}
            check_batch_size(batch_size)
            ids = iter(encode_texts(self, texts))
            return list(write_by_depth(self, ids, policy, pending, batch_size, told))
        check_fixed(max_wait=max_wait, slots=slots)
        settings = {**self.settings.generation, **settings, "return_dict_in_generate": True}
        results: list[GeneratedText] = []
        for batch in source_batches(self, texts, batch_size):
            found = self.generate(**batch, policy=policy, pending=pending, **settings)
            assert isinstance(found, Generated)
            results += read_outputs(self, found, len(batch["input_ids"]))
        return results

    def predict_iter(
        self,
        texts: Texts,
        *,
        batch_size: int = 32,
        batching: str | None = None,
        **options: Any,
    ) -> Iterator[GeneratedText]:
        """See ``Predicts``; by depth, a result comes when it and all before it are there."""
        if check_batching_name(batching) == "fixed":
            return super().predict_iter(texts, batch_size=batch_size, **options)
        check_batch_size(batch_size)
        policy, pending = options.pop("policy", None), options.pop("pending", None)
        return stream_by_depth(self, texts, policy, pending, batch_size, options)
