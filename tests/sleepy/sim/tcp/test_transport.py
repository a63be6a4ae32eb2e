"""`sleepy.sim.tcp.transport`: asyncio's streams and protocols over simulated TCP."""

import asyncio
import re
import socket as real_socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy import sim
from sleepy.sim.tcp.receiver import ACK_DELAY, BUFFER
from sleepy.sim.tcp.transport import SEND_BUFFER
from sleepy.sim.testing import links
from tests.sleepy.sim.tcp.streams import (
    DELAY,
    GIVING_UP,
    MINUTE,
    PORT,
    Recorder,
    count_bytes,
    now,
    record,
    simulate,
    upper,
)


def test_a_connection_takes_a_round_trip_and_a_question_another() -> None:
    async def client() -> list[float]:
        times = [now()]
        reader, writer = await asyncio.open_connection("server", PORT)
        times.append(now())
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        times.append(now())
        writer.close()
        await writer.wait_closed()
        return times

    assert simulate(client, upper) == pytest.approx([0, 2 * DELAY, 4 * DELAY])


def test_a_lost_segment_stalls_all_that_is_behind_it() -> None:
    """Head-of-line blocking: of ten messages, a hundredth of a second apart, the second's segment is lost."""

    async def client() -> list[float]:
        reader, writer = await asyncio.open_connection("server", PORT)
        arrivals = []
        for _ in range(10):
            await reader.readexactly(100)
            arrivals.append(now())
        writer.close()
        return arrivals

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(10):
            writer.write(bytes(100))
            await asyncio.sleep(0.01)
        writer.close()

    network_free = simulate(client, handler)
    network_lossy = simulate(client, handler, link=sim.Link(delay=DELAY, drop=[2]))
    late = [b - a for a, b in zip(network_free, network_lossy, strict=True)]
    assert late[0] == pytest.approx(0)
    assert late[1] == max(late)
    assert late[1] > 2 * DELAY
    assert len({round(time, 9) for time in network_lossy[1:]}) < 4  # the others came in time, and were held back


@settings(max_examples=40, deadline=None)
@given(link=links(), seed=st.integers(), size=st.integers(0, 100_000))
def test_over_any_link_the_streams_arrive_whole(link: sim.Link, seed: int, size: int) -> None:
    sent = bytes(range(256)) * (size // 256 + 1)

    async def client() -> bytes:
        reader, writer = await asyncio.open_connection("server", PORT)
        try:
            writer.write(sent[:size])
            writer.write_eof()
            return await reader.read()
        finally:
            writer.close()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    try:
        assert simulate(client, handler, link, seed, until=1e5) == sent[:size]
    except TimeoutError:  # TCP too gives up some time
        lost = link.loss + link.corrupt + (link.burst.share if link.burst else 0)
        assert lost > 0.2 or (link.burst and link.burst.length > 2), link  # who repeats in a bad spell stays in it
    except sim.DeadlockError as deadlock:  # it was the server that gave up, and who only reads never learns of it
        after = re.search(r"at ([\d.]+) s nothing can ever happen again", str(deadlock))
        assert after is not None
        assert float(after[1]) > GIVING_UP, link


def test_the_same_seed_gives_the_same_bytes_on_the_wire() -> None:
    import io  # noqa: PLC0415

    def capture(seed: int) -> bytes:
        file = io.BytesIO()
        network = sim.Network(seed)
        network.link("client", "server", sim.Link(delay=DELAY, loss=0.1, jitter=0.01))
        network.capture("client", "server", file)

        async def client() -> None:
            _, writer = await asyncio.open_connection("server", PORT)
            writer.write(bytes(50_000))
            writer.close()
            await asyncio.sleep(10)

        async def serve() -> None:
            await asyncio.start_server(count_bytes, "0.0.0.0", PORT)

        async def main() -> None:
            await network.host("server").run(serve())
            await network.host("client").run(client())

        sim.run(main(), network)
        return file.getvalue()

    assert capture(1) == capture(1)
    assert capture(1) != capture(2)


# ---------------------------------------------------------------------- reading and writing


def test_rules_1_and_2_a_reader_who_does_not_read_stops_the_writer() -> None:
    taken: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(MINUTE)
        while data := await reader.read(65536):
            taken.append(len(data))
        writer.close()

    async def client() -> int:
        _, writer = await asyncio.open_connection("server", PORT)
        sent = 0

        async def write_for_ever() -> None:
            nonlocal sent
            while True:
                writer.write(bytes(10_000))
                sent += 10_000
                await writer.drain()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(write_for_ever(), MINUTE / 2)
        writer.close()
        await asyncio.sleep(10 * MINUTE)
        return sent

    sent = simulate(client, handler)
    buffers = SEND_BUFFER + BUFFER
    assert buffers < sent < buffers + 400_000
    assert sum(taken) == sent


def test_rule_1_the_protocol_is_told_to_pause_and_to_go_on() -> None:
    class Told(asyncio.Protocol):
        calls: list[str] = []  # noqa: RUF012

        def pause_writing(self) -> None:
            self.calls.append("pause")

        def resume_writing(self) -> None:
            self.calls.append("resume")

    async def client() -> list[str]:
        transport, protocol = await asyncio.get_running_loop().create_connection(Told, "server", PORT)
        transport.set_write_buffer_limits(high=1000, low=100)
        assert transport.get_write_buffer_limits() == (100, 1000)
        transport.write(bytes(SEND_BUFFER + 1000))
        assert protocol.calls == []
        transport.write(b"x")
        assert transport.get_write_buffer_size() == 1001
        assert protocol.calls == ["pause"]
        await asyncio.sleep(1)
        with pytest.raises(ValueError, match="must be >="):
            transport.set_write_buffer_limits(high=1, low=2)
        return protocol.calls

    assert simulate(client, count_bytes) == ["pause", "resume"]


def test_a_buffered_protocol_gets_its_bytes_into_its_own_buffer() -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(7)
            self.got = b""

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.got += self.buffer[:nbytes]

    async def client() -> bytes:
        transport, protocol = await asyncio.get_running_loop().create_connection(Buffered, "server", PORT)
        transport.write(b"more than seven bytes\n")
        await asyncio.sleep(1)
        return protocol.got

    assert simulate(client, upper) == b"MORE THAN SEVEN BYTES\n"


def test_what_a_protocol_does_about_one_event_does_not_bring_it_the_next() -> None:
    """Data and the end come in one segment; writing, in between, must not make the end overtake."""

    class Answering(asyncio.Protocol):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.calls.append("data")
            self.transport.write(b"answer")
            self.calls.append("answered")

        def eof_received(self) -> None:
            self.calls.append("end")

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"question")
        writer.write_eof()
        await reader.read()
        writer.close()

    async def client() -> list[str]:
        _, protocol = await asyncio.get_running_loop().create_connection(Answering, "server", PORT)
        await asyncio.sleep(10)
        return protocol.calls

    network = sim.Network()
    network.link("client", "server", sim.Link(delay=DELAY), back=sim.Link(delay=DELAY, drop=[1]))

    async def main() -> list[str]:
        async def serve() -> None:
            await asyncio.start_server(handler, "0.0.0.0", PORT)

        await network.host("server").run(serve())
        return await network.host("client").run(client())

    assert sim.run(main(), network) == ["data", "answered", "end"]


