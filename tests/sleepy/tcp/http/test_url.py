"""`sleepy.tcp.http.url`: URLs taken apart and put together; rules by their number."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.dialing.address import Address
from sleepy.tcp.errors import LocalProtocolError
from sleepy.tcp.http.url import Url, parse_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://a/b?c=d#e", Url("http", "a", 80, "a", "/b?c=d")),
        ("https://a", Url("https", "a", 443, "a", "/")),
        ("HTTPS://A:80?q", Url("https", "a", 80, "a:80", "/?q")),
        ("http://a:80/", Url("http", "a", 80, "a", "/")),
        ("http://a:/", Url("http", "a", 80, "a", "/")),
        ("https://a:443#f", Url("https", "a", 443, "a", "/")),
        ("http://127.0.0.1:8000/x", Url("http", "127.0.0.1", 8000, "127.0.0.1:8000", "/x")),
        ("https://[0::1]/x", Url("https", "::1", 443, "[::1]", "/x")),
        ("http://[::1]:8080", Url("http", "::1", 8080, "[::1]:8080", "/")),
        ("http://bücher.example/", Url("http", "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/")),
        ("http+unix://%2Frun%2Fapp.sock/x?y", Url("http+unix", "/run/app.sock", 0, "localhost", "/x?y")),
        ("/search?q=1#f", Url("", "", 0, "", "/search?q=1")),
        ("*", Url("", "", 0, "", "*")),
        ("http://a/?q=http://b/../c//d", Url("http", "a", 80, "a", "/?q=http://b/../c//d")),
    ],
)
def test_parts(url: str, parts: Url) -> None:
    """Behaviour 54 among them: a port goes without saying only if it is the scheme's own."""
    assert parse_url(url) == parts
    assert parse_url(str(parts)) == parts


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://a/", Address("a", 443)),
        ("http://[::1]:81/", Address("::1", 81)),
        ("http+unix://%2Frun%2Fa", Address("", 0, "/run/a")),
    ],
)
def test_where_to_dial(url: str, address: Address) -> None:
    assert parse_url(url).address == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "?a",
        "#a",
        "a/b",
        " /",
        "*/",
        "**",
        "ftp://a/",
        "http:/a",
        "http:a",
        "http//a",
        "://a/",
        "http://",
        "http:///a",
        "http://:80/",
        "http://?a",
        "http://a:b/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:80:80/",
        "http://::1/",
        "http://[::1/",
        "http://[::1]a/",
        "http://a b/",
        "http://a\\b/",
        "http://a%2eb/",
        "http://127.1/",
        "http://a\uff0fb/",
        "http://a@b@c/",
        "http://a\\@b/",
        "http://a b@c/",
        "http://a%00:b@c/",
        "http://a%3Ab@c/",
        "http://a:%0d@c/",
        "http://%ff@c/",
        "http://a:\ud800@c/",
        "http+unix:///run/a",
        "http+unix://run/a",
        "http+unix://%2Frun%00/a",
        "http+unix://%2F%ff/a",
        "http://a/\ud800",
        "/?\ud800",
    ],
)
def test_what_cannot_be_asked_for_is_refused(url: str) -> None:
    """Rule 1."""
    with pytest.raises(LocalProtocolError):
        parse_url(url)


@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\0", "\x1f", "\x7f"])
@pytest.mark.parametrize(
    "url", ["/a{}b", "/a?{}", "/a#{}", "http://a{}/", "http://a/{}", "{}http://a/", "http://u{}@a/"]
)
@pytest.mark.parametrize("normalize", [True, False])
def test_a_control_character_is_refused_wherever_it_stands(url: str, character: str, normalize: bool) -> None:
    """Rule 1, and fasthttp's behaviour 41: nobody smuggles a second request into a URL."""
    with pytest.raises(LocalProtocolError, match="control character"):
        parse_url(url.format(character), normalize=normalize)
    with pytest.raises(LocalProtocolError, match="control character"):
        parse_url("http://a/").join(url.format(character), normalize=normalize)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("/a/./b/../c", "/a/c"),
        ("/..", "/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a/../../b", "/b"),
        ("/.well-known/...", "/.well-known/..."),
        ("//a///b//", "/a/b/"),
        ("/a//../b", "/b"),
        ("/%7Ea%2fb%c3%BC", "/~a%2Fb%C3%BC"),
        ("/a/%2e%2E/b", "/b"),
        ("/%%32e", "/%252e"),
        ("/100%", "/100%25"),
        ("/ü b\\c", "/%C3%BC%20b%5Cc"),
        ('/a?ü=" %zz %7e//..', "/a?%C3%BC=%22%20%zz%20%7e//.."),
        ("/a;b=[c]?d[]=e&f='g'", "/a;b=[c]?d[]=e&f='g'"),
    ],
)
def test_one_way_to_write_a_path(url: str, target: str) -> None:
    """Rule 2."""
    assert parse_url(url).target == target
    assert parse_url(f"http://host{url}").target == target


