"""`sleepy.errors`: every error of sleepy has one root, and can go to another process."""

import importlib
import inspect
import pickle
import pkgutil

import pytest

import sleepy
from sleepy.errors import SleepyError
from sleepy.tcp import BodyTooLarge, ConnectionClosed, NoFreeConnections, RemoteProtocolError, RequestTimeout
from sleepy.tcp.dialing.dialer import DialTimeout
from sleepy.udp import TimedOut


def kinds() -> set[type[BaseException]]:
    """Every class of exceptions that a module of sleepy defines."""
    names = [info.name for info in pkgutil.walk_packages(sleepy.__path__, "sleepy.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith((".__main__", ".pytest_plugin"))]
    return {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseException) and kind.__module__ == module.__name__
    }


def test_every_error_has_the_same_root_and_says_what_it_means() -> None:
    found = kinds()
    assert {RequestTimeout, DialTimeout, TimedOut} < found
    for kind in found:
        assert issubclass(kind, SleepyError), kind
        assert kind.__doc__, kind


@pytest.mark.parametrize(
    "error",
    [
        NoFreeConnections("4 of 4"),
        RequestTimeout("read", 0.5),
        BodyTooLarge(7),
        RemoteProtocolError("what?", status=431),
        ConnectionClosed("gone", stale=True),
        DialTimeout("x:1: silent for 3 s", "dial", 0.25),
        TimedOut("silent for 30 s", code=3, reason="why"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_reaches_another_process_as_it_is(error: SleepyError) -> None:
    """Or a pool of processes, one of whose workers raises it, waits for ever."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is type(error)
        assert (str(again), repr(again), again.args) == (str(error), repr(error), error.args)
        assert vars(again) == vars(error)


class Described(SleepyError):
    """A user's own, which takes what it likes."""

    def __init__(self, *, where: str, how_often: int) -> None:
        super().__init__(f"{how_often} times {where}")
        self.where = where


def test_so_does_one_of_a_users_own() -> None:
    again = pickle.loads(pickle.dumps(Described(where="here", how_often=3)))
    assert (str(again), again.where) == ("3 times here", "here")


def test_notes_go_with_it() -> None:
    error = NoFreeConnections("4 of 4")
    error.add_note("in the third try")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["in the third try"]
