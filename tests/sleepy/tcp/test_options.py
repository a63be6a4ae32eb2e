"""`sleepy.tcp.options`: what every client can be told, and what makes no sense."""

import asyncio
import inspect
import re
from typing import Any, cast

import pytest

from sleepy.tcp import options
from sleepy.tcp.dialing.dialer import Dialer
from sleepy.tcp.options import PeerOptions, check, dialer_for

LEAST = {
    "max_attempts": 1,
    "dial_timeout": 0.001,
    "read_timeout": 0.001,
    "write_timeout": 0.001,
    "max_response_body_size": 0,
}


@pytest.mark.parametrize("name", LEAST)
def test_what_lets_nothing_through_is_refused_by_its_name(name: str) -> None:
    check(cast("PeerOptions", {name: LEAST[name]}))
    for value in (-1, LEAST[name] - 0.0001):
        with pytest.raises(ValueError, match=f"{name} is {value}; the least is {LEAST[name]}"):
            check(cast("PeerOptions", {name: value}))


def test_nothing_and_no_limit_are_fine() -> None:
    check({})
    check({"read_timeout": None, "write_timeout": None, "max_response_body_size": None})


def test_every_option_is_explained() -> None:
    explained = re.findall(r"^ {4}(\w+): ", inspect.getdoc(PeerOptions) or "", re.MULTILINE)
    assert explained == list(PeerOptions.__annotations__)


def test_the_dialer_is_told_all_that_it_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each under its own name, but for ``dial_timeout``; and what is not said stays as the dialer has it."""
    told: dict[str, Any] = {}
    monkeypatch.setattr(options, "Dialer", lambda addr, **others: told.update(others, addr=addr))
    parameters = inspect.signature(Dialer).parameters
    ours = {"timeout" if name == "dial_timeout" else name: name for name in PeerOptions.__annotations__}
    shared = {theirs: name for theirs, name in ours.items() if theirs in parameters}
    assert len(shared) == 7
    dialer_for("a:1", cast("PeerOptions", {name: f"my {name}" for name in ours.values()}))
    assert told == {"addr": "a:1"} | {theirs: f"my {name}" for theirs, name in shared.items()}
    dialer_for("a:1", {})
    plain = {name: parameter.default for name, parameter in parameters.items() if name in shared}
    plain |= {"timeout": 3.0, "tls": None}  # which a dialer asks for
    assert told == {"addr": "a:1"} | plain


async def test_a_semaphore_is_shared() -> None:
    slots = asyncio.Semaphore(0)
    dialing = asyncio.create_task(
        dialer_for("localhost:1", {"max_concurrent_dials": slots, "dial_timeout": 0.05}).dial(asyncio.Protocol)
    )
    with pytest.raises(TimeoutError, match="no slot to dial in was free"):
        await dialing
