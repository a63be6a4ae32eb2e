"""What holds for every test."""

import signal

import pytest
from hypothesis import is_hypothesis_test, settings

from tests.labs.worlds import netem_visit

# How long one example takes says more about the machine's other work than about ours; pytest's timeout bounds the whole.
settings.register_profile("sleepy", deadline=None)
settings.load_profile("sleepy")

# A shell has what it starts in the background ignore Ctrl-C, and programs hand that on to those that they start. Some tests
# press Ctrl-C on a program of theirs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In what order, and for how long.

    What happens in the virtual machine is asked for last: it works beside the tests of the library, for minutes. Hypothesis
    may look for the simplest failure for five minutes: cut off before, it would not tell of any.
    """
    items.sort(key=lambda item: item.get_closest_marker("vm") is not None)
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(360))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Behind the labs' tests, which measure time, the virtual machine may begin."""
    if item.nodeid.startswith("tests/sleepy/") and item.session.items[-1].get_closest_marker("vm"):
        netem_visit.begin()
