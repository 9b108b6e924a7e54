"""A contract: what every member of a vocabulary promises, and how a breach is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.registry import Registry

T = TypeVar("T")


class Contract(Generic[T]):
    """Promises of one kind of member, each a function that raises ``AssertionError``.

    Args:
        kind: What a member is, for messages: ``"policy"``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.promises: list[Callable[[T], None]] = []

    def promise(self, check: Callable[[T], None]) -> Callable[[T], None]:
        """Decorator: add a check, whose docstring says what is promised."""
        self.promises.append(check)
        return check

    def hold(self, member: T, name: str) -> None:
        """Check a member against all promises.

        Args:
            member: What is checked.
            name: What messages call it.

        Raises:
            AssertionError: Names the member, the promise, what was found and how to mend it.
        """
        for check in self.promises:
            said = (check.__doc__ or check.__name__).strip().splitlines()[0]
            with _Naming(f"{name} breaks a promise of every {self.kind}: {said}"):
                check(member)


class NamedContract(Contract[T]):
    """Promises of all members of a registry, each of which is checked by its name.

    Args:
        registry: Where members are.
        case: What its promises are checked on, of a name.
    """

    def __init__(self, registry: Registry[Any], case: Callable[[str], T]) -> None:
        super().__init__(registry.kind)
        self._registry = registry
        self._case = case

    def check(self, member: str | type) -> None:
        """Check that a member keeps its promises.

        Args:
            member: A registered class or its name.

        Raises:
            AssertionError: It breaks one; the message says which, and how to mend it.
        """
        name = member if isinstance(member, str) else self._registry.name_of(member)
        self.hold(self._case(name), f"{self._registry.get(name).__name__}({name!r})")


def instances(member: Any, registry: Registry[Any]) -> Sequence[Any]:
    """What stands for a member: itself, or the ``examples`` of a class or of a name."""
    if isinstance(member, str):
        member = registry.get(member)
    if not isinstance(member, type):
        return [member]
    kind: Any = member
    examples = kind.examples()
    require(examples, f"{kind.__name__}.examples() is empty: give one instance or more.")
    return examples


class _Naming:
    """Say which promise was being checked when anything is raised."""

    def __init__(self, promise: str) -> None:
        self.promise = promise

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, AssertionError | UserError):
            raise AssertionError(f"{self.promise}\n{error}") from error
        if error is not None:
            error.add_note(self.promise)


def require(truth: Any, message: str) -> None:
    """Raise ``AssertionError`` unless something is true, also under ``python -O``."""
    if not truth:
        raise AssertionError(message)


def require_close(
    found: Tensor, wanted: Tensor, what: str, atol: float = 1e-5, rtol: float | None = None
) -> None:
    """Compare two tensors.

    Args:
        found: Of the member.
        wanted: As it should be.
        what: Which tensor that is, and what may have gone wrong.
        atol: Absolute tolerance.
        rtol: Relative tolerance; ``atol`` when None.
    """
    require(
        found.shape == wanted.shape,
        f"{what}: the shape is {list(found.shape)} and should be {list(wanted.shape)}.",
    )
    torch.testing.assert_close(
        found, wanted, atol=atol, rtol=atol if rtol is None else rtol, msg=f"{what}: {{}}".format
    )


def require_raises(
    kinds: type[Exception] | tuple[type[Exception], ...], call: Callable[[], Any], message: str
) -> None:
    """Raise ``AssertionError`` with a message unless a call raises one of the given kinds."""
    try:
        call()
    except kinds:
        return
    raise AssertionError(message)
