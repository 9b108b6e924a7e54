"""Plans and decisions as two functions: equal to the operators, compiled or not."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import torch

from tokenexit import policies
from tokenexit.halting import HALTED, pack
from tokenexit.policies import Policy
from tokenexit.static import StaticEncoder, fuse
from tokenexit.static.buckets import Shape
from tokenexit.static.decide import halting
from tokenexit.static.fuse import Fuse
from tokenexit.static.joined import Form, arrange, settle
from tokenexit.static.plan import mark, plan
from tokenexit.static.room import Room, Sizes

SOME: list[Policy] = [
    policies.Entropy(0.9),
    policies.PCEE(policies.Entropy(0.9), 2),
    policies.MaxProb(0.4),
    policies.Window(policies.Entropy(0.9), 5),
    policies.Window(policies.PCEE(policies.MaxProb(0.3), 2), 3),
    policies.PerSentence(policies.Patience(1)),
    policies.PerSentence(policies.Margin(0.1), how="mean"),
    policies.PerClass(policies.MaxProb(0.5), {"O": policies.MaxProb(0.3)}),
    policies.Hash(1, 5),
    policies.Never(),
]
CLASSES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
SHAPE = Shape(rows=48, kept=64, words=32, sentences=4, queries=16, keys=20)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The functions as they are, and which were asked for."""
    asked: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda function, **_: asked.append(function) or function)
    return asked


def compare(
    statically: Any, network: Any, sentences: Any, policy: Policy, parts: int = 3, **more: Any
) -> Any:
    """Joined functions beside operators, one batch after another in the same memory."""
    encoder = StaticEncoder(network.backbone, network.heads, len(CLASSES), fused=True)
    for part in (sentences, sentences[:3], sentences[2:])[:parts]:
        plain = statically(network, part, policy, **more)
        joined = statically(network, part, policy, encoder=encoder, **more)
        assert torch.equal(joined[0].exit_layers, plain[0].exit_layers)
        assert torch.equal(joined[0].logits, plain[0].logits)
        assert joined[1] == plain[1]
    return encoder


@pytest.mark.parametrize("halted", HALTED)
@pytest.mark.parametrize("policy", SOME, ids=repr)
def test_they_are_the_operators(
    policy: Policy, halted: Any, build: Any, sentences: Any, statically: Any, uncompiled: list[Any]
) -> None:
    compare(statically, build("bert"), sentences, policy, halted=halted)
    assert arrange in uncompiled
    assert (settle in uncompiled) == (policy != policies.Never())


@pytest.mark.parametrize("model_type", ["modernbert", "deberta-v2"])
def test_other_families(
    model_type: str, build: Any, sentences: Any, statically: Any, uncompiled: list[Any]
) -> None:
    compare(statically, build(model_type), sentences, policies.Window(policies.Entropy(0.9), 3))
    assert uncompiled


