"""The README's picture: words of a real run, coloured by the layer at which they left.

    python benchmarks/picture.py runs/ewt_one --out docs/images/words

writes ``words.svg`` and ``words.json``, which has what the model said. The colours are readable on
light and dark pages, since each word brings its own background.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402

TEXTS = (
    "My flight from Heathrow to San Francisco with British Airways was late again .",
    "Google bought YouTube from Chad Hurley in November 2006 .",
    "Yesterday the Prime Minister of Japan met Tim Cook in Tokyo .",
)
# From light to dark; ink changes where the ground gets too dark for black.
GROUNDS = ("#e3eefb", "#c3dcf6", "#9cc4ee", "#6ba6e2", "#2f74bd", "#123f7d")
PER_CHAR, PAD, GAP, LINE, HEIGHT = 8.2, 6, 4, 54, 26
WIDEST, PARAGRAPH = 500, 8  # so wide that a phone can still be read
STYLE = (
    "text{font:13.5px ui-sans-serif,system-ui,Helvetica,Arial,sans-serif}"
    ".b{font-weight:700}.t{font-size:10.5px;fill:#6e7781;text-anchor:middle}.k{fill:#6e7781}"
    "@media(prefers-color-scheme:dark){.t,.k{fill:#a0a8b2}}"
)


def answers(folder: str, texts: Sequence[str]) -> dict[str, Any]:
    """What a run says of the texts, in int8, one by one."""
    from tokenexit import ExitModelForTokenClassification

    tagger = ExitModelForTokenClassification.from_pretrained(folder).use(precision="int8")
    found = []
    for text in texts:
        (one,) = tagger.predict([text])
        entities = [[entity.text, entity.type, entity.score] for entity in one.entities]
        layers = {"words": one.words, "labels": one.labels, "exit_layers": one.exit_layers}
        found.append({"text": text, "entities": entities, **layers})
    return {
        "run": Path(folder).name,
        "policy": tagger.policy.to_config(),
        "num_layers": tagger.backbone.num_layers,
        "texts": found,
    }


def picture(found: Mapping[str, Any]) -> str:
    """The SVG."""
    lines, width, top = [], 0.0, 8
    for text in found["texts"]:
        left = 8.0
        for word, label, layer in zip(*_columns(text), strict=True):
            wide = PER_CHAR * len(word) + 2 * PAD
            if left + wide > WIDEST:
                width, left, top = max(width, left), 8.0, top + LINE
            lines += _word(word, label, layer, left, top, wide, found["num_layers"])
            left += wide + GAP
        width, top = max(width, left), top + LINE + PARAGRAPH
    lines.append(_legend(found["num_layers"], top))
    size = f'width="{width + 8:.0f}" height="{top + 34}"'
    box = f'viewBox="0 0 {width + 8:.0f} {top + 34}"'
    title = "Words coloured by the layer at which they left the network"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img">'
    return "\n".join([head, f"<title>{title}</title><style>{STYLE}</style>", *lines, "</svg>\n"])


def _columns(text: Mapping[str, Any]) -> tuple[list[str], list[str], list[int]]:
    return text["words"], text["labels"], text["exit_layers"]


def _ground(layer: int, num_layers: int) -> tuple[str, str]:
    """Colours of the ground and of the ink on it."""
    place = round((layer - 1) * (len(GROUNDS) - 1) / max(num_layers - 1, 1))
    return GROUNDS[place], "#ffffff" if place >= 4 else "#10233b"


def _word(
    word: str, label: str, layer: int, left: float, top: int, wide: float, num_layers: int
) -> list[str]:
    ground, ink = _ground(layer, num_layers)
    middle, bold = left + wide / 2, "" if label == "O" else ' class="b"'
    told = str(layer) if label == "O" else f"{label.partition('-')[2]} {layer}"
    return [
        f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{HEIGHT}" rx="4" '
        f'fill="{ground}"/>',
        f'<text x="{middle:.1f}" y="{top + 17.5}" text-anchor="middle" fill="{ink}"{bold}>'
        f"{escape(word)}</text>",
        f'<text x="{middle:.1f}" y="{top + HEIGHT + 12}" class="t">{told}</text>',
    ]


def _legend(num_layers: int, top: int) -> str:
    parts = [f'<text x="8" y="{top + 17}" class="k">left at layer</text>']
    for layer in range(1, num_layers + 1):
        ground, ink = _ground(layer, num_layers)
        left = 70 + 32 * layer
        parts.append(f'<rect x="{left}" y="{top}" width="28" height="24" rx="4" fill="{ground}"/>')
        parts.append(
            f'<text x="{left + 14}" y="{top + 16.5}" text-anchor="middle" fill="{ink}">'
            f"{layer}</text>"
        )
    return "\n".join(parts)


def main(argv: Sequence[str]) -> None:
    """Ask the run, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", help="folder of a tagger; without it the JSON is drawn")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/words", help="no suffix")
    parser.add_argument("--texts", nargs="+", default=TEXTS)
    given = parser.parse_args(argv)
    record = given.out.with_suffix(".json")
    if given.run is not None:
        write_text(record, to_json(answers(given.run, given.texts), indent=1) + "\n")
    if not record.is_file():
        raise UserError(f"There is no {record} to draw; give the folder of a tagger.")
    found = json.loads(record.read_text(encoding="utf-8"))
    write_text(given.out.with_suffix(".svg"), picture(found))


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
