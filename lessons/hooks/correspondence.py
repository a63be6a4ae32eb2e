"""Tables of what the anchors' names are called in sleepy, from ``lessons/reference/fasthttp.toml`` and ``reliable.toml``."""

import re
import tomllib
from typing import Any

from lessons.catalogue import LESSONS

KINDS = {
    "fasthttp": {"option": "options", "method": "methods", "error": "errors"},
    "reliable": {"function": "functions", "field": "fields", "counter": "counters"},
}
_NAME = re.compile(r"([\w.]+?)(?:\((\w+)\))?")
_WHERE = {"C": "Client", "H": "HostClient", "P": "PipelineClient", "L": "LBClient", "D": "dialer"}


def rows(anchor: str, kind: str) -> list[dict[str, Any]]:
    """The rows of one table, such as fasthttp's ``option`` or reliable's ``counter``."""
    with (LESSONS / "reference" / f"{anchor}.toml").open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)[kind]
    return found


def cut(name: str) -> tuple[str, str]:
    """The dotted name below ``sleepy``, and the parameter, if one is named.

    Raises:
        ValueError: This is no name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is no dotted name with at most one parameter")
    return found[1], found[2] or ""


def table(anchor: str, kind: str) -> str:
    """One table, in Markdown. No cell is empty."""
    found = rows(anchor, kind)
    columns = [column for column in (anchor, "in", "sleepy") if column == "sleepy" or column in found[0]]
    lines = [columns, ["---"] * len(columns)]
    for row in found:
        cells = {
            anchor: f"`{row.get(anchor)}`",
            "in": ", ".join(_WHERE[letter] for letter in row.get("in", "")),
            "sleepy": _counterpart(row),
        }
        lines.append([cells[column] for column in columns])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tally() -> str:
    """How much of each anchor there is here, in Markdown."""
    lines = ["| | names | offered here | not offered |", "|---|--:|--:|--:|"]
    for anchor, kinds in KINDS.items():
        for kind, plural in kinds.items():
            found = rows(anchor, kind)
            missing = sum("missing" in row for row in found)
            link = f"[{anchor}'s {plural}](#{anchor}-{plural})"
            lines.append(f"| {link} | {len(found)} | {len(found) - missing} | {missing} |")
    return "\n".join(lines)


def _counterpart(row: dict[str, Any]) -> str:
    if "missing" in row:
        return f"Not offered: {row['missing']}"
    names = ", ".join(f"`{name.partition('.')[2]}`" for name in row.get("sleepy", ()))
    return ". ".join(part for part in (names, row.get("remark")) if part)
