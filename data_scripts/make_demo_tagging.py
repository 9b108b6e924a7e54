"""Make tagged English-like sentences: ``python make_demo_tagging.py OUTPUT_DIR --task ner``."""

from __future__ import annotations

import argparse

from tokenexit.demo.tagging import TASKS, write
from tokenexit.errors import UserError


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("output_dir")
    parser.add_argument("--task", choices=TASKS, default="ner")
    parser.add_argument("--sentences", type=int, default=4000, help="training sentences")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.sentences < 1:
        parser.error(f"--sentences must be at least 1, not {args.sentences}")
    try:
        print(write(args.output_dir, args.task, args.sentences, args.seed))
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
