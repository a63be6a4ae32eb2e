"""The floor: what the kernel and a dozen lines of Python take, without asyncio, pool, parser, deadline or caller.

Nothing that speaks to sockets one by one from Python can be cheaper, so all others are held against it.
"""

import select
import socket
from collections import deque
from itertools import cycle, islice

from benchmarks.http.load import BODY, Load

REQUEST = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def connections(load: Load, count: int) -> list[socket.socket]:
    """So many connections, over the load's hosts in turn."""
    opened = []
    for host in islice(cycle(load.hosts), count):
        opened.append(connection := socket.create_connection((host, load.port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
    return opened


class Floor:
    """A request on each connection at a time."""

    def __init__(self, load: Load) -> None:
        self.connections = connections(load, max(load.connections, len(load.hosts)))
        self.idle = connections(load, load.idle)
        self.by_fd = {connection.fileno(): connection for connection in self.connections + self.idle}
        self.poll = select.epoll()
        for fd in self.by_fd:
            self.poll.register(fd, select.EPOLLIN)
        self.most = load.connections

    def ask(self, callers: int, count: int) -> None:
        callers = min(callers, self.most, count)
        for connection in self.connections[:callers]:
            connection.send(REQUEST)
        free = deque(self.connections[callers:])
        poll, by_fd, more = self.poll.poll, self.by_fd, count - callers
        while count:
            for fd, _ in poll():
                connection = by_fd[fd]
                answer = connection.recv(4096)
                if len(answer) != answer.find(b"\r\n\r\n") + 4 + len(BODY):
                    raise ValueError(f"not one whole answer: {answer!r}")
                count -= 1
                free.append(connection)
                if more:
                    more -= 1
                    free.popleft().send(REQUEST)

    def close(self) -> None:
        for connection in self.by_fd.values():
            connection.close()
        self.poll.close()


class PipelinedFloor:
    """As many requests as callers on one connection; for all answers of a read, so many new requests in one write."""

    def __init__(self, load: Load) -> None:
        [self.connection] = connections(load, 1)
        self.connection.setblocking(True)
        self.buffer = bytearray(1 << 16)

    def ask(self, callers: int, count: int) -> None:
        connection, buffer = self.connection, self.buffer
        connection.sendall(REQUEST * min(callers, count))
        more, kept = count - min(callers, count), 0
        while count:
            size = kept + connection.recv_into(memoryview(buffer)[kept:])
            at = answers = 0
            while (end := buffer.find(b"\r\n\r\n", at, size)) >= 0 and end + 4 + len(BODY) <= size:
                at = end + 4 + len(BODY)
                answers += 1
            kept = size - at
            buffer[:kept] = buffer[at:size]
            count -= answers
            if asked := min(answers, more):
                connection.sendall(REQUEST * asked)
                more -= asked

    def close(self) -> None:
        self.connection.close()
