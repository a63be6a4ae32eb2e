"""The table of fasthttp's names beside sleepy's: none is missing, none leads nowhere, no cell is empty."""

import inspect
import typing
from functools import reduce
from typing import Any

import pytest

import sleepy
from lessons.hooks import correspondence
from sleepy import tcp

# fasthttp's client side, copied from its documentation: the option or method, and whose it is.
OPTIONS = {
    "CHP": "Name NoDefaultUserAgentHeader Dial DialDualStack TLSConfig MaxIdleConnDuration ReadTimeout WriteTimeout"
    " ReadBufferSize WriteBufferSize DisableHeaderNamesNormalizing DisablePathNormalizing",
    "CH": "DialTimeout MaxConnWaitTimeout MaxConnDuration ConnPoolStrategy MaxIdemponentCallAttempts RetryIf RetryIfErr"
    " RetryIfErrUpstream MaxResponseBodySize StreamResponseBody Transport",
    "HP": "Addr IsTLS MaxConns",
    "C": "MaxConnsPerHost ConfigureClient",
    "P": "MaxPendingRequests MaxBatchDelay Logger",
    "L": "Clients HealthCheck Timeout",
    "D": "Concurrency DNSCacheDuration",
}
METHODS = {
    "CHPL": "Do DoTimeout DoDeadline",
    "CH": "DoRedirects Get GetTimeout GetDeadline Post CloseIdleConnections ConnsCount IdleConnsCount",
    "HP": "PendingRequests",
    "H": "LastUseTime SetMaxConns",
    "L": "AddClient RemoveClients",
    "D": "FlushDNSCache",
}
ERRORS = (
    "NoFreeConns Timeout ConnectionClosed DialTimeout TLSHandshakeTimeout BodyTooLarge SmallBuffer BrokenChunk"
    " TooManyRedirects MissingLocation HostClientRedirectToDifferentScheme PipelineOverflow NoAvailableClients"
)
CLIENTS = {"C": tcp.Client, "H": tcp.HostClient, "P": tcp.PipelineClient, "L": tcp.LBClient}
KINDS = ("option", "method", "error", "own")
NAMES = [name for kind in KINDS for row in correspondence.rows(kind) for name in row.get("sleepy", ())]


def parameters(thing: Any) -> set[str]:
    """What can be said in a call, with the options that are passed on."""
    found = {"self"}
    for name, parameter in inspect.signature(thing).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (options,) = typing.get_args(parameter.annotation)
            found |= set(typing.get_type_hints(options))
        else:
            found.add(name)
    return found - {"self"}


def table_of(kind: str) -> dict[str, str]:
    """The names of one table, and where they are."""
    found = [(row["fasthttp"], row.get("in", "")) for row in correspondence.rows(kind)]
    assert len(found) == len(dict(found)), "a name is there twice"
    return dict(found)


def places(names: dict[str, str]) -> dict[str, str]:
    return {name: place for place, together in names.items() for name in together.split()}


def test_every_name_of_fasthttp_is_there() -> None:
    assert table_of("option") == places(OPTIONS)
    assert table_of("method") == places(METHODS)
    assert set(table_of("error")) == {f"Err{name}" for name in ERRORS.split()}


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_is_empty_or_says_two_things(kind: str) -> None:
    for row in correspondence.rows(kind):
        assert set(row) <= {"fasthttp", "in", "sleepy", "remark", "missing"}, row
        assert all(row.values()), row
        assert bool(row.get("sleepy") or row.get("remark")) != bool(row.get("missing")), row
    for line in correspondence.table(kind).splitlines():
        assert all(cell.strip() for cell in line.split("|")[1:-1]), line


@pytest.mark.parametrize("name", dict.fromkeys(NAMES))
def test_every_name_of_sleepy_leads_somewhere(name: str) -> None:
    dotted, parameter = correspondence.cut(name)
    owner, _, last = dotted.rpartition(".")
    there = reduce(getattr, owner.split("."), sleepy)
    if there is tcp.HostClient and not hasattr(there, last):  # what only instances have
        there = tcp.HostClient("localhost:1")
    assert hasattr(there, last), f"{owner} has no {last}"
    assert not parameter or parameter in parameters(getattr(there, last)), f"{dotted} takes no {parameter}"


@pytest.mark.parametrize("kind", ["option", "method"])
def test_a_client_that_has_it_there_has_it_here(kind: str) -> None:
    """Unless the row says in its remark how it is told otherwise."""
    for row in correspondence.rows(kind):
        owners = {correspondence.cut(name)[0].split(".")[1] for name in row.get("sleepy", ())}
        for letter in row["in"]:
            if letter in CLIENTS and CLIENTS[letter].__name__ not in owners:
                assert row.get("remark") or row.get("missing"), f"{row['fasthttp']}: not a word about {CLIENTS[letter]}"


def test_every_option_of_ours_is_told_of() -> None:
    told = {correspondence.cut(name) for name in NAMES}
    for client in CLIENTS.values():
        for option in parameters(client):
            assert (f"tcp.{client.__name__}", option) in told, f"{client.__name__}({option}) is in no table"


def test_the_page_has_each_table_in_its_place() -> None:
    page = correspondence.DATA.with_suffix(".md").read_text(encoding="utf-8")
    made = correspondence.on_page_markdown(page)
    assert "<!--" not in made
    for kind in KINDS:
        assert correspondence.table(kind) in made
    assert "| `MaxConns` | HostClient, PipelineClient | `HostClient(max_conns)`, `PipelineClient(max_conns)` |" in made


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no dotted name"):
        correspondence.cut("tcp.Client(a, b)")
