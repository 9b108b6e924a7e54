"""A twin of a module for inference: in evaluation mode, around the same weights.

The module itself is never switched between modes, so that nobody who holds it, such as another
thread, sees its dropout come or go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules import module as registry

_COLLECTING = "transformers.utils.output_capturing"

M = TypeVar("M", bound=nn.Module)
Replace = Callable[[nn.Module], nn.Module | None]
"""What may stand in the place of a module of the twin; None for the module itself."""


def evaluated(module: M) -> M:
    """The module itself if all of it is in evaluation mode, else a twin that is."""
    if not any(part.training for part in module.modules()):
        return module
    return twin(module, _nothing, _nothing)


def twin(module: M, instead: Replace, leaner: Replace) -> M:
    """The same tree of modules around the same parameters and buffers, in evaluation mode.

    Args:
        module: Left as it is.
        instead: Asked about each module: what to use in its place, without looking inside.
        leaner: Asked about the twin of each, whose own modules have been replaced already.
    """
    done: dict[nn.Module, nn.Module] = {}
    made: Any = _twin(module, instead, leaner, done)
    return made


def _twin(
    module: nn.Module, instead: Replace, leaner: Replace, done: dict[nn.Module, nn.Module]
) -> nn.Module:
    if module not in done:
        if _as_it_is(module):
            done[module] = module
        else:
            done[module] = instead(module) or _copied(module, instead, leaner, done)
    return done[module]


def _copied(
    module: nn.Module, instead: Replace, leaner: Replace, done: dict[nn.Module, nn.Module]
) -> nn.Module:
    # Not `copy`, which modules may refuse or make something of their own of.
    made: nn.Module = type(module).__new__(type(module))
    made.__dict__.update(module.__dict__, training=False)
    made._modules = {
        name: None if child is None else _twin(child, instead, leaner, done)
        for name, child in module._modules.items()
    }
    # Found at once, without asking the registries of nn.Module.
    made.__dict__.update(made._modules)
    own: Any = made.__dict__.get("forward")
    if isinstance(own, MethodType) and own.__self__ is module:
        made.forward = MethodType(own.__func__, made)
    return leaner(made) or made


def _as_it_is(module: nn.Module) -> bool:
    """Whether a module has to be called itself: somebody listens to it, or has put in code."""
    special = not unheard(module) or "forward" in module.__dict__
    special = special or isinstance(module, torch.jit.ScriptModule)
    return special and not any(part.training for part in module.modules())


def unheard(module: nn.Module) -> bool:
    """Whether nobody listens to a module with hooks.

    Those that transformers leaves for ``output_hidden_states`` sleep unless its own forward runs.
    """
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    return all(getattr(hook, "__module__", None) == _COLLECTING for hook in hooks)


def anybody_listens() -> bool:
    """Whether somebody listens to all modules there are."""
    return bool(registry._global_forward_hooks or registry._global_forward_pre_hooks)


def _nothing(module: nn.Module) -> None:
    return None


def with_parts(module: M, parts: Mapping[nn.Module, nn.Module]) -> M:
    """The same tree with other modules in some places, in the mode that it is in.

    Args:
        module: Left as it is; what holds none of the parts is shared.
        parts: What to use in the place of which module.
    """
    done: dict[nn.Module, nn.Module] = dict(parts)
    made: Any = _with_parts(module, done)
    return made


def _with_parts(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    if module not in done:
        held = {
            name: None if child is None else _with_parts(child, done)
            for name, child in module._modules.items()
        }
        same = all(one is module._modules[name] for name, one in held.items())
        done[module] = module if same else _around(module, held)
    return done[module]


def _around(module: nn.Module, held: dict[str, nn.Module | None]) -> nn.Module:
    """The same module around others; as in ``_copied``."""
    made: nn.Module = type(module).__new__(type(module))
    made.__dict__.update(module.__dict__)
    made._modules = held
    made.__dict__.update({name: one for name, one in held.items() if name in module.__dict__})
    own: Any = made.__dict__.get("forward")
    if isinstance(own, MethodType) and own.__self__ is module:
        made.forward = MethodType(own.__func__, made)
    return made
