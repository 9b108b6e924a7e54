"""An own decoder on start, step, fork and reorder: diverse beam search (Vijayakumar et al. 2018).

    python recipes/custom_decoder.py [MODEL ["a text" ...]]

MODEL is a run or model folder, or a Hub id; that of translation.py's demo by default.
Beams are split into groups that decode one after the other; a group pays for each token that an
earlier group has just chosen. Nothing here knows of exits: they happen inside ``step``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from tokenexit import ExitModelForSeq2SeqLM
from tokenexit.config import friendly_errors
from tokenexit.errors import UserError

DEMO = "runs/translation-demo"
TEXTS = ["the old man sees a small house"]


@torch.inference_mode()
def diverse_search(
    model: ExitModelForSeq2SeqLM, text: str, groups: int = 3, width: int = 2, most: int = 40
) -> list[str]:
    """The best text of each group; ``diversity`` is what repeating another group's token costs."""
    diversity = 0.5
    config = model.network.generation_config
    inputs = model.tokenizer([model.settings.source_prefix + text], return_tensors="pt").to(
        model.device
    )
    decoding = model.start(**inputs, max_steps=most)
    decoding.fork(groups * width)
    rows = groups * width
    tokens = torch.full((rows, 1), model.start_token, device=model.device)
    # At first all beams of a group are equal: only one of them may spread.
    scores = torch.full((groups, width), float("-inf"), device=model.device)
    scores[:, 0] = 0.0
    for _ in range(most):
        ended = (tokens[:, 1:] == config.eos_token_id).any(dim=1)
        if bool(ended.all()):
            break
        log_probs = decoding.step(tokens[:, -1]).logits.float().log_softmax(dim=-1)
        log_probs[ended] = float("-inf")  # an ended beam only repeats its end, at no cost
        log_probs[ended, config.eos_token_id] = 0.0
        penalty = torch.zeros(log_probs.shape[1], device=model.device)
        parents: list[Tensor] = []
        chosen: list[Tensor] = []
        for group, part in enumerate(log_probs.split(width)):
            total = scores[group, :, None] + part
            best = (total - diversity * penalty).flatten().topk(width).indices
            beam, token = best // part.shape[1], best % part.shape[1]
            scores[group] = total[beam, token]
            penalty.index_add_(0, token, torch.ones_like(token, dtype=penalty.dtype))
            parents.append(group * width + beam)
            chosen.append(token)
        origin = torch.cat(parents)
        decoding.reorder(origin)
        tokens = torch.cat([tokens[origin], torch.cat(chosen)[:, None]], dim=1)
    return [model.tokenizer.decode(t[0], skip_special_tokens=True) for t in tokens.split(width)]


def main(folder: str = DEMO, *texts: str) -> None:
    """Print what each group makes of each text."""
    if folder in ("-h", "--help"):
        print(__doc__)
        return
    if folder == DEMO and not (Path(DEMO) / "exit_config.json").is_file():
        raise UserError(
            f"There is no model in {DEMO}: run python recipes/translation.py first, or give a "
            'folder and texts: python recipes/custom_decoder.py MODEL "a text".'
        )
    model = ExitModelForSeq2SeqLM.from_pretrained(folder)
    for text in texts or TEXTS:
        print(text, *diverse_search(model, text), sep="\n  ")


if __name__ == "__main__":
    with friendly_errors():
        main(*sys.argv[1:])
