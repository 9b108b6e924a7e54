"""The check of a backbone, an encoder family."""

from __future__ import annotations

from typing import Any

from tokenexit.backbones import BACKBONES, Backbone
from tokenexit.testing.backbone_pieces import PIECES
from tokenexit.testing.backbone_whole import WHOLE
from tokenexit.testing.network_case import BackboneCase


def check_backbone(backbone: str | type[Backbone], **changes: Any) -> None:
    """Check that a backbone keeps its promises, against the transformers model that it wraps.

    Networks are built from its ``example_config``, under every implementation of attention that
    the family has.

    Args:
        backbone: A registered ``model_type``, or the class: all that it is registered for.
        changes: Of the configuration, for another path through the family's code.

    Raises:
        AssertionError: It breaks one; the message says which, and how to mend it.
    """
    known = dict(BACKBONES.items())
    names = [name for name, cls in known.items() if backbone in (name, cls)]
    for name in names or [str(backbone)]:
        case = BackboneCase(name, changes)
        told = f"{BACKBONES.get(name).__name__}({name!r}{', ' if changes else ''}"
        told += ", ".join(f"{key}={value!r}" for key, value in changes.items()) + ")"
        WHOLE.hold(case, told)
        PIECES.hold(case, told)
