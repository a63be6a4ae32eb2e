"""A run's result as a table on the terminal.

What a reader asks first stands last, where the eye rests when the command returns: the verdict. Above it what it rests on,
and at the top what was done to the link. Fits into 80 columns; colour repeats what the words say and is never the only
bearer of it.
"""

from collections.abc import Callable, Iterable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labs.analysis.percentiles import percentile
from labs.results import Check, Contender, Direction, Figures, Summary, Verdict

_EXPLANATION = (
    "predicted: by the model; captured: from packets; program: by the client's clock",
    "innocent: neither slow itself nor hit by a loss; timed from sent to answered",
    "whole wait: from asking, so with the time to open or get a connection",
)
_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.NO_VERDICT: "yellow"}


def show(summary: Summary, console: Console) -> None:
    """Print it."""
    console.print(
        f"\n[bold]{summary.lab} / {summary.scenario}[/], seed {summary.seed}, in {summary.world} ({summary.impairment})"
    )
    for name, direction in (("server", summary.to_server), ("client", summary.to_client)):
        console.print(escape(link_line(name, direction)))
    console.print(_results(summary))
    for line in _EXPLANATION:
        console.print(f"[dim]{line}[/]")
    console.print()
    console.print(_checks(summary.checks))
    console.print()
    for note in summary.notes:
        console.print(f"note: {escape(note)}")
    for reason in summary.reasons:
        console.print(f"because {escape(reason)}")
    console.print(f"[bold {_COLOURS[summary.verdict]}]{summary.verdict}[/]")


def link_line(name: str, direction: Direction) -> str:
    """One direction of the link in a sentence: what was asked, what was measured."""
    loss = "loss left to chance" if direction.asked_lost is None else f"asked {direction.asked_lost} lost"
    delay = f"asked {_ms(direction.asked_delay)} one way, measured {_ms(direction.measured_delay)}"
    return f"to the {name}: {delay}; {loss}, lost {direction.lost}"


def _results(summary: Summary) -> Table:
    culprit = _culprit(summary)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for party in ("predicted", "captured", "program"):
        table.add_column(party, justify="right")
    rows: list[tuple[str, Callable[[Figures], str]]] = [
        (f"{culprit}s", lambda figures: str(figures.culprits)),
        ("innocent requests held up", lambda figures: str(figures.held)),
        (f"[bold]held up per {culprit}[/]", lambda figures: f"[bold]{figures.held_per_culprit:.1f}[/]"),
        ("p50 / p99 of the innocent", lambda figures: _both(figures.p50, figures.p99)),
        ("total", lambda figures: f"{figures.total:.2f} s"),
    ]
    for contender in summary.contenders:
        table.add_row(f"[bold cyan]{escape(contender.label)}[/]")
        for name, of in rows:
            table.add_row(f"  {name}", of(contender.predicted), of(contender.captured), of(contender.program))
        table.add_row("  p50 / p99 of the whole wait", "", "", _callers_wait(contender))
        table.add_section()
    return table


def _culprit(summary: Summary) -> str:
    """What the innocent waited for, by its name."""
    reasons = {request.why for contender in summary.contenders for request in contender.requests}
    if "lost" in reasons:
        return "lost segment"
    return "slow response" if "slow" in reasons else "culprit"


def _callers_wait(contender: Contender) -> str:
    """What the innocent's callers waited in all, a connection's opening included; only the program knows it."""
    spans = sorted(
        request.done - request.queued
        for request in contender.requests
        if request.innocent and request.queued is not None and request.done is not None
    )
    return _both(percentile(spans, 0.50), percentile(spans, 0.99))


def _checks(checks: Iterable[Check]) -> Table:
    """All that was checked; what was expected is said where it matters."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for no_wrap in (True, True, False):
        table.add_column(no_wrap=no_wrap)
    for check in checks:
        mark = "[green]holds[/]" if check.passed else "[bold red]FAILS[/]"
        found = check.measured if check.passed else f"{check.measured}; expected {check.expected}"
        table.add_row(mark, escape(check.name), escape(found))
    return table


def _both(median: float, high: float) -> str:
    return f"{median * 1e3:.0f} / {high * 1e3:.0f} ms"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
