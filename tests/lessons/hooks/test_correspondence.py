"""The tables of the anchors' names beside sleepy's: none is missing, none leads nowhere, no cell is empty."""

import inspect
import typing
from functools import reduce
from typing import Any

import pytest

import sleepy
from lessons.catalogue import LESSONS
from lessons.hooks import correspondence
from sleepy import tcp, udp

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

# reliable 1.4.0, copied from reliable.h.
FUNCTIONS = (
    "init term default_config endpoint_create endpoint_next_packet_sequence endpoint_send_packet endpoint_receive_packet"
    " endpoint_free_packet endpoint_get_acks endpoint_clear_acks endpoint_reset endpoint_update endpoint_rtt"
    " endpoint_rtt_min endpoint_rtt_max endpoint_rtt_avg endpoint_jitter_avg_vs_min_rtt"
    " endpoint_jitter_max_vs_min_rtt endpoint_jitter_stddev_vs_avg_rtt endpoint_packet_loss endpoint_bandwidth"
    " endpoint_counters endpoint_destroy log_level set_printf_function set_assert_function copy_string"
)
FIELDS = (
    "name context id max_packet_size fragment_above max_fragments fragment_size ack_buffer_size"
    " sent_packets_buffer_size received_packets_buffer_size fragment_reassembly_buffer_size rtt_smoothing_factor"
    " rtt_history_size packet_loss_smoothing_factor bandwidth_smoothing_factor packet_header_size"
    " transmit_packet_function process_packet_function allocator_context allocate_function free_function"
)
COUNTERS = (
    "PACKETS_SENT PACKETS_RECEIVED PACKETS_ACKED PACKETS_STALE PACKETS_INVALID PACKETS_TOO_LARGE_TO_SEND"
    " PACKETS_TOO_LARGE_TO_RECEIVE FRAGMENTS_SENT FRAGMENTS_RECEIVED FRAGMENTS_INVALID PACKETS_DUPLICATE"
)

KINDS = {
    "fasthttp": ("option", "method", "error", "own"),
    "reliable": ("function", "field", "counter", "own"),
}
TABLES = [(anchor, kind) for anchor, kinds in KINDS.items() for kind in kinds]
TOLD = {
    anchor: [name for kind in kinds for row in correspondence.rows(anchor, kind) for name in row.get("sleepy", ())]
    for anchor, kinds in KINDS.items()
}
NAMES = [name for names in TOLD.values() for name in names]


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


def table_of(anchor: str, kind: str) -> dict[str, str]:
    """The names of one table, and where they are."""
    found = [(row[anchor], row.get("in", "")) for row in correspondence.rows(anchor, kind)]
    assert len(found) == len(dict(found)), "a name is there twice"
    return dict(found)


def places(names: dict[str, str]) -> dict[str, str]:
    return {name: place for place, together in names.items() for name in together.split()}


def test_every_name_of_fasthttp_is_there() -> None:
    assert table_of("fasthttp", "option") == places(OPTIONS)
    assert table_of("fasthttp", "method") == places(METHODS)
    assert set(table_of("fasthttp", "error")) == {f"Err{name}" for name in ERRORS.split()}


@pytest.mark.parametrize(("kind", "names"), [("function", FUNCTIONS), ("field", FIELDS), ("counter", COUNTERS)])
def test_every_name_of_reliable_is_there_in_its_order(kind: str, names: str) -> None:
    assert list(table_of("reliable", kind)) == names.split()


@pytest.mark.parametrize(("anchor", "kind"), TABLES)
def test_no_row_is_empty_or_says_two_things(anchor: str, kind: str) -> None:
    for row in correspondence.rows(anchor, kind):
        assert set(row) <= {anchor, "in", "sleepy", "remark", "missing"}, row
        assert all(row.values()), row
        assert bool(row.get("sleepy") or row.get("remark")) != bool(row.get("missing")), row
    for line in correspondence.table(anchor, kind).splitlines():
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
    for row in correspondence.rows("fasthttp", kind):
        owners = {correspondence.cut(name)[0].split(".")[1] for name in row.get("sleepy", ())}
        for letter in row["in"]:
            if letter in CLIENTS and CLIENTS[letter].__name__ not in owners:
                assert row.get("remark") or row.get("missing"), f"{row['fasthttp']}: not a word about {CLIENTS[letter]}"


def test_every_option_of_ours_is_told_of() -> None:
    told = {correspondence.cut(name) for name in TOLD["fasthttp"]}
    for client in CLIENTS.values():
        for option in parameters(client):
            assert (f"tcp.{client.__name__}", option) in told, f"{client.__name__}({option}) is in no table"


def test_everything_of_our_endpoint_is_told_of() -> None:
    """Options, methods, attributes, counters and figures of the link; the bandwidths stand under `Bandwidth`."""
    told = {correspondence.cut(name) for name in TOLD["reliable"]}
    for owner in (udp.EndpointConfig, udp.Endpoint):
        for option in parameters(owner):
            assert (f"udp.{owner.__name__}", option) in told, f"{owner.__name__}({option}) is in no table"
    names = [f"udp.Statistics.{name}" for name in udp.Statistics._fields if not name.endswith("_kbps")]
    for owner in (udp.Endpoint, udp.Counters):
        names += [f"udp.{owner.__name__}.{name}" for name in dir(owner) if not name.startswith("_")]
    assert [name for name in names if (name, "") not in told] == []


def test_the_page_has_each_table_in_its_place() -> None:
    page = (LESSONS / "reference/beside.md").read_text(encoding="utf-8")
    for anchor, kind in TABLES:
        assert f"\n<!-- made: correspondence {anchor} {kind} -->\n" in page
    assert (
        "| `MaxConns` | HostClient, PipelineClient | `HostClient(max_conns)`, `PipelineClient(max_conns)` |"
        in correspondence.table("fasthttp", "option")
    )
    assert "| `PACKETS_STALE` | `Counters.packets_stale` |" in correspondence.table("reliable", "counter")


def test_the_tally_counts_every_row() -> None:
    lines = correspondence.tally().splitlines()[2:]
    assert len(lines) == sum(len(kinds) - 1 for kinds in KINDS.values())  # without what is ours alone
    for line, (anchor, kind) in zip(lines, [one for one in TABLES if one[1] != "own"], strict=True):
        _, link, *counts, _ = line.split("|")
        names, offered, missing = map(int, counts)
        assert link.strip().startswith(f"[{anchor}'s {kind}")
        assert names == offered + missing == len(table_of(anchor, kind))
        assert missing == correspondence.table(anchor, kind).count("| Not offered: ")


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no dotted name"):
        correspondence.cut("tcp.Client(a, b)")
