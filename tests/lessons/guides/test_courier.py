"""The guide's example: a user's protocol on bad networks. The guide shows these very tests."""

# --8<-- [start:deliver]
import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.guides.courier import Receiver, send_all
from sleepy import sim
from sleepy.sim.testing import Fault, faults, links

MESSAGES = [b"message %d" % number for number in range(20)]


def deliver(network: sim.Network, receiver: Receiver) -> float:
    """Send the messages from client to server; say when the last was acknowledged."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: receiver, local_addr=("0.0.0.0", 9000))

    async def main() -> float:
        await network.host("server").run(serve())
        await network.host("client").run(send_all(MESSAGES, ("server", 9000)))
        return network.now

    return sim.run(main(), network)


# --8<-- [end:deliver]
# --8<-- [start:first]
def test_on_a_lossy_link(network: sim.Network) -> None:
    network.link("client", "server", sim.Link(delay=0.05, loss=0.2))
    receiver = Receiver()
    deliver(network, receiver)
    assert receiver.messages == MESSAGES


# --8<-- [end:first]
# --8<-- [start:exact]
def test_a_lost_message_costs_the_patience_and_no_more(network: sim.Network) -> None:
    network.link("client", "server", sim.Link(delay=0.05, drop=[3]), back=sim.Link(delay=0.05))
    assert deliver(network, Receiver()) == pytest.approx(20 * 0.1 + 0.3)


# --8<-- [end:exact]
# --8<-- [start:partition]
def test_it_outlives_a_partition(network: sim.Network) -> None:
    network.link("client", "server", sim.Link(delay=0.05))
    network.cut("client", "server", at=1.0, until=60.0)
    receiver = Receiver()
    assert deliver(network, receiver) > 60.0
    assert receiver.messages == MESSAGES


# --8<-- [end:partition]
# --8<-- [start:any]
@given(there=links(), back=links(), chosen=faults("client", "server"), seed=st.integers())
def test_on_any_network(there: sim.Link, back: sim.Link, chosen: list[Fault], seed: int) -> None:
    network = sim.Network(seed)
    network.link("client", "server", there, back=back)
    for fault in chosen:
        fault.apply(network)
    receiver = Receiver()
    deliver(network, receiver)
    assert receiver.messages == MESSAGES


# --8<-- [end:any]


class Forgetful(Receiver):
    """The guide's mistake: the line that looks at the number is gone."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data[:4], addr)
        self.messages.append(data[4:])


def test_the_tests_find_the_guides_mistake() -> None:
    """A perfect link does not show it; a link that loses an ack, or copies, does."""
    good = sim.Link(delay=0.05)
    for there, back, found in (
        (good, good, False),
        (good, sim.Link(delay=0.05, drop=[1]), True),
        (sim.Link(delay=0.05, duplicate=1), good, True),
    ):
        network = sim.Network()
        network.link("client", "server", there, back=back)
        receiver = Forgetful()
        deliver(network, receiver)
        assert (receiver.messages != MESSAGES) == found
