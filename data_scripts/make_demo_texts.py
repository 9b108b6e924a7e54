"""Make English-like texts with a label: ``python make_demo_texts.py OUTPUT_DIR``."""

from __future__ import annotations

import argparse

from tokenexit.demo.texts import write
from tokenexit.errors import UserError


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("output_dir")
    parser.add_argument("--texts", type=int, default=4000, help="training texts")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.texts < 1:
        parser.error(f"--texts must be at least 1, not {args.texts}")
    try:
        print(write(args.output_dir, texts=args.texts, seed=args.seed))
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