def test_no_compiler_is_told_once_and_changes_nothing(
    build: Any, sentences: Any, statically: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def none(*_: Any, **__: Any) -> None:
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", none)
    with caplog.at_level(logging.WARNING):
        compare(statically, build("bert"), sentences, policies.Entropy(0.9))
    (told,) = [record.message for record in caplog.records if record.name == fuse.__name__]
    assert "no working C++ compiler" in told
    assert "much more" not in told


def test_a_compiler_that_gives_up_later(
    build: Any, sentences: Any, statically: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compilation happens at the first call, before anything is written."""

    def lazily(function: Any, **_: Any) -> Any:
        def call(*given: Any) -> Any:
            if function is settle:
                raise ImportError("No module named 'triton'")
            return function(*given)

        return call

    monkeypatch.setattr(torch, "compile", lazily)
    compare(statically, build("bert"), sentences, policies.Window(policies.Entropy(0.9), 3))


def test_errors_of_what_runs_are_not_taken_for_a_missing_compiler(
    build: Any, sentences: Any, statically: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something may be written already when they come: nobody goes on from there."""

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", lambda function, **_: full)
    with pytest.raises(torch.OutOfMemoryError):
        compare(statically, build("bert"), sentences, policies.Entropy(0.9))


def test_no_compiler_in_the_path(
    build: Any, sentences: Any, statically: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def fails(*_: Any) -> None:
        raise TorchDynamoException("backend='inductor' raised: InvalidCxxCompiler")

    monkeypatch.setattr(torch, "compile", lambda function, **_: fails)
    encoder = compare(statically, build("bert"), sentences, policies.Entropy(0.9))
    assert not encoder._fuse.works
    assert caplog.text.count("InvalidCxxCompiler") == 1


def test_no_host_reads(seen: Any, uncompiled: list[Any]) -> None:
    room = Room(Sizes(64, 4, 32, 2, 4, 1, 0, 0, torch.float32), 4, torch.device("meta"))
    rule = policies.Window(policies.PCEE(policies.Entropy(0.1), 2), 3).as_rule(4, 2)
    assert rule is not None
    fused = Fuse()
    with torch.inference_mode(), seen("meta") as noted:
        met = fused.plan(room, SHAPE)
        assert met is not None
        number = torch.zeros(SHAPE.words, device="meta")
        limit = torch.zeros(1, device="meta")
        assert fused.leave(room, rule, "copy", met.words, number, limit, 1)
    assert not noted.reads
    assert not noted.copies
    plain = plan(room, SHAPE)
    for one, other in ((met.asking, plain.asking), (met.read, plain.read)):
        for name in ("rows", "at", "cell", "grid", "out"):
            assert getattr(one, name).shape == getattr(other, name).shape
    assert met.mask.shape == plain.mask.shape


# --- compiled -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiler() -> None:
    """Skips where torch cannot compile."""
    try:
        doubled = torch.compile(lambda x: x * 2 + 1)(torch.ones(3))
    except (RuntimeError, ImportError) as error:
        pytest.skip(f"torch.compile does not work here: {error}")
    assert doubled.tolist() == [3, 3, 3]


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_compiled_they_are_the_same(build: Any, sentences: Any, statically: Any) -> None:
    policy = policies.Window(policies.Entropy(0.9), 3)
    encoder = compare(statically, build("bert"), sentences, policy, parts=1)
    assert encoder._fuse.works


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_kernels_before_and_after(build: Any, sentences: Any, seen: Any) -> None:
    """Loops that inductor makes for a CPU, where it joins no running sums, and calls of torch's.

    Operators that take their place: 25 of a plan with what layers ask of it, 35 of a decision.
    """
    from torch._inductor import metrics
    from torch._inductor.utils import run_and_get_code

    network = build("bert")
    encoder = StaticEncoder(network.backbone, network.heads, len(CLASSES))
    rule = policies.Window(policies.Entropy(0.9), 3).as_rule(6, 5, exits=network.heads.layers)
    assert rule is not None
    encoder.encode(pack(sentences), rule)
    (room,) = encoder._rooms.values()
    words = SHAPE.words
    given = room.left, room.upto, room.before, room.slot
    written = room.times_sure, room.left, room.upto, room.before, room.slot
    rest = room.row_sentence, room.row_word, room.word_sentence, room.word_bounds, room.row_bounds
    number, limit = torch.rand(words), torch.ones(1)
    chosen = torch.arange(words) % 8
    cases = {
        arrange: (*SHAPE, *given, room.numbers, room.positions, room.row_sentence),
        settle: (Form(True, 1, 1, True), number, limit, chosen, *written, room.counts.counted[1],
                 *rest),
    }  # fmt: skip
    found = {}
    with torch.inference_mode():
        for function, arguments in cases.items():
            torch._dynamo.reset()
            metrics.reset()
            compiled = torch.compile(function, dynamic=True, fullgraph=True)
            _, code = run_and_get_code(compiled, *arguments)
            calls = re.findall(r"= (?:extern_kernels|torch\.ops\.aten)\.\w+", "\n".join(code))
            found[function.__name__] = metrics.generated_kernel_count, len(calls)
        with seen("cpu") as planned:
            met = plan(room, SHAPE)
            asking, read = met.asking, met.read
            assert len((met.mask, asking.at, read.at, asking.grid, asking.out)) == 5
        with seen("cpu") as decided:
            halt = halting(room, rule, chosen, number, limit)
            room.alive.index_copy_(0, chosen, ~halt)
            room.alive[:1].fill_(False)
            mark(room, "copy", 1)
    assert (len(planned.kernels), len(decided.kernels)) == (25, 35)
    assert found["arrange"][0] <= 10
    assert found["arrange"][1] == 0
    assert found["settle"][0] <= 14
    assert found["settle"][1] <= 5
