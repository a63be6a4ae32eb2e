"""A port for a program that will listen there in a moment: free, and reserved for it meanwhile.

To look at a free port and let it go is a race: it is anybody's then, and the kernel may hand it to the next who asks for
any. So the port is left with a connection in TIME_WAIT. For the next minute the kernel gives such a port to nobody who asks
for any, and to who asks for it by number with SO_REUSEADDR, as servers do (`asyncio`'s, nginx, uvicorn and others).
"""

import socket


def reserve_port(host: str = "127.0.0.1") -> int:
    """The number of a free port of this machine, which nobody gets in the next minute but by this number."""
    with socket.create_server((host, 0)) as server:
        address: tuple[str, int] = server.getsockname()
        with socket.create_connection(address) as client:
            server.accept()[0].close()  # who closes first is left with TIME_WAIT: it has to be the port's own side
            client.recv(1)
        return address[1]
