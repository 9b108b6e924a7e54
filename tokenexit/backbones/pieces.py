"""Whether a network may be run in pieces: nothing done to its larger modules would be passed over.

The engine calls the small modules, such as projections and norms, and replaces what those do
that hold them. A hook on a layer, or an attention of one's own, would have no effect.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from tokenexit.backbones.twin import unheard
from tokenexit.errors import UserError


def check_in_pieces(model: nn.Module, attentions: Iterable[nn.Module]) -> None:
    """Refuse what would be passed over in silence.

    Args:
        model: The whole network.
        attentions: Modules in it that the engine runs in pieces; with them, those that hold them.

    Raises:
        UserError: Says which module has a hook, a ``forward`` or a class that is not its own.
    """
    wanted = {id(module) for module in attentions}
    paths = [n.split(".") for n, module in model.named_modules() if id(module) in wanted]
    for name in sorted({".".join(path[:end]) for path in paths for end in range(len(path) + 1)}):
        module = model.get_submodule(name)
        what = _foreign(module, inside=bool(name))
        if what:
            raise UserError(
                f"{name or 'The model'} has {what}, which would have no effect: exits run this "
                f"{type(module).__name__} in pieces. Hooks and replacements work on the modules "
                "inside, such as the linear layers and norms."
            )


def _foreign(module: nn.Module, inside: bool) -> str | None:
    if not unheard(module):
        return "a forward hook"
    if "forward" in module.__dict__ and not hasattr(module, "_hf_hook"):
        return "a forward of its own"
    home = type(module).__module__
    if inside and not home.startswith(("transformers.", "torch.nn.modules.")):
        return f"a class from {home}"
    return None
