"""A file goes to a peer, and both know that it is whole: python examples/udp_file.py DIRECTORY, then what that prints."""

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

from sleepy import udp

CHUNK = 1 << 16  # bytes


def show(name: str, done: int, size: int) -> None:
    print(f"\r{name}: {100 * done // max(size, 1)} %", end="" if done < size else "\n", file=sys.stderr, flush=True)


# --8<-- [start:send]
async def send(host: str, port: int, key: bytes, file: Path) -> None:
    """Say what comes; send it; end with its hash; wait for the answer."""
    async with udp.open_node() as node, await node.connect((host, port), expect=key) as peer:
        reader, writer = await peer.open_stream()
        done, digest = 0, hashlib.sha256()
        with file.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            writer.write(json.dumps({"name": file.name, "size": size}).encode() + b"\n")
            while data := source.read(CHUNK):
                digest.update(data)
                writer.write(data)
                await writer.drain()  # no faster than the peer takes it
                done += len(data)
                show(file.name, done, size)
        writer.write(digest.digest())
        writer.write_eof()
        if await reader.read() != b"arrived":
            raise ConnectionError("the peer has gone without a word; whether the file arrived is not known")
        print(f"{file.name}: {size} bytes arrived, {digest.hexdigest()}")


# --8<-- [end:send]


# --8<-- [start:receive]
async def receive(directory: Path) -> None:
    """Take one file; whatever is wrong with it, the sender is told."""
    identity = udp.Identity.generate()
    async with udp.open_node(identity=identity) as node:
        print(f"python examples/udp_file.py 127.0.0.1 {node.address[1]} {identity} FILE", flush=True)
        async with await node.accept() as peer:
            try:
                await take(*await peer.accept_stream(), directory)
            except (OSError, EOFError, ValueError) as error:
                await peer.close(str(error), code=1)
                raise


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, directory: Path) -> None:
    try:
        header = json.loads(await reader.readline())
        name, size = Path(str(header["name"])).name, int(header["size"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("what the peer sends does not begin with a file's name and size") from error
    file, left, digest = directory / name, size, hashlib.sha256()
    if file.exists():
        raise FileExistsError(f"there is a file {name} already; it is left as it was")
    part = file.with_name(name + ".part")  # until all of it is there
    try:
        with part.open("wb") as target:
            while left > 0 and (data := await reader.read(min(CHUNK, left))):
                digest.update(data)
                left -= target.write(data)
                show(name, size - left, size)
        check(name, left, digest.digest(), await reader.readexactly(digest.digest_size))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.rename(file)
    print(f"{file}: {size} bytes, {digest.hexdigest()}", flush=True)
    writer.write(b"arrived")
    writer.close()
    await writer.wait_closed()


def check(name: str, left: int, here: bytes, there: bytes) -> None:
    if left:
        raise EOFError(f"{left} bytes of {name} did not come")
    if here != there:
        raise ValueError(f"{name} has another hash here than at the sender's")


# --8<-- [end:receive]


def main(arguments: list[str]) -> None:
    try:
        if len(arguments) == 1:
            asyncio.run(receive(Path(arguments[0])))
        elif len(arguments) == 4:
            host, port, key, file = arguments
            asyncio.run(send(host, int(port), udp.parse_key(key), Path(file)))
        else:
            sys.exit("usage: udp_file.py DIRECTORY, to receive; udp_file.py HOST PORT KEY FILE, to send")
    except (OSError, EOFError, ValueError, udp.HandshakeError) as error:
        sys.exit(f"udp_file.py: {error or type(error).__name__}")
    except KeyboardInterrupt:
        sys.exit("udp_file.py: interrupted")


main(sys.argv[1:])
