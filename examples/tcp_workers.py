"""A server on every core: processes that listen on the same port, and the kernel spreads the connections over them.

python examples/tcp_workers.py

It asks them a few questions, and shows that they end in order: a worker that is told to stop (SIGTERM) answers what it was
asked, and is gone.
"""

import asyncio
import multiprocessing
import os
import signal
import socket

from sleepy import tcp

WORKERS = 4


# --8<-- [start:worker]
async def handler(_request: tcp.Request) -> tcp.Response:
    return tcp.Response(200, str(os.getpid()).encode())


async def serve(port: int, ready: "multiprocessing.synchronize.Barrier") -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with tcp.Server(handler, "127.0.0.1", port, reuse_port=True):
        await asyncio.to_thread(ready.wait, 30)
        await stop.wait()


def worker(port: int, ready: "multiprocessing.synchronize.Barrier") -> None:
    asyncio.run(serve(port, ready))


# --8<-- [end:worker]


async def ask(port: int) -> set[bytes]:
    """Who answers? Each request by a connection of its own."""
    async with tcp.HostClient(f"127.0.0.1:{port}", max_idle_conn_duration=None) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(200)))
        return {answer.body for answer in answers}


def main() -> None:
    with socket.socket() as reserved:  # holds the port: bound with the same option, but it never listens
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        context = multiprocessing.get_context("spawn")
        ready = context.Barrier(WORKERS + 1)
        workers = [context.Process(target=worker, args=(port, ready)) for _ in range(WORKERS)]
        for process in workers:
            process.start()
        ready.wait(30)
        answered = asyncio.run(ask(port))
        print("several workers answered:", 1 < len(answered) <= WORKERS)
        for process in workers:
            process.terminate()  # SIGTERM
        for process in workers:
            process.join()
        print("they ended with:", {process.exitcode for process in workers})


if __name__ == "__main__":
    main()
