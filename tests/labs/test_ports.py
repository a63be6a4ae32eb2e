"""`labs.ports`: a port that is kept for who will listen there."""

import socket

from labs.ports import reserve_port


def test_a_reserved_port_goes_to_nobody_but_who_asks_for_it_by_number() -> None:
    reserved = {reserve_port() for _ in range(100)}
    assert len(reserved) == 100
    for _ in range(5000):  # of 28,000 that the kernel may give: were the hundred free, it would give eighteen of them
        with socket.create_server(("127.0.0.1", 0)) as somebody:
            assert somebody.getsockname()[1] not in reserved
    for port in reserved:
        socket.create_server(("127.0.0.1", port)).close()
