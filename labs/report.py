"""A run's page: ``summary.json`` and ``events.jsonl`` made into ``report.html``.

Rules:

1. One file, complete in itself. It asks nobody for anything, and a content security policy in it has the browser enforce
   that; only the one script whose hash the policy names may run.
2. Whatever comes from data is escaped, by the template engine rather than by our care.
3. The page never says more than the summary does: the figures are the summary's, the plots are drawn from its requests.
4. Without scripts the page still tells everything: a still picture instead of the timeline, and tables under the plots.
"""

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from labs import plots, scenario, timeline
from labs.results import Summary
from labs.timeline import Track
from sleepy import trace

ASSETS = Path(__file__).parent / "assets"
SHARES = {
    "10 %": 0.1,
    "half": 0.5,
    "90 %": 0.9,
    "99 %": 0.99,
    "all": 1.0,
}  # rows of the table under the latencies' plot
WIDE, NARROW = 880, 328  # plots are drawn for these widths, in CSS pixels


def write(folder: Path) -> Path:
    """Write a run's page.

    Args:
        folder: Holds the run's ``summary.json`` and, if anything was recorded, ``events.jsonl``.

    Returns:
        The page's path, ``report.html`` in the same folder.

    Raises:
        FileNotFoundError: There is no ``summary.json``: nothing was judged here.
        ValueError: A line of ``events.jsonl`` is no event.
    """
    summary = Summary.read(folder / "summary.json")
    recorded = folder / "events.jsonl"
    events = list(trace.read(recorded.read_text(encoding="utf-8").splitlines())) if recorded.exists() else []
    page = folder / "report.html"
    page.write_text(render(summary, events), encoding="utf-8")
    return page


def render(summary: Summary, events: Sequence[trace.Event]) -> str:
    """The page as text."""
    tracks = [timeline.track(contender) for contender in summary.contenders]
    windows, trouble = timeline.windows(tracks), timeline.trouble(tracks)
    script = (ASSETS / "report.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("report.html")
        .render(
            run=summary,
            lab=scenario.load(summary.lab),
            tracks=tracks,
            windows=windows,
            guilty=any(contender.captured.culprits for contender in summary.contenders),
            trouble=trouble,
            claim=plots.claim(tracks),
            checks_held=sum(check.passed for check in summary.checks),
            quantiles=list(zip(SHARES, zip(*(_quantiles(track) for track in tracks), strict=True), strict=True)),
            events=sorted(Counter((event.name, event.where) for event in events).items()),
            data=_data(tracks, windows, trouble),
            still=_ours(plots.figure(tracks, own_theme=False)) if windows else None,
            history_wide=_ours(plots.history(tracks, WIDE)),
            history_narrow=_ours(plots.history(tracks, NARROW)),
            latencies_wide=_ours(plots.latencies(tracks, WIDE)),
            latencies_narrow=_ours(plots.latencies(tracks, NARROW)),
            colours=_ours(plots.theme()),
            style=_ours((ASSETS / "report.css").read_text(encoding="utf-8")),
            script=_ours(script),
            script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=plots.count, ranges=timeline.ranges, time=_time)
    return environment


def _ours(text: str) -> Markup:
    return Markup(text)  # noqa: S704 (written by us, or an SVG in which labs.plots has escaped the rest)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def _quantiles(track: Track) -> list[float | None]:
    times = track.innocent_latencies
    return [times[ceil(share * len(times)) - 1] if times else None for share in SHARES.values()]


def _data(tracks: Sequence[Track], windows: Sequence[timeline.Window], trouble: str) -> dict[str, Any]:
    """What the page's script draws; times to a hundredth of a millisecond."""
    return {
        "trouble": trouble,
        "typical": timeline.typical(tracks) if windows else None,
        "windows": [window._asdict() for window in windows],
        "tracks": [
            {
                "lives": [
                    {
                        "index": life.request.index,
                        "connection": life.request.connection,
                        "innocent": life.request.innocent,
                        "heldBy": life.request.held_by,
                        "latency": None if life.latency is None else round(life.latency, 5),
                        "spans": [(span.stage, round(span.start, 5), round(span.end, 5)) for span in life.spans],
                    }
                    for life in track.lives
                ]
            }
            for track in tracks
        ],
    }
