"""A relay between client and server on 127.0.0.1: no privilege, nothing but Python, and only half of the truth.

The link is kept by `labs.relay`, which passes streams on, not packets. So it shows what delay does; it cannot show what
becomes of TCP when a segment is lost, doubled, damaged or overtaken, and refuses scenarios that are about that.
"""

import shutil
import subprocess
from contextlib import ExitStack
from typing import IO, cast

from labs.ports import reserve_port
from labs.scenario import Scenario
from labs.worlds import Probe, Progress, Run, carry_out, convene, roles

NOTES = (
    "The link was a relay on 127.0.0.1: the times are measured, the headers are made up, and nothing is seen of TCP's loss.",
)
_LOCALHOST = "127.0.0.1"
# The figures that lose or move packets.
_CANNOT = ("loss", "burst", "drop", "duplicate", "reorder", "corrupt", "mtu", "queue")


def probe(scenario: Scenario, impairment: str | None = None) -> Probe:
    """Whether a relay can show what the scenario is about."""
    if impairment not in {None, "relay", "off"}:
        reason = f"a relay has no {impairment}"
        return Probe(
            ok=False, impairment="", reason=reason, remedy="Leave the impairment to the world, or choose netns."
        )
    links = (scenario.to_server, scenario.to_client)
    cannot = [name for name in _CANNOT if any(getattr(link, name) not in {0, None, ()} for link in links)]
    if any(link.jitter and not link.ordered for link in links):
        cannot.append("unordered jitter")
    if cannot and impairment != "off":
        reason = f"a relay passes on streams, not packets, and cannot show {', '.join(cannot)}"
        return Probe(ok=False, impairment="", reason=reason, remedy="Use the world netns or compose for this scenario.")
    return Probe(ok=True, impairment=impairment or "relay", reason="a relay on 127.0.0.1: shows delay, not TCP's loss")


def run(run: Run, progress: Progress) -> None:
    """Play it.

    Raises:
        WorldError: It could not be played to its end. Nothing of it remains but the run's folder.
    """
    base = run.folder / ".meeting"
    listen, dial = ({name: (_LOCALHOST, reserve_port()) for name in run.ports} for _ in range(2))
    order = run.order(left=_LOCALHOST, right=_LOCALHOST, listen=listen, dial=dial)
    log = base / "log"
    started: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        stack.callback(lambda: roles.end(*started.values()))  # after the convener has sent them home
        meeting = stack.enter_context(convene(base)).call(order)
        complaints = stack.enter_context(log.open("wb"))
        for role, module in {"server": f"{order.package}.server", "router": "labs.relay"}.items():
            started[role] = roles.start(roles.python(module, base), subprocess.DEVNULL, complaints)
        client = roles.start(roles.python(f"{order.package}.client", base), subprocess.PIPE, complaints)
        started["client"] = client
        roles.hear_out(meeting, started, progress, cast("IO[bytes]", client.stdout), log, run.patience)
        carry_out(meeting.folder, run.folder)
    shutil.rmtree(base)
