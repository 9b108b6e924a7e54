"""Every instruction set that this machine has; skipped only where there is no compiler."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tokenexit import kernels
from tokenexit.kernels import Library, build


@pytest.fixture(scope="session")
def library() -> Library:
    found = kernels.library()
    if found is None:
        pytest.skip(kernels.status())
    return found


@pytest.fixture(params=list(build.INSTRUCTION_SETS))
def each(library: Library, request: pytest.FixtureRequest) -> Iterator[Library]:
    """The library while it runs one instruction set."""
    if request.param not in library.isas():
        pytest.skip(f"This machine has no {request.param}.")
    before = library.isa
    library.use(request.param)
    yield library
    library.use(before)
