"""``generate`` with exits: transformers' search around our decoding step.

Settings, beams, processors, stopping criteria and streamers are transformers' code, unchanged;
the forward pass and the cache that it hands from step to step are ours. So is the loop of greedy
search and sampling, because theirs costs as much as a layer or two of a small model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin, PreTrainedModel
from transformers.generation.utils import GenerateEncoderDecoderOutput
from transformers.modeling_outputs import Seq2SeqLMOutput

from tokenexit.decoding.plain_greedy import PlainGreedy
from tokenexit.decoding.search import Stopping, search
from tokenexit.decoding.sequences import Sequences
from tokenexit.decoding.verify import Acceptance, Speculation

_CACHE = "cache" if "cache" in Seq2SeqLMOutput.__dataclass_fields__ else "past_key_values"
"""What transformers calls it, which has changed its name."""

Start = Callable[[Tensor, Tensor | None, int], Sequences]
"""Begins decoding: encoder states ``[B, S, H]``, mask ``[B, S]`` or None, most steps."""


class Generator(GenerationMixin):
    """What transformers' ``generate`` sees in the place of the model, for one call.

    Everything it asks that is not computing is answered by the model itself.

    Args:
        network: The transformers model.
        start: Begins the decoding.
        sources: Sources in the batch, before beams and samples multiply them.
    """

    def __init__(self, network: PreTrainedModel, start: Start, sources: int) -> None:
        self._network = network
        self._start = start
        self._sources = sources
        self.decoding: Sequences | None = None
        self.exit_layers: list[Tensor] = []
        """Exit layers of each generated token, ``[R]`` a step, in the order of the rows then."""
        self._settings: Any = None
        self.prompt_length = 0
        """Decoder tokens there were before the first step."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_network"], name)

    def __call__(self, *args: Any, **kwargs: Any) -> Seq2SeqLMOutput:
        """As ``forward``."""
        return self.forward(*args, **kwargs)

    def forward(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: Any = None,
        attention_mask: Tensor | None = None,
        **ours: Any,
    ) -> Seq2SeqLMOutput:
        """Feed the new tokens of every row, ``[R, n]``, and score the next: ``[R, 1, V]``.

        What else the loops hand over (their cache, and whether to use it) is our own decoding.
        """
        if self.decoding is None:
            self._begin(decoder_input_ids, encoder_outputs.last_hidden_state, attention_mask)
        assert self.decoding is not None
        *earlier, newest = decoder_input_ids.unbind(dim=1)
        for tokens in [] if self.decoding.length else earlier:  # a prompt
            self.decoding.step(tokens)
        step = self.decoding.step(newest, live=self._live(newest))
        self.exit_layers.append(step.exit_layers)
        found: dict[str, Any] = {"logits": step.logits[:, None], _CACHE: _Cache(self.decoding)}
        return Seq2SeqLMOutput(**found)

    def _sample(  # type: ignore[override]
        self,
        input_ids: Tensor,
        logits_processor: Callable[[Tensor, Tensor], Tensor],
        stopping_criteria: Any,
        generation_config: Any,
        synced_gpus: bool = False,
        streamer: Any = None,
        **kwargs: Any,
    ) -> Any:
        if generation_config.output_scores or generation_config.output_logits:
            parent: Any = super()
            return parent._sample(
                input_ids,
                logits_processor,
                stopping_criteria,
                generation_config,
                streamer=streamer,
                **kwargs,
            )
        self._begin(
            input_ids, kwargs["encoder_outputs"].last_hidden_state, kwargs.get("attention_mask")
        )
        assert self.decoding is not None
        pad = generation_config._pad_token_tensor
        tokens, self.exit_layers = search(
            self.decoding,
            input_ids,
            logits_processor,
            Stopping(stopping_criteria),
            pad=None if pad is None else pad.to(input_ids.device),
            do_sample=generation_config.do_sample,
            streamer=streamer,
        )
        return GenerateEncoderDecoderOutput(sequences=tokens)  # type: ignore[arg-type]

    def greedily(
        self, settings: PlainGreedy, memory: Tensor, mask: Tensor | None
    ) -> dict[str, Any]:
        """What ``generate`` gives where nothing else is asked for, without its preparations."""
        self.prompt_length = 1
        self.decoding = self._start(memory, mask, settings.most)
        tokens, self.exit_layers = settings(self.decoding, len(memory))
        return {"sequences": tokens}

    def _begin(self, prompt: Tensor, memory: Tensor, mask: Tensor | None) -> None:
        copies = len(memory) // self._sources
        memory, mask = memory[::copies], None if mask is None else mask[::copies]
        self.prompt_length = prompt.shape[1]
        most = self._settings.max_length - 1  # the last token is not read
        self.decoding = self._start(memory, mask, most)
        if copies > 1:
            self.decoding.fork(copies)
        self._going = torch.ones(len(prompt), dtype=torch.bool, device=prompt.device)

    def _live(self, tokens: Tensor) -> Tensor | None:
        """Rows that have not ended; with beams no row ends, it is only replaced."""
        assert self.decoding is not None
        ends = self._settings._eos_token_tensor
        if (
            self._settings.num_beams > 1
            or ends is None
            or self.decoding.length < self.prompt_length
        ):
            return None
        self._going &= ~torch.isin(tokens, ends.to(tokens.device))
        return self._going

    def _prepare_cache_for_generation(self, *args: Any, **kwargs: Any) -> bool:
        """None is made: theirs would never be used."""
        return False

    def _get_stopping_criteria(self, generation_config: Any, *args: Any, **kwargs: Any) -> Any:
        # The first place where the settings are complete.
        self._settings = generation_config
        parent: Any = super()
        return parent._get_stopping_criteria(generation_config, *args, **kwargs)


