"""``python -m tokenexit.cli``."""

from tokenexit.cli import main

main()
