"""Make pairs of texts: ``python make_demo_pairs.py OUTPUT_DIR --task translation``."""

from __future__ import annotations

import argparse

from tokenexit.demo.pairs import MAKERS, write


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("output_dir")
    parser.add_argument("--task", choices=MAKERS, default="translation")
    parser.add_argument("--pairs", type=int, help="for training; by default as many as in the demo")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    try:
        print(write(args.output_dir, args.task, args.pairs, args.seed))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
