"""From a string to words, for texts that nobody has split yet."""

from __future__ import annotations

import re
import unicodedata

Span = tuple[int, int]

# Written with a dot that is their own. Those that are words as well are left out: No., Sun.
_ABBREVIATIONS = """
Mr Mrs Ms Dr Prof Rev Hon St Mt Ft Gen Lt Col Sgt Capt Cpl Maj Cmdr Sen Rep Gov Pres Jr Sr Inc
Corp Co Ltd Bros Dept Univ Assn Ave Blvd Rd Hwy Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec
Mon Tue Tues Wed Thu Thur Thurs Fri vs etc approx dr mr mrs st co inc Nr Hr Fr Mme Mlle Ont
Calif
""".split()

# One alternative a line, the first that fits wins. What is joined in writing stays together:
# addresses, handles, dates and times, abbreviations, faces, runs of one mark. Letters and digits
# stay together across an inner apostrophe, hyphen, dot, comma or ampersand ("don't", "3,000",
# "AT&T"); any other visible character stands alone.
_WORD = re.compile(
    rf"""
    (?i:https?://|ftp://|www\.|mailto:)\S*[^\s.,;:!?'"’”»)\]}}]/?
    |\w[\w.+\-]*@\w+(?:[.\-]\w+)*
    |(?<!\w)[@#]\w*[^\W\d]\w*
    |(?<![\w/])\d+(?:[:/]\d+)+(?!\w)
    |&(?:amp|lt|gt|quot|nbsp|apos);
    |(?<!\w)(?:{"|".join(_ABBREVIATIONS)})\.(?!\w)
    |(?<!\w)(?:[^\W\d_]\.){{2,}}(?!\w)
    |(?<!\w)(?!I)[A-Z]\.(?=\s+\w)
    |(?<!\w)[:;=][\-'^o]?[()\[\]dDpP3/\\|*$]+(?!\w)
    |(?<!\w)(?:\(:|\):|<3|\^_\^)(?!\w)
    |(?<!\S)['’´](?i:s|m|re|ve|ll|d|t|em|til|cause|\d\ds?)(?![\w'’])
    |(?<!\S)\.\w+
    |\w+-(?=\s+\w)
    |\w+(?:['’.,\-&]\w+)*
    |[!?]{{2,}}
    |([.\-*=~+\#^$%/\\|<>:,'`–—])\1+
    |[^\w\s]
    """,
    re.VERBOSE,
)


def split_words(text: str) -> tuple[list[str], list[Span]]:
    """Split a string into words and punctuation marks.

    Marks that belong to the letter before them (accents, vowel signs, joiners) stay with it.

    Returns:
        The words, and where each stands as ``(start, end)``.
    """
    spans: list[Span] = []
    joined = False
    for match in _WORD.finditer(text):
        start, end = match.span()
        kind = unicodedata.category(text[start])
        touches = bool(spans) and spans[-1][1] == start
        if touches and (kind[0] == "M" or kind == "Cf" or (joined and text[start].isalnum())):
            spans[-1] = spans[-1][0], end
            # After a mark the regular expression begins anew in the middle of a word.
            joined = text[spans[-1][0]].isalnum()
        elif kind != "Cf":
            spans.append((start, end))
            joined = False
    return [text[start:end] for start, end in spans], spans
