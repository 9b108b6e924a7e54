"""``python -m tokenexit``: the console script."""

from tokenexit.cli import main

main()