@pytest.mark.parametrize("target", ["/a//b/../%7e/./c?d", "//a/b", '/"<>\\^`{|}'])
def test_as_it_is(target: str) -> None:
    """Rule 3; fasthttp's behaviour 47."""
    assert parse_url(target, normalize=False).target == target
    assert parse_url(f"http://host{target}", normalize=False).target == target


@pytest.mark.parametrize("target", ["/a b", "/ü", "/?ü"])
def test_as_it_is_cannot_be_sent(target: str) -> None:
    """Rule 3."""
    with pytest.raises(LocalProtocolError, match="cannot be sent as it is"):
        parse_url(target, normalize=False)


@pytest.mark.parametrize(
    ("user", "credentials"),
    [
        ("user:pass", "user:pass"),
        ("user", "user:"),
        (":pass", ":pass"),
        ("user:a:b", "user:a:b"),
        ("us%40er:p%2Fa%25ss", "us@er:p/a%ss"),
        ("jürgen:%C3%BC", "jürgen:ü"),
    ],
)
def test_credentials(user: str, credentials: str) -> None:
    """fasthttp's behaviour 43."""
    url = parse_url(f"http://{user}@a:8000/b")
    assert url.auth is not None
    scheme, _, encoded = url.auth.partition(" ")
    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", credentials)
    assert (url.host, url.port, url.authority, url.target) == ("a", 8000, "a:8000", "/b")


@pytest.mark.parametrize("user", ["", ":"])
def test_no_credentials(user: str) -> None:
    assert parse_url(f"http://{user}@a/").auth is None


def test_credentials_are_not_shown() -> None:
    """Texts go into logs."""
    url = parse_url("http://user:s3cret@a/")
    assert "s3cret" not in f"{url} {url!r}"
    assert str(url.auth) not in f"{url} {url!r}"
    for bad in ("http://user:s3cret@a/\n", "ftp://user:s3cret@a/", "http://user:s3cret @a/", "http://user:s3cret@a:b/"):
        with pytest.raises(LocalProtocolError) as caught:
            parse_url(bad)
        assert "s3cret" not in str(caught.value)


BASE = "http://a/b/c/d;p?q"
RFC3986_5_4 = {
    # normal examples, without g:h, which is a scheme that we do not speak, and without the fragments, which are never sent
    "g": "http://a/b/c/g",
    "./g": "http://a/b/c/g",
    "g/": "http://a/b/c/g/",
    "/g": "http://a/g",
    "//g": "http://g/",
    "?y": "http://a/b/c/d;p?y",
    "g?y": "http://a/b/c/g?y",
    "#s": "http://a/b/c/d;p?q",
    "g#s": "http://a/b/c/g",
    "g?y#s": "http://a/b/c/g?y",
    ";x": "http://a/b/c/;x",
    "g;x": "http://a/b/c/g;x",
    "g;x?y#s": "http://a/b/c/g;x?y",
    "": "http://a/b/c/d;p?q",
    ".": "http://a/b/c/",
    "./": "http://a/b/c/",
    "..": "http://a/b/",
    "../": "http://a/b/",
    "../g": "http://a/b/g",
    "../..": "http://a/",
    "../../": "http://a/",
    "../../g": "http://a/g",
    # abnormal examples
    "../../../g": "http://a/g",
    "../../../../g": "http://a/g",
    "/./g": "http://a/g",
    "/../g": "http://a/g",
    "g.": "http://a/b/c/g.",
    ".g": "http://a/b/c/.g",
    "g..": "http://a/b/c/g..",
    "..g": "http://a/b/c/..g",
    "./../g": "http://a/b/g",
    "./g/.": "http://a/b/c/g/",
    "g/./h": "http://a/b/c/g/h",
    "g/../h": "http://a/b/c/h",
    "g;x=1/./y": "http://a/b/c/g;x=1/y",
    "g;x=1/../y": "http://a/b/c/y",
    "g?y/./x": "http://a/b/c/g?y/./x",
    "g?y/../x": "http://a/b/c/g?y/../x",
    "g#s/./x": "http://a/b/c/g",
    "g#s/../x": "http://a/b/c/g",
}


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("reference", "target"), RFC3986_5_4.items())
def test_references_as_in_the_rfc(reference: str, target: str, normalize: bool) -> None:
    """Rule 4, by the examples of RFC 3986, section 5.4."""
    assert str(parse_url(BASE).join(reference, normalize=normalize)) == target


