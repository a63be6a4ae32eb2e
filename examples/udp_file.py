"""A file goes to a peer, and both know that it is whole: python examples/udp_file.py DIRECTORY, then what that prints."""

import asyncio
import hashlib
import os
import sys
from functools import partial
from pathlib import Path

from sleepy import udp


def show(name: str, done: int, size: int | None) -> None:
    share, end = (done * 100 // size, "" if done < size else "\n") if size else (0, "")
    print(f"\r{name}: {share} %", end=end, file=sys.stderr, flush=True)


# --8<-- [start:send]
async def send(host: str, port: int, key: bytes, file: Path) -> None:
    """Send it, no faster than the peer takes it, and compare what both have then."""
    async with udp.open_node() as node, await node.connect((host, port), expect=key) as peer:
        with file.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            await peer.send_block(source, label=file.name.encode(), size=size, progress=partial(show, file.name))
            source.seek(0)
            digest = hashlib.file_digest(source, "sha256")
        if await peer.receive() != digest.digest():
            raise ValueError(f"{file.name} has another hash there than here: was it changed meanwhile?")
        print(f"{file.name}: {size} bytes arrived, {digest.hexdigest()}")


# --8<-- [end:send]


# --8<-- [start:receive]
async def receive(directory: Path) -> None:
    """Take one file; whatever is wrong with it, the sender is told."""
    identity = udp.Identity.generate()
    async with udp.open_node(identity=identity) as node:
        print(f"python examples/udp_file.py 127.0.0.1 {node.address[1]} {identity} FILE", flush=True)
        async with await node.accept() as peer:
            block = await peer.accept_block()
            try:
                digest = await save(block, directory)
            except OSError as error:
                await peer.close(str(error), code=1)
                raise
            await peer.send(digest)


async def save(block: udp.BlockReader, directory: Path) -> bytes:
    name = Path(block.label.decode(errors="replace")).name
    file, done, digest = directory / name, 0, hashlib.sha256()
    if file.exists():
        raise FileExistsError(f"there is a file {name} already; it is left as it was")
    part = file.with_name(name + ".part")  # until all of it is there
    try:
        with part.open("wb") as target:
            async for data in block:
                digest.update(data)
                done += target.write(data)
                show(name, done, block.size)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.rename(file)
    print(f"{file}: {done} bytes, {digest.hexdigest()}", flush=True)
    return digest.digest()


# --8<-- [end:receive]


def main(arguments: list[str]) -> None:
    try:
        if len(arguments) == 1:
            asyncio.run(receive(Path(arguments[0]).resolve(strict=True)))
        elif len(arguments) == 4:
            host, port, key, file = arguments
            asyncio.run(send(host, int(port), udp.parse_key(key), Path(file)))
        else:
            sys.exit("usage: udp_file.py DIRECTORY, to receive; udp_file.py HOST PORT KEY FILE, to send")
    except (OSError, ValueError, udp.BlockGivenUp, udp.HandshakeError) as error:
        sys.exit(f"\rudp_file.py: {error}")  # over the progress
    except KeyboardInterrupt:
        sys.exit("udp_file.py: interrupted")


main(sys.argv[1:])
