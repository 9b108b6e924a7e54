"""Pages of the site that lie outside docs/, and links that work on it as they do in the repository.

The README is the home page. What recipes recorded is shown under ``recorded/``. Links to other
files, such as tests, lead into the repository where mkdocs.yml has its address (``repo_url``);
without one their text stays.
"""

from __future__ import annotations

import functools
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAMED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
RECORDED = "recipes/results/"

# Code is matched first, so that what looks like a link in it stays.
LINK = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`(?!\]))|(?P<head>!?\[(?P<text>[^\]]*)\]\()"
    r"(?!\w+:)(?P<to>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)",
    re.DOTALL,
)


@functools.cache
def outside() -> dict[str, str]:
    """Where files of the repository that are not in docs/ stand on the site."""
    found = dict(NAMED)
    for path in sorted((ROOT / RECORDED).rglob("*.*")):
        if path.suffix in (".md", ".svg"):
            name = path.relative_to(ROOT).as_posix()
            # A README would be the folder's index; the page's own name is plainer.
            found[name] = "recorded/" + name.removeprefix(RECORDED).replace("README.md", "table.md")
    return found


def place_of(name: str) -> str | None:
    """Where a file of the repository stands on the site; None if it does not."""
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    return outside().get(name)


def relinked(text: str, name: str, repository: str | None = None) -> str:
    """A page with its relative links as the site needs them.

    Args:
        text: Markdown.
        name: The page's file in the repository, such as ``docs/clock.md``.
        repository: Address for files that are not on the site.
    """
    here = place_of(name) or name

    def link(found: re.Match[str]) -> str:
        if found["code"] or not found["to"]:
            return found[0]
        to = posixpath.normpath(posixpath.join(posixpath.dirname(name), found["to"]))
        place, anchor = place_of(to), found["anchor"] or ""
        if (ROOT / to).is_dir():
            place = place_of(f"{to}/README.md")
        if place is not None:
            return f"{found['head']}{posixpath.relpath(place, posixpath.dirname(here))}{anchor})"
        if repository:
            return f"{found['head']}{repository.rstrip('/')}/blob/main/{to}{anchor})"
        return found["text"]

    return LINK.sub(link, text)


def on_files(files: Any, config: Any) -> Any:
    """Add what lies outside docs/."""
    from mkdocs.structure.files import File

    for name, place in outside().items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Before a page is rendered."""
    name = Path(page.file.abs_src_path).relative_to(ROOT).as_posix()
    # Marks of tables that scripts write are for the scripts.
    return relinked(markdown, name, config.repo_url)
