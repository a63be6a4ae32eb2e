"""One end, in a process of its own.

    python -m benchmarks.udp.worker CONTENDER                      # a server: says its port, and runs until it is stopped
    python -m benchmarks.udp.worker CONTENDER --ask PORT --of PID  # a client of it

For each line ``echo COUNT`` or ``bulk PIECES`` the client does that, and answers with a line of JSON: the microseconds of
CPU time that it took, here and in the server's process, and of the clock on the wall; all per message, or per KiB.
"""

import argparse
import json
import sys
import time

from benchmarks.http.server import CLIENT_CPU, SERVER_CPU, prepare
from benchmarks.udp.contenders import CONTENDERS
from benchmarks.udp.load import PIECE, Client
from sleepy.udp.connections import connection


def cpu_seconds(pid: int) -> float:
    """The CPU time of all threads of a process, to the nanosecond, of any process that is ours: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def turn(client: Client, what: str, count: int, server: int) -> dict[str, float]:
    act = client.echo if what == "echo" else client.bulk
    before = time.process_time(), cpu_seconds(server), time.perf_counter()
    act(count)
    after = time.process_time(), cpu_seconds(server), time.perf_counter()
    units = count if what == "echo" else count * len(PIECE) / 1024
    mine, its, wall = ((end - begin) / units * 1e6 for begin, end in zip(before, after, strict=True))
    return {"client": mine, "both": mine + its, "wall": wall}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.udp.worker", description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--ask", type=int, metavar="PORT")
    parser.add_argument("--of", type=int, metavar="PID")
    arguments = parser.parse_args()
    contender = CONTENDERS[arguments.contender]
    if str(connection.__file__).endswith(".py") is contender.compiled:
        sys.exit(f"{arguments.contender} is to be measured, and this is something else: {connection.__file__}")
    if arguments.ask is None:
        prepare(SERVER_CPU)
        contender.serve(lambda port: print(port, flush=True))
    else:
        prepare(CLIENT_CPU)
        client = contender.connect(arguments.ask)
        print("ready", flush=True)
        for line in sys.stdin:
            what, count = line.split()
            print(json.dumps(turn(client, what, int(count), arguments.of)), flush=True)


if __name__ == "__main__":
    main()
