"""`sleepy.tcp.dialing.dials`: dials that nobody owns. What comes of each is told once."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from sleepy.tcp.dialing.dialer import Dialer, Phase
from sleepy.tcp.dialing.dials import Dials, address_of
from sleepy.trace import Event, Trace
from tests.sleepy.tcp.helpers import turns

pytestmark = pytest.mark.usefixtures("tidy")


class Slow:
    """A dialer that does what the test says, when the test says so."""

    def __init__(self) -> None:
        self.dials: list[asyncio.Future[Any]] = []
        self.progress: list[Callable[[Phase], None]] = []

    async def dial(self, factory: Callable[[], Any], *, progress: Callable[[Phase], None]) -> Any:
        self.dials.append(asyncio.get_running_loop().create_future())
        self.progress.append(progress)
        await self.dials[-1]
        return factory()


class Made:
    """A connection that was made, or has ended since."""

    def __init__(self, *, closing: bool = False, error: Exception | None = None, peer: Any = ("10.0.0.9", 80)) -> None:
        self.closing, self.error, self.protocol, self.transport, self.peer = closing, error, self, self, peer

    def get_extra_info(self, name: str) -> Any:
        assert name == "peername"
        return self.peer


class Account:
    """Dials, and what they have told."""

    def __init__(self) -> None:
        self.dialer, self.told, self.events = Slow(), list[tuple[int, str]](), list[Event]()
        trace = Trace("test", asyncio.get_running_loop().time, self.events.append)
        self.dials = Dials(cast("Dialer", self.dialer), trace)

    async def start(self, number: int, connection: Made | None = None) -> None:
        def opened(made: Any) -> None:
            assert made is connection
            self.told.append((number, "opened"))

        self.dials.start(
            number,
            lambda: cast("Any", connection),
            opened,
            lambda error: self.told.append((number, repr(error))),
        )
        await turns(2)

    def traced(self) -> list[tuple[str, ...]]:
        return [(event.name, *(str(value) for value in event.fields.values())) for event in self.events]


async def test_a_connection_or_an_error_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "sleepy.tcp")
    account = Account()
    await account.start(1, Made())
    await account.start(2)
    assert len(account.dials) == 2
    account.dialer.dials[1].set_exception(OSError("nobody there"))
    account.dialer.dials[0].set_result(None)
    await turns()
    assert sorted(account.told) == [(1, "opened"), (2, "OSError('nobody there')")]
    assert caplog.messages == ["a dial failed: nobody there"]
    assert len(account.dials) == 0
    await account.dials.close()
    assert len(account.told) == 2


async def test_a_connection_that_ended_as_it_was_made_is_a_failure() -> None:
    account = Account()
    await account.start(1, Made(closing=True))
    account.dialer.dials[0].set_result(None)
    await turns()
    ((number, error),) = account.told
    assert number == 1
    assert "closed the connection as soon as it was made" in error


async def test_a_connection_that_we_closed_as_it_was_made_says_why() -> None:
    account = Account()
    await account.start(1, Made(closing=True, error=ValueError("not to our taste")))
    account.dialer.dials[0].set_result(None)
    await turns()
    assert account.told == [(1, "ValueError('not to our taste')")]


async def test_the_phase_is_that_of_the_oldest() -> None:
    account = Account()
    assert account.dials.phase == "dial"
    await account.start(1, Made())
    await account.start(2, Made())
    assert account.dials.phase == "dial-queue"
    account.dialer.progress[1]("tls")
    assert account.dials.phase == "dial-queue"
    account.dialer.progress[0]("dns")
    assert account.dials.phase == "dns"
    account.dialer.dials[0].set_result(None)
    await turns()
    assert account.dials.phase == "tls"
    account.dialer.progress[0]("dial")  # by a dialer that does not know yet that it is over
    assert account.dials.phase == "tls"
    await account.dials.close()


async def test_closing_ends_the_dials_and_tells_those_who_wait() -> None:
    account = Account()
    await account.start(1, Made())
    await account.start(2, Made())
    await account.dials.close()
    assert [number for number, _ in account.told] == [1, 2]
    for _, error in account.told:
        assert "this client was closed before a connection was made" in error
    assert len(account.dials) == 0
    assert all(dial.cancelled() for dial in account.dialer.dials)


async def test_closing_ends_a_dial_that_has_not_begun() -> None:
    account = Account()
    account.dials.start(1, cast("Any", Made), account.told.append, lambda error: account.told.append((1, repr(error))))
    await account.dials.close()
    assert len(account.told) == 1
    assert account.dialer.dials == []


async def test_what_happens_is_traced() -> None:
    account = Account()
    await account.start(1, Made())
    await account.start(2)
    account.dialer.progress[0]("dial")
    account.dialer.dials[0].set_result(None)
    account.dialer.dials[1].set_exception(OSError("nobody there"))
    await turns()
    assert account.traced() == [
        ("connection.dialing", "1", "dial"),
        ("connection.dialed", "1", "10.0.0.9:80"),
        ("connection.failed", "2", "OSError('nobody there')"),
    ]


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        (("10.0.0.9", 80), "10.0.0.9:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        ("/run/peer", "/run/peer"),
        (None, "an unknown peer"),
        ("", "an unknown peer"),
    ],
)
def test_an_address_in_words(peer: Any, words: str) -> None:
    assert address_of(cast("Any", Made(peer=peer))) == words
