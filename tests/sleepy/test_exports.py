"""What the packages promise to their users: every public name is there, is named once, and is documented."""

import importlib
import inspect
import subprocess
import sys

import pytest

import sleepy

PACKAGES = ("sleepy", "sleepy.tcp", "sleepy.udp", "sleepy.sim")


@pytest.mark.parametrize("package", PACKAGES)
def test_all_names_exist_and_are_sorted(package: str) -> None:
    module = importlib.import_module(package)
    assert list(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        assert hasattr(module, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_hide_no_others(package: str) -> None:
    """What a package imports by name it means to export: no helper slips out beside ``__all__``."""
    module = importlib.import_module(package)
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "").startswith("sleepy")
    }
    later = set(getattr(module, "_MODULES", ()))  # those that are imported when they are first asked for
    assert public | later == set(module.__all__)


def test_what_is_imported_later_is_not_there_before() -> None:
    """Endpoints need neither asyncio nor ``cryptography``, nor does a connection; a misspelt name is told."""
    program = """
import sys
sys.modules["cryptography"] = None
import sleepy.udp
assert "asyncio" not in sys.modules
assert "sleepy.udp.connections.connection" not in sys.modules
assert "open_node" in dir(sleepy.udp)
sleepy.udp.Connection
try:
    sleepy.udp.open_nodes
except AttributeError as error:
    assert "open_nodes" in str(error)
else:
    raise AssertionError("there is no such name")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_documented(package: str) -> None:
    """Each export, and each public method and property of it, has a docstring of its own or of its base."""
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.isclass(value) and not inspect.isfunction(value):
            continue
        assert value.__doc__, name
        if inspect.isclass(value):
            for member, thing in vars(value).items():
                if not member.startswith("_") and (inspect.isfunction(thing) or isinstance(thing, property)):
                    assert inspect.getdoc(getattr(value, member)), f"{name}.{member}"


def test_own_errors_have_one_root() -> None:
    """Whoever wants to catch all of them can."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, ValueError):
                assert issubclass(value, sleepy.SleepyError), name
