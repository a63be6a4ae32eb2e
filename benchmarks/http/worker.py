"""A client in a process of its own: takes turns, and says what each has cost.

    python -m benchmarks.http.worker CONTENDER LOAD [--trace-memory]

It says on a line how much memory its idle connections take. Then, for each line ``callers count``, it asks so often, and
answers with a line of JSON; for ``profile callers count`` with a page that tells where the time went.
"""

import argparse
import cProfile
import gc
import io
import json
import pstats
import sys
import time
import tracemalloc
from pathlib import Path
from resource import RUSAGE_SELF, getpagesize, getrusage

from benchmarks.http.contenders import CONTENDERS, Client
from benchmarks.http.load import Load
from benchmarks.http.server import CLIENT_CPU, prepare
from sleepy.tcp import host_client


def cpu() -> float:
    """The CPU seconds of all threads of this process, in its own code and in the kernel."""
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory() -> int:
    """Bytes in use: of Python's objects if these are traced, else of the whole process."""
    gc.collect()
    if tracemalloc.is_tracing():
        return tracemalloc.get_traced_memory()[0]
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


def turn(client: Client, load: Load, callers: int, count: int) -> dict[str, float]:
    """Microseconds per request, of CPU time and of the clock on the wall."""
    client.ask(callers, 2 * max(callers, len(load.hosts)))  # connections open, caches warm
    before, began = cpu(), time.perf_counter()
    client.ask(callers, count)
    used, took = cpu() - before, time.perf_counter() - began
    return {"cpu": used / count * 1e6, "wall": took / count * 1e6}


def profile(client: Client, callers: int, count: int) -> str:
    """Where the time goes, function by function; cProfile itself adds to each call, so shares are rough."""
    client.ask(callers, 2 * callers)
    profiler = cProfile.Profile()
    profiler.runcall(client.ask, callers, count)
    page = io.StringIO()
    pstats.Stats(profiler, stream=page).strip_dirs().sort_stats("tottime").print_stats(30)
    return page.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http.worker", description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("load", type=Load.decode)
    parser.add_argument("--trace-memory", action="store_true")
    arguments = parser.parse_args()
    load: Load = arguments.load
    if str(host_client.__file__).endswith(".py") is CONTENDERS[arguments.contender].compiled:
        sys.exit(f"{arguments.contender} is to be measured, and this is something else: {host_client.__file__}")
    prepare(CLIENT_CPU)
    if arguments.trace_memory:
        tracemalloc.start()
    before = memory()
    client = CONTENDERS[arguments.contender].make(load)
    print(json.dumps({"memory": memory() - before}), flush=True)
    for line in sys.stdin:
        *words, callers, count = line.split()
        if words:
            print(profile(client, int(callers), int(count)), flush=True)
        else:
            print(json.dumps(turn(client, load, int(callers), int(count))), flush=True)
    client.close()


if __name__ == "__main__":
    main()