class VerifyingGenerator(Generator):
    """Greedy search whose drafts leave early and are verified.

    Args:
        network: The transformers model.
        start: Begins the decoding, with ``pending="parallel"``.
        sources: Sources in the batch.
        draft: Most tokens drafted between verifications.
    """

    def __init__(self, network: PreTrainedModel, start: Start, sources: int, draft: int) -> None:
        super().__init__(network, start, sources)
        self._draft = draft
        self.acceptance = Acceptance()

    def _sample(  # type: ignore[override]
        self,
        input_ids: Tensor,
        logits_processor: Callable[[Tensor, Tensor], Tensor],
        stopping_criteria: Callable[[Tensor, Any], Tensor],
        generation_config: Any,
        **kwargs: Any,
    ) -> GenerateEncoderDecoderOutput:
        memory = kwargs["encoder_outputs"].last_hidden_state
        self._begin(input_ids, memory, kwargs.get("attention_mask"))
        assert self.decoding is not None

        def choose(tokens: Tensor, logits: Tensor) -> Tensor:
            return logits_processor(tokens, logits.float()).argmax(dim=-1)

        pad = generation_config._pad_token_tensor
        speculation = Speculation(
            self.decoding,
            choose,
            lambda tokens: stopping_criteria(tokens, None),
            alike=isinstance(logits_processor, list) and not logits_processor,
            draft=self._draft,
            pad=None if pad is None else int(pad),
        )
        tokens, layers = speculation.write(input_ids, generation_config.max_length)
        self.exit_layers = list(layers.unbind(dim=1))
        self.acceptance = speculation.acceptance
        return GenerateEncoderDecoderOutput(sequences=tokens)  # type: ignore[arg-type]


class Prepared(Generator):
    """Keeps what transformers prepares for greedy search, and searches nothing.

    Attributes:
        processors: Its list of logits processors.
        criteria: Its list of stopping criteria.
        start: The token that is read first.
    """

    processors: Any = None
    criteria: Any = None
    start = 0

    def _sample(  # type: ignore[override]
        self,
        input_ids: Tensor,
        logits_processor: Callable[[Tensor, Tensor], Tensor],
        stopping_criteria: Any,
        **kwargs: Any,
    ) -> GenerateEncoderDecoderOutput:
        self.processors, self.criteria = logits_processor, stopping_criteria
        self.start = int(input_ids[0, 0])
        return GenerateEncoderDecoderOutput(sequences=input_ids)  # type: ignore[arg-type]


class _Cache:
    """What the loops ask of a cache."""

    is_compileable = False
    is_croppable = False

    def __init__(self, decoding: Sequences) -> None:
        self._decoding = decoding

    def get_seq_length(self, layer: int = 0) -> int:
        """Tokens fed so far."""
        return self._decoding.length

    def reorder_cache(self, index: Tensor) -> None:
        """Rows become copies of other rows."""
        self._decoding.reorder(index)
