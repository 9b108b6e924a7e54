"""Tiny encoder-decoders of every registered family whose tokens leave at all depths.

All in double precision: rounding then moves no score across a threshold, on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    AutoModelForSeq2SeqLM,
    DynamicCache,
    EncoderDecoderCache,
    PreTrainedTokenizerFast,
)

from tokenexit import ExitModelForSeq2SeqLM, policies, scores
from tokenexit.context import ContextGate, GateConfig
from tokenexit.decoders import DECODERS
from tokenexit.decoding import Step
from tokenexit.decoding.reference import decode_plain
from tokenexit.models.context_gate import mark_of
from tokenexit.policies import Policy
from tokenexit.signals import Signals

FAMILIES = [name for name, _ in DECODERS.items()]
OUTPUTS = ("out_proj", "fc2", ".o.", "wo")


def _build(
    model_type: str, attention: str, dtype: torch.dtype, tied: bool
) -> ExitModelForSeq2SeqLM:
    torch.manual_seed(0)
    config: Any = DECODERS.get(model_type).example_config(model_type)
    config.tie_word_embeddings = tied
    network: Any = AutoModelForSeq2SeqLM.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if model_type in ("marian", "pegasus") and "embed_positions" in name:
                continue  # sines, which are made anew instead of saved
            # As initialised, attention is all but uniform and would hide mistakes.
            weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
            # What is read shows in what comes next, and exits are of one mind: texts that do not
            # end in one word over and over, and words that leave at all depths.
            if "decoder" in name and any(output in name for output in OUTPUTS):
                # Marian would write the same whatever it reads from the source.
                cross = model_type == "marian" and "encoder_attn" in name
                weight.mul_(0.6 if cross else 0.3)
        network.get_decoder().embed_tokens.weight.normal_()
        scale = 32**0.5 if getattr(config, "scale_decoder_outputs", False) else 1.0
        network.get_output_embeddings().weight.normal_(std=0.7 * scale)
        if hasattr(network, "final_logits_bias"):
            network.final_logits_bias.normal_(std=0.2)
    model = ExitModelForSeq2SeqLM.from_transformers(network.to(dtype).eval(), gate=True, depth=True)
    assert model.gate is not None
    assert model.depth is not None
    torch.manual_seed(0)
    for head in (model.gate, model.depth):
        torch.nn.init.normal_(head.project.weight, std=0.3)
    model.use_context(_context(model))
    return model.eval().requires_grad_(False)


LOOKS = ("state", "change", "likeness", "place", "depth", "last_depths", "last_doubts")
"""Everything that gates of generators may look at."""


def _context(model: ExitModelForSeq2SeqLM, features: tuple[str, ...] = LOOKS) -> ContextGate:
    """A gate with weights drawn."""
    exits = model.settings.exit_layers
    config = GateConfig(
        exits=exits[:-1],
        num_layers=exits[-1],
        num_classes=model.decoder.vocab_size,
        unit="token",
        features=features,
        neighbours=(),
        reach=3 if features == LOOKS else 0,
        inner=8,
        fingerprint=mark_of(model),
    )
    gate = ContextGate(config, model.decoder.hidden_size)
    for weight in gate.buffers():
        weight.normal_(std=0.3)
    states = 2 * model.decoder.hidden_size
    with torch.no_grad():
        drawn = torch.randn(64, model.decoder.hidden_size, dtype=model.dtype)
        gate.weight[:, :, :states] /= float(model.decoder.finish(drawn).std())
    back = 6 if features == LOOKS else 0
    gate.weight[:, :, states : gate.inputs - back] *= 0.1
    return gate


def _judged(model: ExitModelForSeq2SeqLM, states: list[Tensor]) -> Tensor:
    """What the gate says of states after each layer when nobody leaves, ``[E * N]``."""
    gate, memory, found = model.context, None, []
    assert gate is not None
    for layer, hidden in enumerate(states, 1):
        rows = torch.arange(len(hidden))
        finished, head = model.decoder.finish(hidden), model.decoder.vocabulary
        signals = Signals(layer, 4, finished, rows, rows, rows, len(rows), 1, head, step=rows % 24)
        wrong, memory = gate.step(signals, memory)
        found.append(wrong)
    return torch.cat(found)


@pytest.fixture(scope="session")
def build() -> Callable[..., ExitModelForSeq2SeqLM]:
    """Factory of models in evaluation mode, shared by all tests: leave them as they are."""
    made: dict[Any, ExitModelForSeq2SeqLM] = {}

    def get(
        model_type: str,
        attention: str = "sdpa",
        dtype: torch.dtype = torch.float64,
        tied: bool = False,
    ) -> ExitModelForSeq2SeqLM:
        key = model_type, attention, dtype, tied
        if key not in made:
            made[key] = _build(*key)
        return made[key]

    return get


@pytest.fixture(scope="session", params=FAMILIES)
def model(request: pytest.FixtureRequest, build: Any) -> ExitModelForSeq2SeqLM:
    """One model of each family, with a gate and a depth head."""
    return build(request.param)


@pytest.fixture(scope="session", params=["t5", "bart"])
def some_model(request: pytest.FixtureRequest, build: Any) -> ExitModelForSeq2SeqLM:
    """One with relative and one with absolute places, for tests of what families share."""
    return build(request.param)


@pytest.fixture
def looking_at() -> Iterator[Callable[[ExitModelForSeq2SeqLM, tuple[str, ...]], None]]:
    """Gives a shared model a gate with other features, for one test."""
    before: list[tuple[ExitModelForSeq2SeqLM, ContextGate | None]] = []

    def give(model: ExitModelForSeq2SeqLM, features: tuple[str, ...]) -> None:
        before.append((model, model.context))
        torch.manual_seed(0)
        model.use_context(_context(model, features))

    yield give
    for model, gate in before:
        model.use_context(gate)


@pytest.fixture(scope="session")
def words() -> Callable[[int], PreTrainedTokenizerFast]:
    """Factory of tokenizers, by the id of padding."""

    def make(pad: int) -> PreTrainedTokenizerFast:
        """Every id but three is a word, ``w5``; texts end in ``</s>``."""
        vocabulary = {f"w{n}": n for n in range(3, 120)} | {
            "</s>": 2,
            "<pad>": pad,
            "<unk>": 1 - pad,
        }
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 2)]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
        )

    return make


@dataclass(frozen=True, eq=False)
class Sources:
    """Sources ``[B, S]`` padded on the right, their mask, and tokens to read ``[B, T]``."""

    input_ids: Tensor
    mask: Tensor
    tokens: Tensor

    @property
    def inputs(self) -> dict[str, Tensor]:
        """As a tokenizer gives them."""
        return {"input_ids": self.input_ids, "attention_mask": self.mask}

    def take(self, rows: Any) -> Sources:
        """Some rows only, or in another order."""
        return Sources(self.input_ids[rows], self.mask[rows], self.tokens[rows])

    def alone(self, row: int) -> Sources:
        """One source without its padding."""
        length = int(self.mask[row].sum())
        part = self.take(slice(row, row + 1))
        return Sources(part.input_ids[:, :length], part.mask[:, :length], part.tokens)


@pytest.fixture(scope="session")
def make_sources() -> Callable[..., Sources]:
    """Factory of random sources of given lengths."""

    def make(lengths: tuple[int, ...] = (9, 4, 7, 2), steps: int = 8, seed: int = 0) -> Sources:
        draw = torch.Generator().manual_seed(seed)
        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        ids = torch.randint(5, 90, mask.shape, generator=draw)
        tokens = torch.randint(5, 90, (len(lengths), steps), generator=draw)
        return Sources(ids.where(mask.bool(), 1), mask, tokens)

    return make


@pytest.fixture(scope="session")
def sources(make_sources: Any) -> Sources:
    """Four sources, three of them padded."""
    return make_sources()


@pytest.fixture(scope="session")
def choose(make_sources: Any) -> Callable[..., Policy]:
    """Policies by name, with thresholds that fit a model: its tokens then leave at all depths."""
    known: dict[Any, tuple[float, ...]] = {}

    def thresholds(model: Any) -> tuple[float, ...]:
        batch = make_sources((6, 9), 24, seed=5)
        output = model.network(
            **batch.inputs, decoder_input_ids=batch.tokens, output_hidden_states=True
        )
        states = [hidden.flatten(0, 1) for hidden in output.decoder_hidden_states[1:-1]]
        score = model.exits(model.decoder).score
        margins = torch.cat([scores.margin(score(hidden)) for hidden in states])
        pairs = pairwise(states)
        cosines = torch.cat([torch.cosine_similarity(a, b, dim=-1) for a, b in pairs])
        gates = torch.cat([model.gate.score(model.decoder.finish(hidden)) for hidden in states])
        return (
            float(margins.quantile(0.7)),
            float(cosines.quantile(0.5)),
            float(gates.quantile(0.4)),
            float(_judged(model, states).quantile(0.4)),
        )

    def get(model: Any, name: str) -> Policy:
        if model not in known:
            with torch.no_grad():
                known[model] = thresholds(model)
        margin, cosine, gate, wrong = known[model]
        made: dict[str, Policy] = {
            "never": policies.Never(),
            "hash": policies.Hash(1, 4),
            "assigned": policies.AssignedDepth(4, {n: 1 + n % 3 for n in range(5, 60)}),
            "margin": policies.Margin(margin),
            "saturation": policies.Saturation(cosine),
            "gate": policies.LearnedGate(gate),
            "context": policies.ContextGate(wrong),
            "depth": policies.PredictedDepth(0.6),
            "patience": policies.Patience(1),
            "two_stage": policies.TwoStage(
                policies.Saturation(cosine - 0.05), policies.Margin(margin / 2)
            ),
            "decay": policies.Decay(policies.Margin(margin)),
            "shortlist": policies.Shortlist(policies.Margin(margin), 8),
            "nested": policies.AnyOf(
                (
                    policies.AllOf((policies.Margin(margin / 2), policies.Patience(1))),
                    policies.FromLayer(policies.Saturation(cosine), 3),
                )
            ),
        }
        return made[name]

    return get


@pytest.fixture(scope="session")
def plain() -> Callable[..., tuple[Tensor, Tensor]]:
    """Given tokens through the plain reference, each run made once for all tests."""
    made: dict[Any, tuple[Tensor, Tensor]] = {}

    def get(
        model: Any, sources: Sources, policy: Policy, pending: str = "eager"
    ) -> tuple[Tensor, Tensor]:
        rule: Any = "parallel" if pending == "parallel" else "eager"
        key = model, sources, policy, rule
        if key not in made:
            with torch.no_grad():
                memory = model.decoder.encode(sources.input_ids, sources.mask)
            made[key] = decode_plain(
                model.decoder, model.exits(model.decoder), memory, sources.mask, sources.tokens,
                policy, pending=rule, max_steps=sources.tokens.shape[1],
            )  # fmt: skip
        return made[key]

    return get


@pytest.fixture(scope="session")
def feed() -> Callable[..., tuple[Tensor, Tensor]]:
    """Given tokens through the engine: logits ``[R, T, V]`` and exit layers ``[R, T]``."""

    def call(
        model: Any, sources: Sources, policy: Policy, pending: str = "lazy", **options: Any
    ) -> tuple[Tensor, Tensor]:
        steps = sources.tokens.shape[1]
        decoding = model.start(
            **sources.inputs, policy=policy, pending=pending, max_steps=steps, **options
        )
        done: list[Step] = [decoding.step(tokens) for tokens in sources.tokens.T]
        return (
            torch.stack([step.logits for step in done], dim=1),
            torch.stack([step.exit_layers for step in done], dim=1),
        )

    return call


@pytest.fixture(scope="session")
def transformers_generate() -> Callable[..., Any]:
    """The plain model's own ``generate``."""

    def call(model: Any, sources: Sources, **settings: Any) -> Any:
        # Transformers sizes the cache by the encoder, which has fewer layers here.
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        return model.network.generate(
            **sources.inputs, past_key_values=cache, **{"num_beams": 1, **settings}
        )

    return call


@pytest.fixture(scope="session")
def ends(transformers_generate: Any) -> Callable[..., list[int]]:
    """End tokens with which the rows of a greedy generation end at unlike steps, or never."""
    made: dict[Any, list[int]] = {}

    def get(model: Any, sources: Sources, steps: int = 16) -> list[int]:
        key = model, sources
        if key not in made:
            settings = {"max_new_tokens": steps, "eos_token_id": None, "do_sample": False}
            rows = transformers_generate(model, sources, **settings)[:, 1:].tolist()
            words = sorted({word for row in rows for word in row})
            found = [(_unlike(rows, three), three) for three in combinations(words, 3)]
            made[key] = list(max(found)[1])
        return made[key]

    return get


def _unlike(rows: list[list[int]], ends: tuple[int, ...]) -> int:
    """How many different lengths there are, if no row ends at once."""
    lengths = [min([*(row.index(e) for e in ends if e in row), len(row)]) for row in rows]
    return len({*lengths}) if min(lengths) else 0
