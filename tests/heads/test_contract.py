"""Every registered head and gate keeps its promises, and a broken one is told what to mend."""

from __future__ import annotations

import pytest
from torch import nn

from tokenexit.gates import GATES, ExitGate
from tokenexit.heads import HEADS, ExitHead
from tokenexit.testing import check_gate, check_head


@pytest.mark.parametrize("name", [name for name, _ in HEADS.items()])
def test_a_head_keeps_its_promises(name):
    check_head(name)


@pytest.mark.parametrize("name", [name for name, _ in GATES.items()])
def test_a_gate_keeps_its_promises(name):
    check_gate(name)


class Plain(ExitHead):
    """A projection; parts of it are broken below."""

    def __init__(self, width, num_classes, *, dropout=0.1):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, num_classes)

    def forward(self, hidden, past=None, /):
        return self.project(self.dropout(hidden))

    @property
    def macs(self):
        return self.project.weight.numel()


class Drops(Plain):
    """In eval."""

    def forward(self, hidden, past=None, /):
        return self.project(nn.functional.dropout(hidden, 0.1))


class Centred(Plain):
    """On the batch."""

    def forward(self, hidden, past=None, /):
        return self.project(hidden - hidden.mean(dim=0))


class Cheap(Plain):
    """Says it costs nothing."""

    macs = 0


class Single(Plain):
    """Gives one number a row."""

    def forward(self, hidden, past=None, /):
        return self.project(self.dropout(hidden))[:, 0]


class Idle(Plain):
    """Has a weight too many."""

    def __init__(self, width, num_classes, *, dropout=0.1):
        super().__init__(width, num_classes, dropout=dropout)
        self.unused = nn.Linear(width, width)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Drops, "(alone differs|asked twice)"),
        (Centred, "no statistics of the batch"),
        (Cheap, "macs says 0 .*torch counts 80"),
        (Single, r"not \[7, 5\]"),
        (Idle, r"unused\.weight, unused\.bias get no gradient"),
    ],
)
def test_a_broken_head_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(HEADS, "_members", {**HEADS._members, "broken": broken})
    with pytest.raises(AssertionError, match=f"(?s){broken.__name__}.*{told}"):
        check_head("broken")


def test_what_is_not_saved(monkeypatch):
    made = iter(range(100))

    class Forgets(Plain):
        """Keeps a number that is not saved."""

        def __init__(self, width, num_classes, *, dropout=0.1):
            super().__init__(width, num_classes, dropout=dropout)
            self.scale = 1.0 + next(made)

        def forward(self, hidden, past=None, /):
            return self.project(self.dropout(hidden)) * self.scale

    monkeypatch.setattr(HEADS, "_members", {**HEADS._members, "broken": Forgets})
    with pytest.raises(AssertionError, match="register_buffer"):
        check_head(Forgets)


def test_a_broken_gate_is_told_what_to_mend(monkeypatch):
    class Held(ExitGate):
        """Detaches what it reads."""

        def __init__(self, width, num_classes, exits):
            super().__init__()
            self.project = nn.Linear(width, 1)

        def forward(self, signals):
            return self.project(signals.hidden.detach()).sigmoid()[:, 0]

        @property
        def macs(self):
            return self.project.weight.numel()

    monkeypatch.setattr(GATES, "_members", {**GATES._members, "broken": Held})
    with pytest.raises(AssertionError, match=r"Held\('broken'\).*\n.*do not detach"):
        check_gate(Held)