@pytest.mark.parametrize("reference", ["g:h", "http:g", "ftp://a/", "mailto:a@b", "//", "//a:b/", "///a"])
def test_references_that_lead_nowhere(reference: str) -> None:
    """Rule 4; ``http:g`` is the RFC's last example, by its strict reading."""
    with pytest.raises(LocalProtocolError):
        parse_url(BASE).join(reference)


@pytest.mark.parametrize(
    ("base", "reference", "joined"),
    [
        ("https://a/x", "http://b/y", "http://b/y"),
        ("https://a:8443/x", "//b/y", "https://b/y"),
        ("https://a:8443/x", "y", "https://a:8443/y"),
        ("http+unix://%2Frun%2Fa/x", "y", "http+unix://%2Frun%2Fa/y"),
        ("/a/b", "c", "/a/c"),
        ("/a/b", "http://c/d", "http://c/d"),
        ("*", "c", "/c"),
        ("*", "?c", "/?c"),
        ("http://a/", "ü b//c", "http://a/%C3%BC%20b/c"),
        ("http://a/", "?u=http://b//c", "http://a/?u=http://b//c"),
    ],
)
def test_references(base: str, reference: str, joined: str) -> None:
    """Rule 4."""
    assert str(parse_url(base).join(reference)) == joined


def test_a_target_alone_cannot_lend_its_scheme() -> None:
    with pytest.raises(LocalProtocolError, match="has no scheme"):
        parse_url("/a").join("//b/c")


def test_a_reference_as_it_is() -> None:
    """Slashes in a row may mean something to the server that sends them; dots never do."""
    assert parse_url("http://a/").join("/p/http://b/./%7e", normalize=False).target == "/p/http://b/%7e"


@pytest.mark.parametrize(
    ("reference", "kept"), [("b", True), ("/b", True), ("?b", True), ("//a/b", False), ("http://a/b", False)]
)
def test_credentials_stay_with_their_host(reference: str, kept: bool) -> None:
    """Rule 4: who names a host names its credentials as well, or there are none."""
    base = parse_url("http://user:pass@a/")
    assert base.join(reference).auth == (base.auth if kept else None)


def test_what_was_read_is_remembered() -> None:
    """A URL that is asked for again is not read again."""
    assert parse_url("http://again.example/") is parse_url("http://again.example/")


@given(
    st.text()
    | st.text("/.%2eE5cü?#ab \\[]", max_size=30).map("/".__add__)
    | st.text("/.%2eE5cü?#:@[]1 ", max_size=30).map("http://a".__add__),
    st.booleans(),
)
def test_a_url_is_read_or_refused(text: str, normalize: bool) -> None:
    """Rules 1 and 2: whatever is read can be sent, and reading it again changes nothing."""
    try:
        url = parse_url(text, normalize=normalize)
    except LocalProtocolError:
        return
    assert re.fullmatch(r"[\x21-\x7e]+", url.target)
    assert url.target == "*" or url.target.startswith("/")
    assert "#" not in url.target
    again = parse_url(str(url), normalize=normalize)
    assert (again.scheme, again.host, again.port, again.target) == (url.scheme, url.host, url.port, url.target)
    if normalize:
        assert not re.search(r"//|/\.\.?(/|\Z)", url.target.partition("?")[0])


@given(st.text() | st.text("/.%2eü?#:@[]ab", max_size=20), st.booleans())
def test_a_reference_is_joined_or_refused(reference: str, normalize: bool) -> None:
    """Rule 4: whatever comes of it can be sent."""
    for base in ("http://a/b/c?d", "/b/c", "*"):
        try:
            url = parse_url(base).join(reference, normalize=normalize)
        except LocalProtocolError:
            continue
        assert re.fullmatch(r"/[\x21-\x7e]*", url.target)
        assert not re.search(r"/\.\.?(/|\Z)", url.target.partition("?")[0])
