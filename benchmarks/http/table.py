"""What was measured, for people and for programs."""

from rich.box import MARKDOWN
from rich.table import Table

from benchmarks.http.rounds import Cells


def as_table(cells: Cells, against: dict[str, str]) -> Table:
    """The median of each contender, its least turn, and how many times another it is.

    Args:
        cells: What was measured.
        against: Which other, if it was measured too.
    """
    table = Table(box=MARKDOWN)
    table.add_column("", no_wrap=True)
    for number in next(iter(cells.values())):
        table.add_column(f"{number} caller{'s' * (number > 1)}", justify="right", no_wrap=True)
    for label, row in cells.items():
        others = cells.get(against[label])
        texts = []
        for number, cell in row.items():
            ratio = f" {cell.ratio(others[number]):7.2f}x" if others else ""
            texts.append(f"{cell.middle:.2f} ({cell.least:.2f}){ratio}")
        table.add_row(label, *texts)
    return table


def as_json(cells: Cells) -> dict[str, dict[str, dict[str, float | list[float]]]]:
    """The same, with the figure of every round."""
    return {
        label: {
            str(number): {"median": cell.middle, "least": cell.least, "rounds": cell.turns}
            for number, cell in row.items()
        }
        for label, row in cells.items()
    }
