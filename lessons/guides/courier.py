"""A protocol to be tested: messages over UDP, one at a time, each repeated until it is acknowledged."""

import asyncio
from typing import cast

Address = tuple[str, int]
NUMBER = 4  # bytes of a message's number, in front of it


# --8<-- [start:receiver]
class Receiver(asyncio.DatagramProtocol):
    """Takes messages, in order and once."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where acks go."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Acknowledge a message, and take it if it is the next."""
        number = int.from_bytes(data[:NUMBER], "big")
        self.transport.sendto(data[:NUMBER], addr)
        if number == len(self.messages):  # else it is here already: our ack was lost, or the network made a copy
            self.messages.append(data[NUMBER:])


# --8<-- [end:receiver]
# --8<-- [start:sender]
class Acks(asyncio.DatagramProtocol):
    """Wakes the sender when the ack that it waits for has come."""

    def __init__(self) -> None:
        self.awaited: dict[int, asyncio.Event] = {}

    def datagram_received(self, data: bytes, addr: Address) -> None:  # noqa: ARG002
        """Wake who waits for this number."""
        event = self.awaited.get(int.from_bytes(data, "big"))
        if event is not None:
            event.set()


async def send_all(messages: list[bytes], to: Address, patience: float = 0.3) -> None:
    """Send messages, one after the other; repeat each every ``patience`` seconds until its ack comes."""
    transport, acks = await asyncio.get_running_loop().create_datagram_endpoint(Acks, remote_addr=to)
    try:
        for number, message in enumerate(messages):
            acked = acks.awaited[number] = asyncio.Event()
            while not acked.is_set():
                transport.sendto(number.to_bytes(NUMBER, "big") + message)
                try:
                    await asyncio.wait_for(acked.wait(), patience)
                except TimeoutError:
                    continue
            del acks.awaited[number]
    finally:
        transport.close()


# --8<-- [end:sender]
