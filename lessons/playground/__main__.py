"""Draws the still pictures; brings what the page needs to run the scenarios."""

import argparse
import sys
from pathlib import Path

from lessons.playground import assets
from lessons.playground.npm import NotFetched
from lessons.playground.stage import LESSONS, picture


def drawn() -> dict[Path, str]:
    """Every still picture, and what should be in it."""
    return {
        path.with_name("play.html"): picture(path.parent.relative_to(LESSONS).as_posix())
        for path in sorted(LESSONS.glob("*/*/playground.py"))
    }


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(prog="python -m lessons.playground", description=__doc__)
    parser.add_argument("command", choices=("draw", "assets"))
    if parser.parse_args().command == "draw":
        for path, text in drawn().items():
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(LESSONS.parent))
        return 0
    try:
        assets.make()
    except NotFetched as error:
        print(f"{error}\nThe site is built all the same; its diagrams show still pictures and say so.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
