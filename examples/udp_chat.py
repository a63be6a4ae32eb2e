"""Two processes chat, and nobody else can listen: python examples/udp_chat.py, and then what that prints."""

import asyncio
import sys
from contextlib import closing

from sleepy import udp


# --8<-- [start:chat]
async def say(peer: udp.Peer) -> None:
    """Send what is typed, line by line; at the end of it, leave."""
    typed = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(typed), sys.stdin)
    with closing(pipe):
        async for line in typed:
            await peer.send(line.rstrip())
    await peer.close("bye")


async def main(host: str = "", port: str = "0", key: str = "") -> None:
    identity = udp.Identity.generate()
    async with udp.open_node(("", 0), identity=identity) as node:
        if host:
            peer = await node.connect((host, int(port)), expect=udp.parse_key(key))
        else:
            print(f"python examples/udp_chat.py 127.0.0.1 {node.address[1]} {identity}", flush=True)
            peer = await node.accept()
        async with peer, asyncio.TaskGroup() as group:
            saying = group.create_task(say(peer))
            async for message in peer:
                print(message.decode(), flush=True)
            saying.cancel()  # the other has left


# --8<-- [end:chat]

if len(sys.argv) not in (1, 4):
    sys.exit("usage: udp_chat.py, to wait for somebody; udp_chat.py HOST PORT KEY, to join them")
asyncio.run(main(*sys.argv[1:]))
