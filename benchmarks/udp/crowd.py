"""Many peers on one node: what a message costs, and what an idle peer takes, however many others there are.

Two switchboards of `sleepy.udp`, one with few peers and one with many, without sockets. In each turn ten of a board's peers
say something, are answered, and ack the answer. So all of a board's work for a message is measured: it finds the peer, opens
the packet, reads, queues the answer, fills a packet, seals it, sets the timer, takes the ack. All others are idle: they have
acked what they got, and nothing of theirs times out. The sessions are made by hand: ten thousand handshakes would take a
minute, and are not what is measured.
"""

import gc
import os
import random
import time
import tracemalloc
from dataclasses import dataclass, field

from benchmarks.http.rounds import Cell
from benchmarks.udp.load import MESSAGE
from sleepy.udp.address import Address
from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.nodes.secure_switchboard import SecureSwitchboard
from sleepy.udp.nodes.switchboard import Line
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.protection import Protection
from sleepy.udp.security.session import HandshakeConfig, Session

ACTIVE = 10  # peers that speak in a turn
FEW = 10
SETTLED = 5  # turns with all peers before anything is measured
STEP = 0.1  # seconds of virtual time between turns
ACK_DELAY = 0.03  # seconds after which an answer is acked for certain
HERE: Address = ("10.0.0.1", 1)


@dataclass
class Crowd:
    """A board, and its peers' ends."""

    board: SecureSwitchboard
    now: float = 0.0
    ends: list[tuple[Connection, Line]] = field(default_factory=list)


def gather(count: int) -> Crowd:
    """A board with so many peers."""
    config = ConnectionConfig(idle_timeout=86400, keep_alive=43200)
    parameters = config.parameters()
    crowd = Crowd(
        SecureSwitchboard(HandshakeConfig(identity=Identity.generate(), parameters=parameters), config, now=0.0)
    )
    for number in range(count):
        address = f"10.1.{number >> 8}.{number & 255}", 1
        ids, keys = (os.urandom(8), os.urandom(8)), (os.urandom(32), os.urandom(32))
        crowd.board._begin(_session(parameters, ids, keys), address, None, 0.0)  # noqa: SLF001  # see above
        line = crowd.board.line_to(address)
        assert line is not None
        session = _session(parameters, ids[::-1], keys[::-1])
        end = Connection(Protection(session, now=0.0), HERE, config, now=0.0, peer_parameters=parameters, rtt=STEP)
        crowd.ends.append((end, line))
    return crowd


def _session(parameters: bytes, ids: tuple[bytes, bytes], keys: tuple[bytes, bytes]) -> Session:
    return Session(
        initiator=False,
        local_id=ids[0],
        remote_id=ids[1],
        public_key=os.urandom(32),
        version=1,
        features=0,
        parameters=parameters,
        send_key=keys[0],
        receive_key=keys[1],
        transcript=b"",
    )


def turn(crowd: Crowd, active: list[tuple[Connection, Line]]) -> float:
    """Each of these peers says something, is answered, and acks the answer: the board's microseconds per message."""
    crowd.now += STEP
    now, board = crowd.now, crowd.board
    for end, _ in active:
        end.send(MESSAGE)
    asked = _spoken(active, now)
    begin = time.process_time()
    for datagrams, line in asked:
        board.receive(datagrams, line.address, now)
    for _, line in active:
        message = line.connection.read()
        assert message is not None
        line.connection.send(message)
        board.touch(line)
    answers = list(board.flush(now))
    board.take_events()
    took = time.process_time() - begin
    ends = {line.address: end for end, line in active}
    for address, datagrams in answers:
        for datagram in datagrams:
            ends[address].receive(datagram, HERE, now)
        ends[address].read()
    now += ACK_DELAY
    acked = _spoken(active, now)
    begin = time.process_time()
    for datagrams, line in acked:
        board.receive(datagrams, line.address, now)
    left = list(board.flush(now))
    board.take_events()
    assert not left  # whoever is idle is silent
    return (took + time.process_time() - begin) / len(active) * 1e6


def _spoken(active: list[tuple[Connection, Line]], now: float) -> list[tuple[list[bytes], Line]]:
    """What these peers' ends send."""
    return [(datagrams, line) for end, line in active for _, datagrams in end.flush(now)]


def costs(many: int, rounds: int) -> dict[str, Cell]:
    """Microseconds per message with few peers and with many, turn by turn.

    With many it is measured twice: if the same ten always speak, only what looks for them or sets timers can be dearer; if
    others speak each time, what the processor's caches held of them is gone, too.
    """
    few, crowd = gather(FEW), gather(many)
    for each in (few, crowd):
        for _ in range(SETTLED):
            turn(each, each.ends)
    draw = random.Random(1)
    cells = {
        name: Cell() for name in (f"{FEW} peers", f"{many:,} peers, the same speak", f"{many:,} peers, others speak")
    }
    small, same, others = cells.values()
    gc.collect()
    for _ in range(rounds):
        small.turns.append(turn(few, few.ends))
        same.turns.append(turn(crowd, crowd.ends[:ACTIVE]))
        others.turns.append(turn(crowd, draw.sample(crowd.ends, ACTIVE)))
    return cells


def memory(count: int, *, spoke: bool) -> float:
    """Bytes of Python's objects that a peer takes on the board, if none says anything; it may have spoken before."""
    gc.collect()
    tracemalloc.start()
    crowd = gather(count)
    list(crowd.board.flush(0.0))
    crowd.board.take_events()
    for _ in range(SETTLED if spoke else 0):
        turn(crowd, crowd.ends)
    crowd.ends.clear()  # what is left is the board's
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / count
