"""`sleepy.tcp.dialing.handover`: nothing of a connection is lost, and none is left behind.

Over real sockets, see `test_dialer_sockets`.
"""

import asyncio
from typing import Any

import pytest

from sleepy.tcp.dialing.handover import Placeholder


class Transport(asyncio.Transport):
    """Knows its protocol, and whether it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.end = ""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return bool(self.end)

    def close(self) -> None:
        self.end = self.end or "closed"

    def abort(self) -> None:
        self.end = "aborted"


class Owner(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self, *, keeps_open: bool = False, closes: bool = False) -> None:
        self.told: list[Any] = []
        self.keeps_open, self.closes = keeps_open, closes

    def connection_made(self, transport: Any) -> None:
        self.told.append(transport)

    def data_received(self, data: bytes) -> None:
        self.told.append(data)
        if self.closes:
            self.told[0].close()

    def eof_received(self) -> bool:
        self.told.append("end")
        return self.keeps_open


def held(**options: Any) -> tuple[Placeholder, Transport]:
    placeholder, transport = Placeholder(**options), Transport()
    placeholder.connection_made(transport)
    return placeholder, transport


async def test_the_owner_is_told_all_in_order() -> None:
    placeholder, transport = held()
    placeholder.data_received(b"one")
    placeholder.data_received(b"two")
    owner = Owner()
    assert placeholder.hand_over(owner) is owner
    assert owner.told == [transport, b"one", b"two"]
    assert transport.protocol is owner
    assert not transport.end


@pytest.mark.parametrize("keeps_open", [True, False])
async def test_the_owner_says_what_the_peers_end_means(keeps_open: bool) -> None:
    placeholder, transport = held()
    placeholder.data_received(b"all")
    assert placeholder.eof_received()
    owner = Owner(keeps_open=keeps_open)
    placeholder.hand_over(owner)
    assert owner.told == [transport, b"all", "end"]
    assert transport.end == ("" if keeps_open else "closed")


async def test_an_owner_who_closes_is_told_no_more() -> None:
    placeholder, transport = held()
    placeholder.data_received(b"one")
    placeholder.data_received(b"two")
    placeholder.eof_received()
    owner = Owner(closes=True)
    placeholder.hand_over(owner)
    assert owner.told == [transport, b"one"]


async def test_tls_knows_no_half_open_connections() -> None:
    placeholder, _ = held(half_open=False)
    assert not placeholder.eof_received()


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
async def test_a_connection_that_is_gone_has_no_owner(error: Exception | None) -> None:
    placeholder, _ = held()
    placeholder.connection_lost(error)
    owner = Owner()
    with pytest.raises(ConnectionResetError, match="as soon as it was made") as caught:
        placeholder.hand_over(owner)
    assert not owner.told
    assert error is None or caught.value.__cause__ is error
    placeholder, transport = held()
    transport.close()
    with pytest.raises(ConnectionResetError, match="as soon as it was made"):
        placeholder.hand_over(owner)
    with pytest.raises(ConnectionResetError, match="as soon as it was made"):
        placeholder.give_up_for_tls()


@pytest.mark.parametrize("word", [b"220 welcome", None])
async def test_in_tls_the_client_speaks_first(word: bytes | None) -> None:
    placeholder, transport = held()
    assert placeholder.give_up_for_tls() is transport
    if word is None:
        placeholder.eof_received()
    else:
        placeholder.data_received(word)
    with pytest.raises(ConnectionError, match="does not speak TLS"):
        placeholder.give_up_for_tls()


async def test_a_connection_can_be_broken_off_at_any_time() -> None:
    placeholder, transport = held()
    placeholder.abort()
    placeholder.abort()
    assert transport.end == "aborted"
    early = Placeholder()
    early.abort()
    early.abort()
    transport = Transport()
    early.connection_made(transport)
    assert transport.end == "aborted"


async def test_a_connection_that_was_never_made_is_a_mistake_of_the_program() -> None:
    with pytest.raises(RuntimeError, match="no connection was made"):
        Placeholder().hand_over(Owner())
