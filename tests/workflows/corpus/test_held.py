"""What is held while a corpus is predicted: a few batches of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tokenexit.data.corpus import Reader
from tokenexit.workflows.corpus import parts as module
from tokenexit.workflows.corpus import predict_corpus

pytestmark = pytest.mark.slow


@pytest.fixture
def held(monkeypatch) -> list[int]:
    """How many rows were read and not yet written, after each that was read."""
    count = 0
    most: list[int] = []
    read, line = Reader.stored, module.files.json_line

    def reading(self: Reader, start: int, stop: int) -> Iterator[Any]:
        nonlocal count
        for row in read(self, start, stop):
            count += 1
            most.append(count)
            yield row

    def writing(record: Any) -> str:
        nonlocal count
        count -= 1
        return line(record)

    monkeypatch.setattr(Reader, "stored", reading)
    monkeypatch.setattr(module.files, "json_line", writing)
    return most


@pytest.mark.parametrize(("kind", "ahead"), [("tagger", 1), ("generator", 4)])
def test_no_more_than_is_answered_together(kind, ahead, asked, models, write, held):
    from tokenexit.workflows.commands import open_model

    model = models(kind)
    batches = open_model(str(model)).model.look_ahead
    most = []
    for count in (40, 160):
        held.clear()
        data = write([{"text": "ada"}] * count, name=f"{kind}{count}")
        told = {"data": data, "model": model, "block_size": 1000, "batch_size": 3}
        predict_corpus(asked(f"{kind} {count}", **told))
        assert len(held) == count
        most.append(max(held))
    assert most[0] == most[1] == 3 * batches
