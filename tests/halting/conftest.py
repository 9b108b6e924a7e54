"""Tiny taggers of every registered family whose words leave at all depths, and texts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoModelForTokenClassification

from tokenexit.backbones import BACKBONES, Backbone, adapt
from tokenexit.halting import PolicyVisitor, Sentence, Work, encode, encode_dense, pack
from tokenexit.heads import ExitHeads
from tokenexit.policies import Policy
from tokenexit.scorers import RowScorers

CLASSES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
DEPTH = 6
FAMILIES = [name for name, _ in BACKBONES.items()]


@dataclass(frozen=True, eq=False)
class Network:
    """A tiny tagger in its adapter, with an exit after every layer."""

    backbone: Backbone
    heads: ExitHeads


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run gave: ``[W, C]`` and ``[W]``, words in the order of the given sentences."""

    logits: Tensor
    exit_layers: Tensor
    work: Work
    states: list[Tensor]

    @property
    def spread(self) -> int:
        """At how many different layers words left."""
        return len(self.exit_layers.unique())


def _build(make_gate: Any, model_type: str, attention: str, dtype: torch.dtype) -> Network:
    torch.manual_seed(0)
    example = BACKBONES.get(model_type).example_config(model_type)
    values = {**example.to_dict(), "id2label": dict(enumerate(CLASSES)), "layer_types": None}
    # Deeper than the example, so that policies which wait for several exits let somebody out.
    values["n_layers" if model_type == "distilbert" else "num_hidden_layers"] = DEPTH
    config = type(example)(**values)
    model: Any = AutoModelForTokenClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for weight in model.parameters():
            # As initialised, attention is all but uniform and would hide mistakes.
            weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
    backbone = adapt(model.to(dtype).eval().requires_grad_(False))
    heads = ExitHeads({"name": "linear", "gate": True}, range(1, DEPTH), 32, len(CLASSES))
    heads.context = make_gate(DEPTH, CLASSES)
    heads = heads.to(dtype).eval().requires_grad_(False)
    _settle(backbone, heads)
    heads.scorers = _scorers(dtype)
    return Network(backbone, heads)


def _scorers(dtype: torch.dtype) -> RowScorers:
    """Scorers before three layers that are not of one mind about rows."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        scorers = RowScorers({"name": "mlp", "layers": [2, 3, 5], "bar": 0.8}, 32, DEPTH)
        with torch.no_grad():
            for layer in scorers.layers:
                made: Any = scorers.at(layer)
                made.project.weight.mul_(20)
                made.project.bias.zero_()
    return scorers.to(dtype).eval().requires_grad_(False)


def _settle(backbone: Backbone, heads: ExitHeads) -> None:
    """Weights like those of trained exits: of one mind, surer with depth, unlike for each word."""
    ids, places = torch.randint(5, 30, (6, 12)), torch.arange(12).expand(6, -1)
    hidden = backbone.embed(ids, places)
    context = backbone.context(hidden, torch.ones_like(ids))
    common, gate = torch.randn(len(CLASSES), 32), torch.randn(1, 32)
    for layer in heads.layers:
        hidden = backbone.layer(layer - 1, hidden, context)
        rows = backbone.finish(hidden).flatten(0, 1)
        exits: list[tuple[Any, Tensor, float]] = [
            (heads.at(layer), common + 0.2 * torch.randn_like(common), 1.2 * 1.5 ** (layer - 1))
        ]
        if layer == 2 and heads.gate is not None:
            exits.append((heads.gate, gate, 2.0))
        for head, weight, size in exits:
            weight = weight.to(rows)
            weight = weight * size / (rows @ weight.T).std(dim=0)[:, None]
            head.project.weight.copy_(weight)
            head.project.bias.copy_(-(rows @ weight.T).mean(dim=0))


@pytest.fixture(scope="session")
def build(make_gate: Callable[..., Any]) -> Callable[..., Network]:
    """Factory of networks in evaluation mode, shared by all tests: leave them as they are."""
    made: dict[tuple[str, str, torch.dtype], Network] = {}

    def get(
        model_type: str, attention: str = "sdpa", dtype: torch.dtype = torch.float64
    ) -> Network:
        config = BACKBONES.get(model_type).example_config(model_type)
        model_class: Any = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[type(config)]
        if not model_class._supports_sdpa:
            attention = "eager"
        key = model_type, attention, dtype
        if key not in made:
            made[key] = _build(make_gate, *key)
        return made[key]

    return get


@pytest.fixture(scope="session", params=FAMILIES)
def network(request: pytest.FixtureRequest, build: Callable[..., Network]) -> Network:
    """One network of each family, sdpa attention where it has it.

    In double precision: rounding then moves no score across a threshold, on any machine.
    """
    return build(request.param)


@pytest.fixture(scope="session", params=FAMILIES)
def eager_network(request: pytest.FixtureRequest, build: Callable[..., Network]) -> Network:
    """The same under eager attention, in single precision."""
    return build(request.param, "eager", torch.float32)


@pytest.fixture(scope="session", params=FAMILIES)
def sdpa_network(request: pytest.FixtureRequest, build: Callable[..., Network]) -> Network:
    """The same under sdpa where the family has it, in single precision."""
    return build(request.param, "sdpa", torch.float32)


@pytest.fixture(scope="session")
def make_sentence() -> Callable[..., Sentence]:
    """Factory of framed sentences: special, words of so many sub-words each, special."""

    def make(sizes: Sequence[int], seed: int = 0) -> Sentence:
        draw = torch.Generator().manual_seed(seed)
        ids, rows = [2], []
        for size in sizes:
            rows.append(list(range(len(ids), len(ids) + size)))
            # A few ids only, so that policies which go by id meet theirs.
            ids += torch.randint(5, 30, (size,), generator=draw).tolist()
        targets = torch.randint(len(CLASSES), (len(sizes),), generator=draw)
        return Sentence([*ids, 3], rows, [-100 if t == 4 else int(t) for t in targets])

    return make


@pytest.fixture(scope="session")
def sentences(make_sentence: Callable[..., Sentence]) -> list[Sentence]:
    """Long and short, of equal length, of one word, without words, with sub-words."""
    sizes = [
        [1] * 9,
        [1, 3, 1, 1, 2, 1],
        [1],
        [],
        [2, 1] * 7,
        [1] * 9,
        [4],
        [1] * 20,
    ]
    return [make_sentence(size, seed) for seed, size in enumerate(sizes)]


@pytest.fixture(scope="session")
def run() -> Callable[..., Outcome]:
    """Run sentences through the engine, or through the plain reference."""

    def call(
        network: Network,
        sentences: Sequence[Sentence],
        policy: Policy,
        *,
        dense: bool = False,
        halted: Any = "copy",
        **options: Any,
    ) -> Outcome:
        backbone, batch = network.backbone, pack(sentences)
        score = (
            (lambda signals: backbone.classify(signals.for_top)) if halted == "restore" else None
        )
        visitor = PolicyVisitor(policy, batch.num_words, "cpu", score)
        given = (backbone, network.heads, batch, visitor)
        with torch.no_grad():
            if dense:
                work = ()
                states = encode_dense(*given, halted=halted, classes=CLASSES)
            else:
                work = encode(*given, halted=halted, classes=CLASSES, **options)
                states = options.get("states") or []
        decided = visitor.decisions()
        # Packed longest first; back in the order given.
        place = torch.from_numpy(batch.order)[batch.word_sequence] * 1000 + batch.word_position
        order = place.argsort()
        return Outcome(decided.logits[order], decided.exit_layers[order], work, states)

    return call
