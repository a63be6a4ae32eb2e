"""What the pages show of a run: its plot, its tables, the segments of its captures.

A figure in a lesson is worth what stands behind it. So no figure is typed: a run is *recorded* into the lesson's folder,
and everything that a page or the README says of it is *drawn* from there.

Rules:

1. A recorded run is a folder ``run/<scenario>/`` beside the lesson: ``summary.json``, and of the captures the part around
   the first lost segment, if one was lost. Only a run with the verdict PASS is recorded.
2. Drawing needs nothing else: ``figure.svg``, ``parts.md`` (sections, for a page to include one by one), the README's
   pictures and tables. `lessons.drawings` draws them, with those of other records.

    python -m lessons.runs out/hol/lost-segment-7 lessons/tcp/02-head-of-line-blocking
    python -m lessons draw
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, cast

from rich.console import Console
from scapy.utils import PcapWriter, RawPcapReader

from labs import capture, plots, table, timeline
from labs.analysis.transit import Crossing, crossings
from labs.capture import Flag, Segment
from labs.results import Contender, Summary, Verdict

ROOT = Path(__file__).parent.parent
LESSONS = ROOT / "lessons"
README = ROOT / "README.md"
HEADLINE_RUN = LESSONS / "tcp/02-head-of-line-blocking/run/slow-response"  # whose plot README and home page show
CAPTURES = ("left.pcap", "right.pcap")
MARGIN = 0.030  # seconds of capture kept before the loss and after it was made good
SCHEMES = {"light": 1, "dark": 2}  # the places of their colours in `plots.PARTS`
_ASKED = re.compile(rb"^x-request: *(\d+)", re.IGNORECASE | re.MULTILINE)


class Loss(NamedTuple):
    """A segment that never left the router, and its like that did.

    Attributes:
        first: As it entered and was lost.
        again: The crossing of its second copy.
        behind: The crossings of those that came in between.
    """

    first: Segment
    again: Crossing
    behind: Sequence[Crossing]


# --- recording -------------------------------------------------------------------------------------------------------


def record(run: Path, lesson: Path) -> Path:
    """Take a run over into a lesson's folder (rule 1); times are kept to the microsecond, as in the captures.

    Returns:
        The recorded run's folder.

    Raises:
        ValueError: The run did not pass.
    """
    summary = Summary.read(run / "summary.json")
    if summary.verdict is not Verdict.PASS:
        raise ValueError(f"{run} ended with {summary.verdict}; a lesson shows runs that passed")
    folder = lesson / "run" / summary.scenario
    folder.mkdir(parents=True, exist_ok=True)
    document = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    (folder / "summary.json").write_text(json.dumps(_rounded(document), separators=(",", ":")) + "\n", encoding="utf-8")
    if summary.to_client.lost:
        port = summary.contenders[0].port
        left, right = (capture.read(run / name) for name in CAPTURES)
        loss = first_loss(left, right, port)
        end = loss.again.left or loss.again.segment.time
        for name in CAPTURES:
            _cut(run / name, folder / name, port, loss.first.time - MARGIN, end + MARGIN)
    return folder


def first_loss(left: Iterable[Segment], right: Iterable[Segment], port: int) -> Loss:
    """The first segment with data from a server's port that is in the right capture and not in the left one.

    Raises:
        ValueError: None was lost, or it was not sent again.
    """
    entering, leaving = ([s for s in side if s.source[1] == port and s.payload] for side in (right, left))
    crossed = crossings(entering, leaving)
    place = next((place for place, crossing in enumerate(crossed) if crossing.left is None), None)
    if place is None:
        raise ValueError(f"no segment from port {port} was lost")
    first = crossed[place].segment
    rest = crossed[place + 1 :]
    again = next((index for index, crossing in enumerate(rest) if crossing.segment.sequence == first.sequence), None)
    if again is None:
        raise ValueError(f"the lost segment {first.sequence} from port {port} was not sent again")
    return Loss(first, rest[again], rest[:again])


def _cut(source: Path, target: Path, port: int, start: float, end: float) -> None:
    """Copy a connection's handshake and all that passed between ``start`` and ``end``, in seconds since 1970."""
    with RawPcapReader(str(source)) as reader:
        packets = [(frame, meta) for frame, meta in reader if _ports(frame, reader.linktype) & {port}]
        kept = [
            (frame, meta)
            for place, (frame, meta) in enumerate(packets)
            if place < 3 or start <= meta.sec + meta.usec / (1e9 if reader.nano else 1e6) <= end
        ]
        with PcapWriter(str(target), linktype=reader.linktype, nano=reader.nano) as writer:
            writer.write_header(None)
            for frame, meta in kept:
                writer.write_packet(frame, sec=meta.sec, usec=meta.usec)


