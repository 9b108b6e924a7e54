"""A network of fewer heads and neurons, around the weights of a whole one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.backbones.base import Backbone
from tokenexit.backbones.channels import Channels, Cut
from tokenexit.backbones.inference_modules import is_linear
from tokenexit.backbones.twin import with_parts
from tokenexit.errors import UserError
from tokenexit.widths import Entry, Widths, count_of

B = TypeVar("B", bound=Backbone)

_COUNTS = ("num_attention_heads", "num_heads", "n_heads")
"""What attentions call the number of their heads."""

Cuts = dict[nn.Module, tuple[Cut | None, Cut | None]]
"""Rows and columns of linear layers that are kept; None for all."""


Parts = dict[nn.Module, nn.Module]
"""Linear layers, and what is left of them."""


class NarrowLinear(nn.Module):
    """Part of a linear layer, with gradients to the whole.

    Args:
        linear: The whole.
        rows: Outputs that are kept; None for all.
        columns: Inputs likewise.
    """

    def __init__(self, linear: nn.Linear, rows: Cut | None, columns: Cut | None) -> None:
        super().__init__()
        self.whole = linear
        self._rows, self._columns = (_placed(cut, linear) for cut in (rows, columns))

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in kept] -> [..., out kept]``."""
        return F.linear(rows, *cut_out(self.whole, self._rows, self._columns))


def explicit(backbone: Backbone, widths: Widths) -> Widths:
    """Widths with an entry for each layer of a network.

    Raises:
        UserError: They do not fit it, its family is not sliced, or layers that share their weights
            would not share their widths.
    """
    every = [backbone.channels(index) for index in range(backbone.num_layers)]
    made = widths.of([one.heads.count for one in every], [one.neurons.count for one in every])
    seen: dict[nn.Module, int] = {}
    for index, one in enumerate(every):
        first = seen.setdefault(one.heads.out, index)
        entries = [(made.of_heads[at], made.of_neurons[at]) for at in (first, index)]
        if entries[0] != entries[1]:
            raise UserError(
                f"Layers {first + 1} and {index + 1} share their weights, and widths keep other "
                "heads or neurons of each: give both the same."
            )
    return made


def sliced(backbone: B, widths: Widths, *, learn: bool = False) -> B:
    """The same network with fewer heads and neurons; the one given is left as it is.

    What has nothing sliced is shared: embeddings, norms, the head. The answers are those of the
    whole network with the others' weights at zero.

    Args:
        backbone: A whole network.
        widths: What is kept.
        learn: Whether gradients go to the whole network's weights, which are cut out at each
            product. Else the parts are copies, as small as they look.

    Raises:
        UserError: As ``explicit``; or a layer to be sliced is not a plain linear one.
    """
    made = explicit(backbone, widths)
    return around(backbone, made, parts_of(backbone, made, learn=learn))


def parts_of(backbone: Backbone, widths: Widths, *, learn: bool = False) -> Parts:
    """What is left of each linear layer; the arguments are those of ``sliced``.

    Args:
        backbone: A whole network.
        widths: With an entry for each layer.
        learn: As there.
    """
    with torch.inference_mode(False):  # numbers that gradients may need later
        cuts = cuts_of(backbone, widths)
        return {linear: _part(linear, *cut, learn=learn) for linear, cut in cuts.items()}


def around(backbone: B, widths: Widths, parts: Parts) -> B:
    """A network with parts in the places of wholes.

    Args:
        backbone: A whole network.
        widths: With an entry for each layer.
        parts: From ``parts_of``.
    """
    model = with_parts(backbone.model, parts)
    found = type(backbone)(model)
    found.widths = widths
    for index, entry in enumerate(widths.of_heads):
        _tell(model, found.channels(index).heads.into[0], count_of(entry))
    return found


def cuts_of(backbone: Backbone, widths: Widths) -> Cuts:
    """Which rows and columns of which layers are kept.

    Args:
        backbone: A whole network.
        widths: With an entry for each layer.
    """
    cuts: Cuts = {}
    for channels, entry in kept(backbone, widths):
        for linear in channels.into:
            cuts[linear] = channels.rows(entry), None
        cuts[channels.out] = None, channels.columns(entry)
    names = {module: name for name, module in backbone.model.named_modules()}
    for linear in cuts:
        if not is_linear(linear):
            raise UserError(
                f"{names[linear]} is not a plain linear layer but a {type(linear).__name__}, or "
                "has a hook: widths cannot slice it. Merge adapters, take hooks away, or leave "
                "widths out."
            )
    return cuts


def kept(backbone: Backbone, widths: Widths) -> Iterator[tuple[Channels, Entry]]:
    """Heads and neurons of each layer, with what is kept of them.

    Args:
        backbone: A whole network.
        widths: With an entry for each layer.
    """
    for index, entries in enumerate(zip(widths.of_heads, widths.of_neurons, strict=True)):
        found = backbone.channels(index)
        yield from zip((found.heads, found.neurons), entries, strict=True)


def cut_out(
    linear: nn.Linear, rows: Cut | None, columns: Cut | None
) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a part, as views where rows and columns are the first ones."""
    weight, bias = linear.weight, linear.bias
    if rows is not None:
        weight, bias = weight[rows], None if bias is None else bias[rows]
    return weight if columns is None else weight[:, columns], bias


def zeroed(backbone: Backbone, widths: Widths) -> dict[str, Tensor]:
    """Weights of a network by name, zero where widths leave out: it answers as the sliced one does.

    Args:
        backbone: A whole network, left as it is.
        widths: What is kept.

    Raises:
        UserError: As ``sliced``.
    """
    names = {module: name for name, module in backbone.model.named_modules()}
    state: dict[str, Tensor] = backbone.model.state_dict()
    for linear, (rows, columns) in cuts_of(backbone, explicit(backbone, widths)).items():
        for part in ("weight", "bias") if rows is not None else ("weight",):
            name = f"{names[linear]}.{part}"
            if name in state:
                where = rows if rows is not None else (slice(None), columns)
                kept = torch.zeros_like(state[name])
                kept[where] = state[name][where]
                state[name] = kept
    return state


def _part(linear: Any, rows: Cut | None, columns: Cut | None, *, learn: bool) -> nn.Module:
    if learn:
        return NarrowLinear(linear, rows, columns)
    with torch.inference_mode(False), torch.no_grad():
        weight, bias = cut_out(linear, *(_placed(cut, linear) for cut in (rows, columns)))
        made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
        made.weight = nn.Parameter(weight.clone(memory_format=torch.contiguous_format), False)
        if bias is not None:
            made.bias = nn.Parameter(bias.clone(), False)
    return made.eval()


def _placed(cut: Cut | None, linear: nn.Linear) -> Cut | None:
    return cut.to(linear.weight.device) if isinstance(cut, Tensor) else cut


def _tell(model: nn.Module, projection: nn.Module, heads: int) -> None:
    """Tell the attention that holds a projection how many heads it has."""
    for part in model.modules():
        if projection in part._modules.values():
            for name in _COUNTS:
                if name in vars(part):
                    setattr(part, name, heads)