def test_half_close_the_other_side_may_still_speak() -> None:
    async def client() -> bytes:
        reader, writer = await asyncio.open_connection("server", PORT)
        assert writer.can_write_eof()
        writer.write(bytes(1234))
        writer.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            writer.write(b"x")
        answer = await reader.read()
        writer.close()
        return answer

    assert simulate(client, count_bytes) == b"1234"


def test_only_bytes_can_be_written() -> None:
    async def client() -> None:
        _, writer = await asyncio.open_connection("server", PORT)
        with pytest.raises(TypeError, match="bytes-like object, not 'str'"):
            writer.write("text")
        writer.close()

    simulate(client, upper)


# ---------------------------------------------------------------------- ending


def test_rule_3_close_sends_what_was_written() -> None:
    async def client() -> None:
        _, writer = await asyncio.open_connection("server", PORT)
        writer.write(bytes(3_000_000))
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(MINUTE)

    got: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(len(await reader.read()))
        writer.close()

    simulate(client, handler)
    assert got == [3_000_000]


def test_rule_3_what_the_peer_says_to_a_closed_connection_is_reset() -> None:
    errors: list[type[BaseException]] = []

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(10):
                writer.write(b"tick")
                await writer.drain()
                await asyncio.sleep(1)
        except ConnectionError as error:
            errors.append(type(error))

    async def client() -> None:
        transport, _ = await record()
        transport.close()
        assert transport.is_closing()
        transport.write(b"into the void")
        await asyncio.sleep(MINUTE)

    simulate(client, handler)
    assert errors == [ConnectionResetError]


def test_rule_3_closing_with_unread_bytes_is_a_reset() -> None:
    errors: list[type[BaseException]] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"unread")
        try:
            await reader.read()
        except ConnectionError as error:
            errors.append(type(error))
        writer.close()

    async def client() -> None:
        transport, _ = await record()
        transport.pause_reading()
        assert not transport.is_reading()
        await asyncio.sleep(1)
        transport.close()
        await asyncio.sleep(1)

    simulate(client, handler)
    assert errors == [ConnectionResetError]


def test_rule_4_abort_resets() -> None:
    seen: list[str] = []

    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except ConnectionResetError as error:
            seen.append(str(error))

    async def client() -> list[Any]:
        transport, protocol = await record()
        transport.abort()
        await asyncio.sleep(1)
        return protocol.ends

    assert simulate(client, handler) == [None]
    assert len(seen) == 1
    assert "by 10.0.0.1" in seen[0]


