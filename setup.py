"""Everything is said in pyproject.toml, but for one wish: ``SLEEPY_MYPYC=1`` compiles the hot modules with mypyc.

Without it, a wheel is pure Python and runs everywhere. With it, mypy[mypyc] and a C compiler must be there:

SLEEPY_MYPYC=1 pip install --no-build-isolation .
"""

import os

from setuptools import setup

HOT = [f"sleepy/udp/{name}.py" for name in ("sequence", "header", "statistics", "acks", "reassembly", "endpoint")]


def compiled() -> list[object]:
    """The extensions that were wished for."""
    if os.environ.get("SLEEPY_MYPYC") != "1":
        return []
    from mypyc.build import mypycify  # noqa: PLC0415  not there in a pure build

    return list(mypycify(["--config-file", os.devnull, "--strict", *HOT], opt_level="3"))


setup(ext_modules=compiled())
