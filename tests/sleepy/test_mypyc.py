"""Hints for the compiler cost nobody a package: `sleepy._mypyc`."""

import subprocess
import sys

from sleepy._mypyc import mypyc_attr


def test_a_hint_leaves_the_class_as_it_is() -> None:
    class Hinted:
        pass

    assert mypyc_attr(acyclic=True, free_list_len=1)(Hinted) is Hinted


def test_nothing_is_imported_for_the_hints() -> None:
    """The library needs only ``cryptography``; `sleepy.udp.endpoint` has hints."""
    code = "import sys, sleepy.udp.endpoint; print('mypy_extensions' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
