"""The rules of sleepy/udp/nodes/consent.py: how the program is asked, and what counts as no."""

import asyncio
from functools import partial
from typing import Any

import pytest

from sleepy.udp.nodes.consent import consents
from sleepy.udp.nodes.secure_node import open_node
from sleepy.udp.security.session import Refused

LOCAL = ("127.0.0.1", 0)


class Later:
    async def __call__(self) -> bool:
        return True


async def later() -> bool:
    return True


def fail() -> bool:
    raise KeyError("who?")


@pytest.mark.parametrize(("answer", "means"), [(True, True), (False, False), (None, False), ([], False), ("x", True)])
async def test_what_is_true_is_a_yes(answer: object, means: bool) -> None:
    """A function that forgets to answer has not said yes."""
    assert consents(asyncio.get_running_loop(), "accept", lambda: answer, "a peer") is means


@pytest.mark.parametrize(
    ("asked", "error"), [(fail, KeyError), (later, TypeError), (Later(), TypeError), (partial(later), TypeError)]
)
async def test_what_fails_or_would_have_to_be_awaited_means_no_and_is_reported(
    asked: Any, error: type[Exception]
) -> None:
    """Rules 1 and 2; and no coroutine is left that was never awaited, which would be an error here."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    assert consents(loop, "accept", asked, "a peer at 10.0.0.1:7") is False
    assert [type(context["exception"]) for context in told] == [error]
    assert told[0]["message"] == "accept() failed for a peer at 10.0.0.1:7, which was refused"


async def test_nobody_enters_by_a_rule_that_would_have_to_be_awaited() -> None:
    """It would have been a rule that lets everybody in."""

    async def deny() -> bool:
        return False

    def ask(_key: bytes, _address: object) -> Any:
        return deny()  # which nobody sees before

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with asyncio.timeout(10), open_node(LOCAL, accept=ask) as there, open_node(LOCAL) as here:
        with pytest.raises(Refused):
            await here.connect(there.address)
    assert [type(context["exception"]) for context in told] == [TypeError]
