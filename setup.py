"""Everything is said in pyproject.toml, but for one wish: ``SLEEPY_MYPYC=1`` compiles the hot modules with mypyc.

    SLEEPY_MYPYC=1 pip install .

Without it, a wheel is pure Python and runs everywhere. With it a C compiler must be there; mypy is fetched for the build.
"""

import os
import re
import sys
from pathlib import Path

from setuptools import Extension, setup

TCP = {  # by folder
    "": "client client_connection connection deadlines exchange host_client latency metrics peer_client pipeline"
    " pipeline_client pool",
    "http/": "control framing http1 http1_reader messages redirects",
}
UDP = {
    "": "sequence header statistics acks bare_acks reassembly endpoint numbered",
    "path/": "ack_policy pacing path_mtu path_validation recovery round_trip",
    "delivery/": "block_memory blocks chunk_reader chunks incoming_blocks messages payload ranges scheduler"
    " send_buffer slices",
    "delivery/channels/": "reliable_receiver reliable_sender unreliable",
    "path/congestion/": "bbr delivery_rate",
    "security/": "protection replay",
    "connections/": "connection dialogue ending greeting liveness news packet_exchange plain preface",
    "nodes/": "peer plain_switchboard secure_switchboard super_packets switchboard wakeups",
}
HOT = [
    f"sleepy/{half}/{folder}{name}.py"
    for half, folders in (("tcp", TCP), ("udp", UDP))
    for folder, names in folders.items()
    for name in names.split()
]
COMPILER = ["mypy[mypyc]>=2", "cryptography>=42"]  # and what the library imports, whose types mypy has to see
LEVEL = "3"  # of the C compiler's optimisation


# How mypyc 2.4 writes an object's list of weak references: it lies behind the object, and behind its __dict__.
WEAK = r"\*\(\(PyObject \*\*\)\(\(char \*\)self \+ sizeof\(PyObject \*\) \+ sizeof\(\w+\)\)\)"
# The part of its runtime that hands an error on to what a coroutine awaits, and how.
RUNTIME = "misc_ops.c"
THROW = "PyObject_CallFunctionObjArgs(_m, type, value, traceback, NULL)"


def mend(source: Path) -> None:
    """Correct what mypyc writes, in two places.

    For Python 3.11 it takes the list of weak references for an object that is owned. So a weak reference was freed while its
    owner had it, and one to an object that had died still led there. The list is nothing that the garbage collector may
    visit, and has to be cleared when the object dies. (Later Pythons are not given the list.)

    It calls ``throw`` with three arguments, against which Python 3.12 and later warn. Where warnings are errors, an error
    or a cancellation that came to a coroutine would be replaced by the warning (mypyc/mypyc#1214).
    """
    from mypyc.build import include_dir  # noqa: PLC0415  not there in a pure build

    code = source.read_text(encoding="utf-8")
    if sys.version_info < (3, 12):
        code = re.sub(rf"Py_VISIT\({WEAK}\);", "", code)
        clear = "if (Py_REFCNT(self) == 0) PyObject_ClearWeakRefs((PyObject *)self);"
        code = re.sub(rf"Py_CLEAR\({WEAK}\);", clear, code)
    runtime = Path(include_dir(), RUNTIME).read_text(encoding="utf-8")
    runtime = runtime.replace(THROW, "PyObject_CallOneArg(_m, value)")
    source.write_text(code.replace(f"#include <{RUNTIME}>", runtime), encoding="utf-8")


def compiled() -> list[Extension]:
    """The hot modules as extensions."""
    from mypyc.build import mypycify  # noqa: PLC0415  not there in a pure build

    extensions = mypycify(["--config-file", os.devnull, "--strict", *HOT], opt_level=LEVEL, debug_level="0")
    for source in {source for extension in extensions for source in extension.sources}:
        mend(Path(source))
    if sys.platform == "linux":
        for extension in extensions:  # calls among the modules are direct, those to CPython a jump shorter
            extension.extra_compile_args += ["-fno-semantic-interposition", "-fno-plt"]
    return extensions


def main() -> None:
    """What pip and benchmarks/endpoint.py call."""
    wished = os.environ.get("SLEEPY_MYPYC") == "1"
    building = not {"egg_info", "dist_info"} & set(sys.argv)  # else pip only asks what we are, and what a build needs
    setup(
        setup_requires=COMPILER if wished else [],
        ext_modules=compiled() if wished and building else [],
    )


if __name__ == "__main__":
    main()
