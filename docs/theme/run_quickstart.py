"""Run the cells of ``docs/quickstart.ipynb`` and keep what they say, without bars of progress.

    pip install nbclient ipykernel && python docs/theme/run_quickstart.py

The run itself is made in a folder that is thrown away.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "quickstart.ipynb"
NOISE = re.compile(r"\S.*: +\d+%\||.*TqdmWarning|  from \.autonotebook| +$|$")
"""Lines that are worth nothing once they were seen."""


def kept(outputs: list[Any]) -> list[Any]:
    """Outputs of a cell: streams as one, in the order in which they came."""
    text = "".join(one["text"] for one in outputs if one["output_type"] == "stream")
    said = [line for line in text.splitlines() if not NOISE.match(line)]
    stream = {"output_type": "stream", "name": "stdout", "text": "\n".join(said) + "\n"}
    return [stream, *(one for one in outputs if one["output_type"] != "stream")]


def main() -> None:
    """Run all cells; the first error ends it, and the notebook stays as it is."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=None, record_timing=False)
        client.execute(cwd=folder)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(one) for one in kept(cell.outputs)]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
