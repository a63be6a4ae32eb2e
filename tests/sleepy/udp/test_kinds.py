"""sleepy/udp/kinds.py, and that everything asks it which is kept for later."""

import asyncio
import re
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sleepy import udp
from sleepy.udp.kinds import check_callable, check_kind
from sleepy.udp.nat.reachable_node import open_reachable_node
from sleepy.udp.nodes.plain_node import open_plain_node
from sleepy.udp.nodes.secure_node import open_node


def open_reachable(**options: Any) -> udp.ReachableNode:
    return open_reachable_node(**{"rendezvous": ("127.0.0.1", 9), "rendezvous_key": bytes(32)} | options)


def in_words(value: object) -> str:
    """A parameter's name, the same in every process."""
    return getattr(value, "__name__", "") or re.sub(" at 0x[0-9a-f]+", "", str(value))[:60]


@pytest.mark.parametrize("value", [5, 5.0, True])
def test_what_is_of_one_of_the_kinds_passes(value: object) -> None:
    check_kind("it", value, int, float)


@pytest.mark.parametrize(
    ("value", "said"),
    [("secret", "of type str"), (None, "of type NoneType"), (int, "the class int"), (array, "the class")],
)
def test_what_is_not_is_named_but_not_shown(value: object, said: str) -> None:
    with pytest.raises(TypeError, match=f"it is {said}.*; it must be int or float") as caught:
        check_kind("it", value, int, float)
    assert "secret" not in str(caught.value)


def test_what_will_be_called_is_callable() -> None:
    check_callable("it", int)
    check_callable("it", None, optional=True)
    for value in (None, 5, udp.Bbr()):
        with pytest.raises(TypeError, match=f"it is of type {type(value).__name__}, and will be called"):
            check_callable("it", value)


async def later(*_: object) -> bool:
    return False


def test_what_would_have_to_be_awaited_is_refused() -> None:
    """Who asks does not await; and a coroutine that is an answer looks like a yes."""
    for value in (later, partial(later, 1)):
        with pytest.raises(TypeError, match="it will not be awaited"):
            check_callable("it", value)


CHANNEL: list[dict[str, Any]] = [
    {"delivery": "unreliable"},
    *({name: value} for name in ("priority", "queue_messages", "queue_bytes") for value in (1e6, "1", None)),
    *({name: value} for name in ("max_message_size", "window_messages", "window_bytes") for value in (1e6, "1", None)),
]
CONNECTION: list[dict[str, Any]] = [
    {"channels": udp.ChannelConfig()},
    {"channels": (udp.Delivery.UNRELIABLE,)},
    {"idle_timeout": None},
    {"keep_alive": "1"},
    {"max_ack_delay": "0.1"},
    {"max_datagram": 1400.5},
    {"block_memory": 5e6},
    {"congestion": "bbr"},
    {"congestion": udp.Bbr()},
    {"random_bytes": b"random"},
]
NODE: list[dict[str, Any]] = [
    {"accept": True},
    {"accept": later},
    {"config": udp.ChannelConfig()},
    {"config": {}},
    {"max_peers": "10"},
    {"backlog": 1.5},
    {"trace": 5},
    {"local": "127.0.0.1"},
    {"local": ("127.0.0.1", 0, 0, 0)},
    {"local": None},
]
SECURE: list[dict[str, Any]] = [{"identity": b"x" * 32}, {"identity": "x"}, {"psk": "x" * 32}]


REACHABLE: list[dict[str, Any]] = [
    *NODE[:4],
    {"rendezvous_key": "x" * 43},
    {"introduce": True},
    {"introduce": later},
    {"relays": b"x" * 32},
    {"relays": ("x" * 32,)},
    {"make_relay": 5},
    {"rendezvous": "127.0.0.1:9"},
]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        *((udp.ChannelConfig, options) for options in CHANNEL),
        *((udp.ConnectionConfig, options) for options in CONNECTION),
        *((make, options) for options in NODE for make in (open_node, open_plain_node)),
        *((open_node, options) for options in SECURE),
        *((open_reachable, options) for options in REACHABLE),
        *((partial(udp.Relay, now=0.0), {"lends": lends}) for lends in (later, True)),
    ],
    ids=in_words,
)
def test_options_of_another_kind_are_refused_where_they_are_given(
    make: Callable[..., object], options: dict[str, Any]
) -> None:
    """Most would fail with the first peer, in the loop's callback; an empty config would be taken for none."""
    (name,) = options
    with pytest.raises(TypeError, match="address" if name in {"local", "rendezvous"} else name):
        make(**options)


@pytest.mark.parametrize(
    "options", [{"expect": "x" * 32}, {"expect": bytearray(32)}, {"timeout": None}, {"timeout": "1"}], ids=in_words
)
@pytest.mark.parametrize("make", [open_node, open_plain_node])
async def test_so_are_those_of_a_call(make: Callable[..., udp.Node], options: dict[str, Any]) -> None:
    async with asyncio.timeout(10), make(("127.0.0.1", 0)) as node:
        (name,) = options
        with pytest.raises(TypeError, match=name):
            await node.connect(("127.0.0.1", 9), **options)
