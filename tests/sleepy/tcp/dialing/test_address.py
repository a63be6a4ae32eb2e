"""`sleepy.tcp.dialing.address`: what is an address, and what only looks like one."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.dialing.address import Address, parse_address, parse_addresses, parse_host


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a:1", Address("a", 1)),
        ("example.org:65535", Address("example.org", 65535)),
        ("Example.ORG.:80", Address("example.org.", 80)),
        ("my_service:80", Address("my_service", 80)),
        ("127.0.0.1:080", Address("127.0.0.1", 80)),
        ("[::1]:8000", Address("::1", 8000)),
        ("[FE80:0::1.2.3.4]:8000", Address("fe80::102:304", 8000)),
        ("bücher.example:80", Address("xn--bcher-kva.example", 80)),
        ("unix:/run/app.sock", Address("", 0, "/run/app.sock")),
        ("unix:app.sock", Address("", 0, "app.sock")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a:",
        ":1",
        "a:0",
        "a:65536",
        "a:-1",
        "a:+1",
        "a: 1",
        "a:x",
        "a:\xb2",
        "::1",
        "::1:80",
        "[::1]",
        "[]:1",
        "[::1:80",
        "[::1]]:80",
        "[127.0.0.1]:80",
        "[a]:80",
        "[fe80::1%eth0]:80",
        "a b:1",
        "a\r\nb:1",
        "http://a:1",
        "a:1/",
        "a@b:1",
        ".a:1",
        "a..b:1",
        "a:999999999",
        f"{'a' * 64}:1",
        f"{'a.' * 127}a:1",
        f"{'ü' * 64}.a:1",
        f"{'ü.' * 127}a:1",
        "a\u2100b:1",  # becomes a/cb
        "a\uff20b:1",  # becomes a@b
        "\ud800:1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        parse_address(text)
    with pytest.raises(ValueError, match="is not host:port"):
        parse_addresses(f"a:1,{text}")


@pytest.mark.parametrize(
    "text", ["127.1", "0x7f000001", "2130706433", "1.2.3.256", "1.2.3.04", "a.0x", "a.b.1", "1.2.3.4."]
)
def test_a_number_is_a_whole_ipv4_address_or_nothing(text: str) -> None:
    """Else the system would find one in it that nobody has written."""
    with pytest.raises(ValueError, match=r"looks like an IPv4 address and is none"):
        parse_host(text)


@pytest.mark.parametrize("text", ["straße.example", "βόλος.example", "a\u200cb.example", "a\u200db.example"])
def test_what_the_two_kinds_of_idna_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give it in its xn-- form"):
        parse_host(text)


@pytest.mark.parametrize("text", ["unix:", "unix:/a\0b"])
def test_a_unix_socket_needs_a_path(text: str) -> None:
    with pytest.raises(ValueError, match="write unix:/path"):
        parse_address(text)


def test_several_addresses() -> None:
    assert parse_addresses(" a:1 ,[::1]:2, unix:/x") == (Address("a", 1), Address("::1", 2), Address("", 0, "/x"))


def test_a_port_that_is_not_named() -> None:
    """fasthttp, behaviour 54: with IPv4 and IPv6 alike; one that is named stays."""
    assert parse_addresses("a,127.0.0.1,[::1],b:8", 443) == (
        Address("a", 443),
        Address("127.0.0.1", 443),
        Address("::1", 443),
        Address("b", 8),
    )


@pytest.mark.parametrize(
    ("text", "is_name"),
    [("a:1", True), ("1a.b:1", True), ("127.0.0.1:1", False), ("[::1]:1", False), ("unix:a", False)],
)
def test_only_names_are_looked_up(text: str, is_name: bool) -> None:
    assert parse_address(text).is_name is is_name


@given(st.ip_addresses())
def test_every_ip_address_is_read(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    text = f"[{address}]" if address.version == 6 else str(address)
    assert ipaddress.ip_address(parse_host(text)) == address


@given(st.text() | st.text("aü.:[]0%-_\u2100\u3002", max_size=20))
def test_a_host_is_ascii_or_an_error_that_says_so(text: str) -> None:
    try:
        host = parse_host(text)
    except UnicodeError as error:
        pytest.fail(f"{error} says nothing of hosts")
    except ValueError:
        return
    assert host.isascii()
    assert host == host.lower()
    assert not set(host) & set("/?#@[]\\ ")
    assert parse_host(f"[{host}]" if ":" in host else host) == host
