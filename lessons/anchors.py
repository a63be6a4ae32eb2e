"""The addresses of headings, so that none is lost: ``lessons/anchors.txt`` remembers them.

    make site && python -m lessons.anchors      adds what is new; never takes anything away

Only pages that people write are listed. In the reference a heading's address is a name in the code, and goes with it. The
headings of drafts are not listed either: nobody should link to them yet.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lessons import catalogue
from lessons.catalogue import LESSONS

LIST = LESSONS / "anchors.txt"
_ARTICLE = re.compile(r"<article.*?</article>", re.DOTALL)
_ANCHOR = re.compile(r'<(?:h[1-6][^>]*|a) id="([^"]+)"')


def listed() -> list[str]:
    """The addresses that must stay."""
    return LIST.read_text(encoding="utf-8").split()


def found(site: Path, *, drafts: bool = True) -> list[str]:
    """The addresses that a built site has, such as ``guides/write-a-lesson/#how-it-should-read``."""
    addresses: list[str] = []
    left_out = {lesson.name for lesson in catalogue.lessons() if lesson.is_draft and not drafts}
    for page in sorted(site.rglob("index.html")):
        name = page.parent.relative_to(site).as_posix()
        if name.startswith("reference") or any(name.startswith(draft) for draft in left_out):
            continue
        text = "".join(_ARTICLE.findall(page.read_text(encoding="utf-8")))
        addresses += [f"{name}/#{anchor}" for anchor in sorted(set(_ANCHOR.findall(text)))]
    return addresses


def main(arguments: Sequence[str]) -> int:
    """Add what is new."""
    site = Path(arguments[0]) if arguments else LESSONS.parent / "site"
    if not (site / "index.html").is_file():
        print(f"there is no site in {site}: make site", file=sys.stderr)
        return 1
    before = set(listed()) if LIST.is_file() else set[str]()
    fresh = set(found(site, drafts=False)) - before
    LIST.write_text("\n".join(sorted(before | fresh)) + "\n", encoding="utf-8")
    print("\n".join(sorted(fresh)) or "nothing new")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
