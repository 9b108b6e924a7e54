"""The check of a scorer: a learned number of each row before a layer."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tokenexit.scorers import SCORERS, RowScorer, build_scorer
from tokenexit.testing.contract import NamedContract, require, require_close

WIDTH, ROWS = 6, 7
SCORER = NamedContract(SCORERS, str)


def check_scorer(scorer: str | type[RowScorer]) -> None:
    """Check that a scorer keeps its promises."""
    SCORER.check(scorer)


def made(name: str) -> tuple[RowScorer, Tensor]:
    """A scorer, and states of rows."""
    torch.manual_seed(0)
    scorer = build_scorer({"name": name}, WIDTH).eval()
    return scorer, torch.randn(ROWS, WIDTH, requires_grad=True)


@SCORER.promise
def judges_each_row_alone(name: str) -> None:
    """It gives a number for each row, whatever other rows there are."""
    scorer, hidden = made(name)
    said = scorer(hidden)
    require(said.shape == (ROWS,), f"of {ROWS} rows it gave {list(said.shape)}, not [{ROWS}].")
    require(said.std() > 1e-3, f"fresh, it says about the same of all rows: {said.tolist()}.")
    some = torch.tensor([5, 2])
    require_close(scorer(hidden[some]), said[some], "rows among fewer others differ")
    none = scorer(hidden[:0])
    require(none.shape == (0,), f"of no rows it gave {list(none.shape)}, not [0].")


@SCORER.promise
def learns(name: str) -> None:
    """A gradient reaches all its weights, and the states."""
    scorer, hidden = made(name)
    scorer(hidden).square().sum().backward()
    still = [n for n, w in scorer.named_parameters() if w.grad is None or not w.grad.any()]
    require(not still, f"no gradient reaches {', '.join(still)}.")
    require(hidden.grad is not None and hidden.grad.any(), "it holds the states apart: do not.")


@SCORER.promise
def costs_what_it_says(name: str) -> None:
    """``macs`` is what torch counts for a row."""
    scorer, hidden = made(name)
    with FlopCounterMode(display=False) as counter:
        scorer(hidden)
    counted = counter.get_total_flops() / (2 * ROWS)
    require(counted == scorer.macs, f"macs says {scorer.macs}, and torch counts {counted:g} a row.")


@SCORER.promise
def weights_come_back(name: str) -> None:
    """All that it knows is in its ``state_dict``."""
    first, hidden = made(name)
    with torch.no_grad():
        for weight in first.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    second, _ = made(name)
    second.load_state_dict(first.state_dict())
    require(second(hidden).equal(first(hidden)), "a fresh scorer with its state_dict differs.")
