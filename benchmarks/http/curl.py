"""libcurl's multi interface as pycurl gives it: transfers driven by callbacks and epoll, without asyncio."""

import select
import time

import pycurl

from benchmarks.http.load import BODY, TIMEOUT, Load


class Curl:
    """So many easy handles as there are callers, used again and again."""

    def __init__(self, load: Load) -> None:
        self.url = f"http://127.0.0.1:{load.port}/"
        self.poll = select.epoll()
        self.watched: set[int] = set()
        self.due: float | None = None  # when libcurl wants to be called without an event
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, load.connections)
        self.multi.setopt(pycurl.M_MAXCONNECTS, load.connections)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._schedule)
        self.handles: list[pycurl.Curl] = []
        self.answers: dict[pycurl.Curl, list[bytes]] = {}

    def _watch(self, what: int, fd: int, _multi: pycurl.CurlMulti, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self.watched.discard(fd)
            self.poll.unregister(fd)
            return
        events = (what & pycurl.POLL_IN and select.EPOLLIN) | (what & pycurl.POLL_OUT and select.EPOLLOUT)
        if fd in self.watched:
            self.poll.modify(fd, events)
        else:
            self.watched.add(fd)
            self.poll.register(fd, events)

    def _schedule(self, milliseconds: int) -> None:
        self.due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _handle(self) -> pycurl.Curl:
        handle = pycurl.Curl()
        pieces: list[bytes] = []
        handle.setopt(pycurl.URL, self.url)
        handle.setopt(pycurl.TIMEOUT_MS, int(TIMEOUT * 1000))
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.WRITEFUNCTION, pieces.append)
        self.answers[handle] = pieces
        return handle

    def ask(self, callers: int, count: int) -> None:
        while len(self.handles) < callers:
            self.handles.append(self._handle())
        act, more = self.multi.socket_action, count
        for handle in self.handles[: min(callers, more)]:
            self.multi.add_handle(handle)
            more -= 1
        act(pycurl.SOCKET_TIMEOUT, 0)
        while count:
            wait = -1 if self.due is None else max(0.0, self.due - time.monotonic())
            for fd, events in self.poll.poll(wait):
                bits = (pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0) | (
                    pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
                )
                act(fd, bits)
            if self.due is not None and time.monotonic() >= self.due:
                self.due = None
                act(pycurl.SOCKET_TIMEOUT, 0)
            _, done, failed = self.multi.info_read()
            assert not failed, failed
            for handle in done:
                pieces = self.answers[handle]
                assert b"".join(pieces) == BODY
                pieces.clear()
                count -= 1
                self.multi.remove_handle(handle)
                if more:
                    more -= 1
                    self.multi.add_handle(handle)

    def close(self) -> None:
        for handle in self.handles:
            handle.close()
        self.multi.close()
        self.poll.close()
