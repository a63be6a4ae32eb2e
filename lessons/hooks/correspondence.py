"""Makes the tables of the page "fasthttp beside sleepy" from their data, when the site is built.

A page asks for a table by a line ``<!-- correspondence: option -->``.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "reference/fasthttp.toml"
_PLACE = re.compile(r"^<!-- correspondence: (\w+) -->$", re.MULTILINE)
_NAME = re.compile(r"([\w.]+?)(?:\((\w+)\))?")
_WHERE = {"C": "Client", "H": "HostClient", "P": "PipelineClient", "L": "LBClient", "D": "dialer"}


def rows(kind: str) -> list[dict[str, Any]]:
    """The rows of one table: ``option``, ``method``, ``error`` or ``own``."""
    with DATA.open("rb") as file:
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


def table(kind: str) -> str:
    """One table, in Markdown. No cell is empty."""
    columns = ["sleepy"]
    if kind != "own":
        columns.insert(0, "fasthttp")
    if kind in {"option", "method"}:
        columns.insert(1, "in")
    lines = [columns, ["---"] * len(columns)]
    for row in rows(kind):
        cells = {
            "fasthttp": f"`{row.get('fasthttp')}`",
            "in": ", ".join(_WHERE[letter] for letter in row.get("in", "")),
            "sleepy": _counterpart(row),
        }
        lines.append([cells[column] for column in columns])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _counterpart(row: dict[str, Any]) -> str:
    if "missing" in row:
        return f"Not offered: {row['missing']}"
    names = ", ".join(f"`{name.removeprefix('tcp.')}`" for name in row.get("sleepy", ()))
    return ". ".join(part for part in (names, row.get("remark")) if part)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by mkdocs for each page."""
    return _PLACE.sub(lambda place: table(place[1]), markdown)
