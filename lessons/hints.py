"""The hints of an exercise: ``hints.md``, in three levels.

Level 1 says where to look, level 2 what to think of, level 3 nearly how it is written. Each stands under ``## Level n``.
"""

import re
from pathlib import Path

LEVELS = 3
_LEVEL = re.compile(r"^## Level (\d)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def read(path: Path) -> list[str]:
    """The hints by level; empty where a level is missing, or the file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {int(level): words.strip() for level, words in _LEVEL.findall(text)}
    return [found.get(level, "") for level in range(1, LEVELS + 1)]