def _ports(frame: bytes, link_type: int) -> set[int]:
    """The two ports of a frame that holds TCP over IPv4."""
    ip = 14 if link_type == 1 else 0
    if ip and frame[12:14] != b"\x08\x00":
        return set()
    tcp = ip + 4 * (frame[ip] & 0x0F)
    return {int.from_bytes(frame[tcp : tcp + 2], "big"), int.from_bytes(frame[tcp + 2 : tcp + 4], "big")}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_rounded(item) for item in cast("Sequence[Any]", value)]
    return value


# --- drawing ---------------------------------------------------------------------------------------------------------


def drawn() -> dict[Path, str]:
    """Every file that is made from a record, and what must stand in it (rule 2)."""
    files: dict[Path, str] = {}
    for folder in recorded():
        summary = Summary.read(folder / "summary.json")
        files[folder / "figure.svg"] = _inline(summary)
        files[folder / "parts.md"] = _parts(summary, folder)
    headline = Summary.read(HEADLINE_RUN / "summary.json")
    for scheme in SCHEMES:
        files[LESSONS / f"assets/hol-{scheme}.svg"] = _alone(headline, scheme)
    files[README] = _readme(README.read_text(encoding="utf-8"))
    return files


def recorded() -> list[Path]:
    """The folders of all recorded runs."""
    return sorted(path.parent for path in LESSONS.glob("*/*/run/*/summary.json"))


def _figure(summary: Summary) -> str:
    return plots.figure([timeline.track(contender) for contender in summary.contenders], own_theme=False)


def _inline(summary: Summary) -> str:
    """The plot for a page: colours from the page, identifiers of its own, so that a page may hold several."""
    return re.sub(r'((?:id|aria-labelledby)="|#)figure-', rf"\1{summary.scenario}-", _figure(summary)) + "\n"


def _alone(summary: Summary, scheme: str) -> str:
    """The plot as a file, in the colours of one scheme."""
    svg = re.sub(r"var\(--([a-z-]+)\)", lambda found: plots.PARTS[found[1]][SCHEMES[scheme]], _figure(summary))
    paper = plots.PARTS["paper"][SCHEMES[scheme]]
    return svg.replace("</title>", f'</title><rect width="100%" height="100%" rx="10" fill="{paper}"/>', 1) + "\n"


def _parts(summary: Summary, folder: Path) -> str:
    """A run's sections for a page."""
    sections = {"headline": _headline(summary), "table": _table(summary), "about": _about(summary)}
    if (folder / CAPTURES[0]).exists():
        left, right = (capture.read(folder / name) for name in CAPTURES)
        sections["beginning"] = _beginning(left, right)
        sections["segments"] = _segments(first_loss(left, right, summary.contenders[0].port))
    head = f"<!-- Drawn by `python -m lessons draw` from summary.json ({summary.command}). -->\n"
    return head + "".join(
        f"\n<!-- --8<-- [start:{name}] -->\n{text}\n<!-- --8<-- [end:{name}] -->\n" for name, text in sections.items()
    )


def _headline(summary: Summary) -> str:
    hardest = summary.contenders[0]
    innocent = sum(request.innocent for request in hardest.requests)
    all_captured = [contender.captured for contender in summary.contenders]
    if hardest.captured.held > innocent / 2:
        took, usual = _ms(hardest.captured.p50), _ms(min(captured.p50 for captured in all_captured))
        whom = f"The median innocent request took {took}; undisturbed it takes {usual}."
    else:  # the median is one of those whom nobody held up
        took, usual = _ms(hardest.captured.p99), _ms(min(captured.p99 for captured in all_captured))
        whom = f"One innocent request in a hundred took {took} or more; undisturbed, {usual}."
    return (
        f"**{hardest.captured.held} of {innocent}.** {_culprits(summary, hardest.captured.culprits)} held up "
        f"{hardest.captured.held} innocent requests: {_count(hardest)} each. {whom}"
    )


def _table(summary: Summary) -> str:
    culprit = _culprit(summary)
    titles = ("predicted", "captured", "by the client's clock", "p50", "p99", f"the {culprit} itself")
    lines = [
        f"| Innocent requests held up per {culprit} | " + " | ".join(titles) + " |",
        "|---|" + "--:|" * len(titles),
    ]
    for contender in summary.contenders:
        held = (_count(contender, party) for party in ("predicted", "captured", "program"))
        times = (_ms(contender.captured.p50), _ms(contender.captured.p99), _ms(_guilty(contender)))
        lines.append(f"| {contender.label} | " + " | ".join(chain(held, times)) + " |")
    return "\n".join(lines)


def _beginning(left: Sequence[Segment], right: Sequence[Segment]) -> str:
    """The three segments that open a connection: when each passed the two sides of the router."""
    opening = left[:3]
    zero, client = opening[0].time, opening[0].source
    start = {segment.source: segment.sequence for segment in reversed(opening)}
    there = {(segment.source, segment.sequence, segment.flags): segment.time for segment in reversed(right)}
    lines = ["| from | flags | sequence | acknowledges | in left.pcap | in right.pcap |", "|---|---|--:|--:|--:|--:|"]
    for segment in opening:
        flags = "-".join(flag.name or "" for flag in (Flag.SYN, Flag.ACK) if flag in segment.flags)
        sequence = (segment.sequence - start[segment.source]) % 2**32
        knows = Flag.ACK in segment.flags
        acknowledged = (segment.acknowledged - start[segment.destination]) % 2**32 if knows else "nothing"
        times = (segment.time, there[segment.source, segment.sequence, segment.flags])
        passed = " | ".join(f"{1000 * (time - zero):.1f} ms" for time in times)
        who = "client" if segment.source == client else "server"
        lines.append(f"| {who} | {flags} | {sequence} | {acknowledged} | {passed} |")
    return "\n".join(lines)


