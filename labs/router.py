"""The router: bends the link between its two sides, and writes down what passes either.

``python -m labs.router BASE`` attends every run called under ``BASE`` (see `labs.meeting`). For each it bends the link as
ordered, captures both sides, says ``router.ready``, and after ``client.done`` lets what is still under way arrive, undoes
everything, and says ``router.done`` with an account.

One loop does it all, in one thread, since the link in user space must be on time: it looks after the link first, then
writes down at most one packet of either side, then looks after the link again. Captures can wait: the kernel has already
stamped them.
"""

import math
import select
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

from pyroute2 import IPRoute

from labs.impairment import Impairment
from labs.impairment.netem import Netem
from labs.impairment.nfqueue import NfQueue
from labs.impairment.untouched import Untouched
from labs.interfaces import by_address, segments_stay_segments
from labs.meeting import POLL, Meeting, MeetingError, Order, meetings
from labs.recorder import Recorder
from sleepy.sim import Link

_QUIET = 0.3  # seconds without a packet, beyond the link's delay, after which nothing more is expected
_PATIENCE = 10.0  # seconds, at most, to wait for that


def main() -> int:
    """Attend every run."""
    for meeting in meetings(Path(sys.argv[1])):
        try:
            with meeting.attend("router"):
                attend(meeting)
        except MeetingError as error:
            print(f"router: {error}", file=sys.stderr)
    return 0


def attend(meeting: Meeting) -> None:
    """Be the router of one run.

    Raises:
        MeetingError: The run was given up by somebody else.
        RuntimeError: A capture is empty or misses packets, or the link was not kept up; the message says which.
    """
    order = meeting.order
    links = (order.scenario.to_server, order.scenario.to_client)
    quiet = _QUIET + sum(link.delay + link.jitter for link in links)
    with ExitStack() as stack:
        ip = stack.enter_context(closing(IPRoute()))
        left, right = (by_address(ip, address).name for address in (order.left, order.right))
        recorders: list[Recorder] = []
        for side, file in ((left, "left.pcap"), (right, "right.pcap")):
            segments_stay_segments(side)
            recorders.append(stack.enter_context(Recorder(side, meeting.folder / file)))
        with _impairment(order, *links) as bent:
            meeting.say("router.ready", impairment=order.impairment, left=left, right=right)
            _keep(meeting, bent, recorders, quiet)
            account = dict(bent.statistics())
        for recorder, side in zip(recorders, ("left", "right"), strict=True):
            recorder.finish()
            account[side] = recorder.packets
    if account.get("overflows"):
        raise RuntimeError("the link dropped packets that it should have held: machine too busy; run again")
    meeting.say("router.done", **account)


def _keep(meeting: Meeting, bent: Impairment, recorders: list[Recorder], quiet: float) -> None:
    """Keep link and captures going until the client has done and nothing more comes."""
    done = math.inf  # when the client had done
    heard = looked = time.time()  # the last packet, the last look at the folder
    while True:
        wake = bent.serve() or math.inf
        now = time.time()
        if now >= looked + POLL:
            looked = now
            if done == math.inf and meeting.heard("client.done") is not None:
                done = heard = now
            silent = wake == math.inf and now > max(done, heard) + quiet
            if silent or now > done + _PATIENCE:
                return
        timeout = max(0.0, min(wake, looked + POLL) - time.time())
        watched: list[int | Recorder] = [*bent.sockets(), *recorders]
        readable, _, _ = select.select(watched, [], [], timeout)
        for recorder in recorders:
            if recorder in readable and recorder.take():
                heard = now


def _impairment(order: Order, to_server: Link, to_client: Link) -> Impairment:
    """The one that was ordered.

    Raises:
        ValueError: There is no such impairment.
    """
    ports = sorted(order.ports.values())
    match order.impairment:
        case "netem":
            return Netem(to_server, to_client, ports, order.left, order.right)
        case "nfqueue":
            return NfQueue(to_server, to_client, ports, order.seed)
        case "off":
            return Untouched()
        case other:
            raise ValueError(f"no impairment {other!r}; there are: netem, nfqueue, off")


if __name__ == "__main__":
    sys.exit(main())