def test_rule_5_at_the_peers_end_the_transport_closes_unless_the_protocol_objects() -> None:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def client() -> list[Any]:
        _, protocol = await record()
        await asyncio.sleep(1)
        return protocol.ends

    assert simulate(client, handler) == ["eof", None]


def test_a_silent_peer_is_given_up_after_a_quarter_of_an_hour() -> None:
    network = sim.Network()
    network.link("client", "server", sim.Link(delay=DELAY))

    async def client() -> float:
        reader, writer = await asyncio.open_connection("server", PORT)
        network.cut("client", "server")
        writer.write(b"anybody?\n")
        with pytest.raises(TimeoutError, match=r"no answer from"):
            await reader.readline()
        return now()

    async def main() -> float:
        async def serve() -> None:
            await asyncio.start_server(upper, "0.0.0.0", PORT)

        await network.host("server").run(serve())
        return await network.host("client").run(client())

    assert 600 < sim.run(main(), network) < 1500


@pytest.mark.parametrize("callback", ["data_received", "eof_received"])
def test_an_error_in_a_protocol_ends_its_connection_as_in_asyncio(callback: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"data")
        writer.close()

    async def client() -> list[Any]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: seen.append(context["message"]))

        class Broken(Recorder):
            pass

        def breaks(*_: object) -> None:
            raise LookupError(callback)

        setattr(Broken, callback, breaks)
        _, protocol = await loop.create_connection(Broken, "server", PORT)
        await asyncio.sleep(1)
        assert seen == ["Fatal error: protocol call failed"]
        return protocol.ends

    assert [type(end) for end in simulate(client, handler)] == [LookupError]


def test_reading_may_be_paused_and_the_end_waits_too() -> None:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"data")
        writer.close()

    class Slow(Recorder):
        def data_received(self, data: bytes) -> None:
            self.ends.append(data)

    async def client() -> list[Any]:
        transport, protocol = await asyncio.get_running_loop().create_connection(Slow, "server", PORT)
        transport.pause_reading()
        await asyncio.sleep(1)
        assert protocol.ends == []
        transport.resume_reading()
        transport.resume_reading()
        assert transport.is_reading()
        await asyncio.sleep(1)
        return protocol.ends

    assert simulate(client, handler) == [b"data", "eof", None]


def test_what_programs_ask_of_a_transport() -> None:
    async def client() -> None:
        transport, protocol = await record()
        assert transport.get_extra_info("peername") == ("10.0.0.2", PORT)
        socket = transport.get_extra_info("socket")
        assert socket.type == real_socket.SOCK_STREAM
        assert socket.getsockopt(real_socket.IPPROTO_TCP, real_socket.TCP_NODELAY)
        socket.setsockopt(real_socket.SOL_SOCKET, real_socket.SO_KEEPALIVE, 1)
        socket.setsockopt(real_socket.SOL_SOCKET, 25, None, 0)  # with a length, as for SO_BINDTODEVICE
        assert socket.getsockopt(real_socket.SOL_SOCKET, real_socket.SO_KEEPALIVE) == 1
        assert socket.getsockopt(real_socket.SOL_SOCKET, real_socket.SO_ERROR) == 0
        assert socket.getsockopt(real_socket.IPPROTO_TCP, 11, 4) == bytes(4)  # as for TCP_INFO
        assert socket.gettimeout() == 0
        assert "10.0.0.2" in repr(socket)
        with pytest.raises(AttributeError, match=r"a simulated socket has no 'sendall'; talk to its transport"):
            socket.sendall(b"x")
        assert transport.get_protocol() is protocol
        other = Recorder()
        transport.set_protocol(other)
        transport.abort()
        await asyncio.sleep(0)
        assert (protocol.ends, other.ends) == ([], [None])

    simulate(client, upper)


def test_nagles_algorithm_is_off_until_a_program_clears_nodelay() -> None:
    """With it the second of two small writes waits for the ack of the first, which the peer delays by 40 ms."""

    async def ask(nodelay: int | bytes | None, change: int | None = None) -> float:
        reader, writer = await asyncio.open_connection("server", PORT)
        socket = writer.get_extra_info("socket")
        if nodelay is not None:
            socket.setsockopt(real_socket.IPPROTO_TCP, real_socket.TCP_NODELAY, nodelay)
        start = now()
        writer.write(b"a")
        writer.write(b"b\n")
        if change is not None:
            socket.setsockopt(real_socket.IPPROTO_TCP, real_socket.TCP_NODELAY, change)
        assert await reader.readline() == b"AB\n"
        writer.close()
        return now() - start

    async def client() -> list[float]:
        return [await ask(None), await ask(1), await ask(0), await ask(bytes(4)), await ask(0, change=1)]

    quick, patient = 2 * DELAY, 4 * DELAY + ACK_DELAY
    assert simulate(client, upper) == pytest.approx([quick, quick, patient, patient, quick])