def _segments(loss: Loss) -> str:
    """The lost segment, those behind it, and its second copy: when each passed the two sides of the router."""
    zero = loss.first.time
    base = loss.first.sequence

    def row(segment: Segment, left: float | None, what: str) -> str:
        request = _ASKED.search(segment.payload)
        carries = int(request[1]) if request else f"{len(segment.payload)} bytes"
        passed = "never" if left is None else f"{1000 * (left - zero):.1f} ms"
        place = (segment.sequence - base) % 2**32
        return f"| +{place} | {carries} | {1000 * (segment.time - zero):.1f} ms | {passed} | {what} |"

    shown = 3
    lines = [
        "| sequence number | response | in right.pcap | in left.pcap | and then |",
        "|--:|--:|--:|--:|---|",
        row(loss.first, None, "**lost**{ .lost }"),
        *(row(crossing.segment, crossing.left, "arrives, waits") for crossing in loss.behind[:shown]),
    ]
    more = len(loss.behind) - shown - 1
    if more > 0:
        lines.append(f"| … | {more} more | | | arrive, wait |")
    if more >= 0:
        lines.append(row(loss.behind[-1].segment, loss.behind[-1].left, "arrives, waits"))
    lines.append(row(loss.again.segment, loss.again.left, "**sent again**: all are delivered"))
    return "\n".join(lines)


def _about(summary: Summary) -> str:
    system = ", ".join(f"{name} {value}" for name, value in summary.environment.items() if name != "system")
    links = (("to the server", summary.to_server), ("to the client", summary.to_client))
    delays = " and ".join(f"{_ms(direction.measured_delay, 1)} {name}" for name, direction in links)
    return (
        f"*The run: `{summary.command}`; verdict {summary.verdict}, {len(summary.checks)} checks hold. "
        f"{summary.environment.get('system', '')}, {system}. Measured delay: {delays}.*"
    )


def _readme(text: str) -> str:
    """The README with its tables drawn afresh, each between a pair of comments."""
    runs = [Summary.read(folder / "summary.json") for folder in recorded() if folder.parent == HEADLINE_RUN.parent]
    runs.sort(key=lambda summary: summary.scenario != HEADLINE_RUN.name)
    lines = [
        "| Innocent requests held up by | " + " | ".join(f"one {_culprit(run)}" for run in runs) + " |",
        "|---|" + "--:|" * len(runs),
    ]
    for contenders in zip(*(run.contenders for run in runs), strict=True):
        cells = (f"**{_count(one)}** (predicted {_count(one, 'predicted')})" for one in contenders)
        lines.append(f"| {contenders[0].label} | " + " | ".join(cells) + " |")
    parts = {"held": "\n".join(lines), "terminal": f"```text\n{_terminal(runs[0])}\n```"}
    for name, part in parts.items():
        begin, end = f"<!-- drawn: {name} -->", f"<!-- /drawn: {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"README.md lacks {begin} ... {end}")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def _terminal(summary: Summary) -> str:
    """What the lab printed."""
    page = StringIO()
    table.show(summary, Console(file=page, width=100, color_system=None, highlight=False))
    return "\n".join(line.rstrip() for line in page.getvalue().strip().splitlines())


def _culprit(summary: Summary) -> str:
    return "lost segment" if summary.to_client.lost else "slow response"


def _culprits(summary: Summary, number: int) -> str:
    return f"{number} {_culprit(summary)}s"


def _count(contender: Contender, party: str = "captured") -> str:
    return plots.count(getattr(contender, party).held_per_culprit)


def _guilty(contender: Contender) -> float:
    """What a culprit itself took in the median, in seconds."""
    requests = [request for request in contender.requests if not request.innocent]
    return median(
        request.delivered - request.sent
        for request in requests
        if request.delivered is not None and request.sent is not None
    )


def _ms(seconds: float, digits: int = 0) -> str:
    return f"{1000 * seconds:.{digits}f} ms"


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons.runs",
        description="Take a lab's run over into a lesson; python -m lessons draw then draws it.",
    )
    parser.add_argument("run", type=Path, help="such as out/hol/lost-segment-7")
    parser.add_argument("lesson", type=Path, help="such as lessons/tcp/02-head-of-line-blocking")
    options = parser.parse_args(arguments)
    try:
        print(record(options.run, options.lesson))
    except (OSError, ValueError) as error:
        sys.exit(f"it could not be taken over: {error}")


if __name__ == "__main__":
    main()
