"""`sleepy.tcp.http.redirects`: its five rules, one by one and against peers that redirect as they like."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp import LocalProtocolError, RemoteProtocolError, Request, Response
from sleepy.tcp.errors import TooManyRedirects
from sleepy.tcp.http.redirects import REDIRECTS, Origin, Redirects
from sleepy.tcp.http.url import parse_url

SECRETS = {"Authorization": "Basic c2VjcmV0", "Cookie": "id=1", "Proxy-Authorization": "x", "WWW-Authenticate": "y"}


def to(location: str, status: int = 302) -> Response:
    return Response(status, headers={"location": location})


def follow(request: Request, response: Response, limit: int = 16) -> Request:
    following = Redirects(limit).follow(request, response)
    assert following is not None
    return following


# Rule 1: where


@pytest.mark.parametrize("status", [200, 204, 300, 304, 305, 306, 399, 400, 500])
def test_rule_1_other_answers_are_answers(status: int) -> None:
    assert Redirects(0).follow(Request("GET", "http://a/"), Response(status, headers={"location": "/x"})) is None


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("http://b/x?y", "http://b/x?y"),
        ("https://b", "https://b/"),
        ("//b:81/x", "http://b:81/x"),
        ("/x", "http://a:80/x"),
        ("x", "http://a:80/p/x"),
        ("../x", "http://a:80/x"),
        ("?x", "http://a:80/p/q?x"),
        ("/x#fragment", "http://a:80/x"),
        ("", "http://a:80/p/q?r"),
        ("#fragment", "http://a:80/p/q?r"),
        ("/a b", "http://a:80/a%20b"),
        ("/caf\xc3\xa9", "http://a:80/caf%C3%A9"),  # its bytes, whatever they mean
    ],
)
def test_rule_1_any_http_url_or_one_relative_to_the_last(location: str, url: str) -> None:
    following = follow(Request("GET", "http://a:80/p/q?r#s"), to(location))
    assert following.url == str(parse_url(url))


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("ftp://b/", "cannot be asked for"),
        ("javascript:alert(1)", "cannot be asked for"),
        ("http://", "cannot be asked for"),
        ("http://b:0/", "cannot be asked for"),
        ("http://b:65536/", "cannot be asked for"),
        ("http://127.1/", "cannot be asked for"),
        ("http://b\\@a/", "cannot be asked for"),
        ("/\ta", "cannot be asked for"),
        ("http://me:secret@b/", "credentials of its own choice"),
        ("//me@a/", "credentials of its own choice"),
        ("http+unix://%2Frun%2Fdocker.sock/containers", "Unix socket"),
    ],
)
def test_rule_1_what_makes_no_sense_is_the_peers_error(location: str, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        follow(Request("GET", "http://a/"), to(location))
    assert "http://a/ redirects" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("locations", [[], ["/a", "/b"], ["/a", "/a"]])
def test_rule_1_there_must_be_one_location(locations: list[str]) -> None:
    response = Response(301, headers=[("location", location) for location in locations])
    with pytest.raises(RemoteProtocolError, match=f"301 and {len(locations)} Location fields"):
        follow(Request("GET", "http://a/"), response)


def test_rule_1_a_unix_socket_may_redirect_to_itself() -> None:
    request = Request("GET", "http+unix://%2Frun%2Fapp.sock/x", SECRETS)
    following = follow(request, to("/y"))
    assert (following.url, following.headers) == ("http+unix://%2Frun%2Fapp.sock/y", request.headers)
    assert follow(request, to("http://b/y")).headers.items() == ()
    with pytest.raises(RemoteProtocolError, match="Unix socket"):
        follow(request, to("http+unix://%2Frun%2Fother.sock/"))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_rule_1_paths_are_normalized_unless_told_otherwise(method: str) -> None:
    request = Request(method, "http://a/")
    following = follow(request, to("/%7ea//b"))
    assert (following.url, following.target) == ("http://a/~a/b", "/~a/b")
    raw = Redirects(1, normalize=False).follow(request, to("/%7ea//b"))
    assert raw is not None
    assert (raw.url, raw.target) == ("http://a/%7ea//b", "/%7ea//b")


# Rules 2 and 3: how


@pytest.mark.parametrize("status", sorted(REDIRECTS))
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"])
def test_rule_2_methods(status: int, method: str) -> None:
    """fasthttp 33, 35, 36: 303 asks with GET, 301 and 302 make POST a GET, 307 and 308 repeat. HEAD stays HEAD."""
    becomes_get = (status == 303 and method != "HEAD") or (status in {301, 302} and method == "POST")
    following = follow(Request(method, "http://a/", body=b"data", idempotent=True), to("/x", status))
    assert following.method == ("GET" if becomes_get else method)
    keeps_body = status in {307, 308} or (status != 303 and method != "POST")
    assert following.body == (b"data" if keeps_body else b"")


def test_rule_2_what_may_be_repeated_still_may() -> None:
    """The caller's word holds for his own request, and not for the GET that it becomes."""
    assert follow(Request("POST", "http://a/", idempotent=True), to("/x", 307)).idempotent
    assert not follow(Request("GET", "http://a/", idempotent=False), to("/x", 302)).idempotent
    assert follow(Request("POST", "http://a/", idempotent=False), to("/x", 303)).idempotent


def test_rule_2_a_stream_cannot_be_repeated_and_need_not_be_for_get() -> None:
    """fasthttp 27: what was streamed is never sent again."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"data"

    request = Request("POST", "http://a/", stream=pieces())
    following = follow(request, to("/x", 303))
    assert (following.method, following.stream) == ("GET", None)
    with pytest.raises(LocalProtocolError, match="308, and a stream can be sent only once"):
        follow(request, to("/x", 308))


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 301), ("POST", 302), ("POST", 303), ("GET", 303), ("HEAD", 303)]
)
def test_rule_3_what_becomes_get_leaves_the_body_and_its_fields_behind(method: str, status: int) -> None:
    """fasthttp 34: a 303 drops Transfer-Encoding and Trailer; and all that speaks of a body that is not there."""
    fields = ["Content-Type", "CONTENT-LENGTH", "content-encoding", "Transfer-Encoding", "Trailer", "Expect", "Accept"]
    request = Request(method, "http://a/", dict.fromkeys(fields, "4"), b"data")
    following = follow(request, to("/x", status))
    assert following.headers.items() == (("Accept", "4"),)
    assert following.body == b""


def test_rule_2_what_is_repeated_keeps_them() -> None:
    fields = {"Content-Type": "text/plain", "Content-Length": "4"}
    following = follow(Request("POST", "http://a/", fields, b"data"), to("/x", 307))
    assert dict(following.headers.items()) == fields
    assert following.body == b"data"


# Rule 4: credentials


@pytest.mark.parametrize(
    ("source", "location", "stay"),
    [
        ("http://a/", "/x", True),
        ("http://a/", "http://a/x", True),
        ("http://a/", "http://A:80/x", True),
        ("https://a:443/", "https://a/x", True),
        ("http://[::1]/", "http://[0::1]:80/x", True),
        ("http://a/", "http://b/x", False),
        ("http://a/", "http://sub.a/x", False),
        ("http://sub.a/", "http://a/x", False),
        ("http://a/", "http://a:81/x", False),
        ("https://a/", "http://a/x", False),
        ("http://a/", "https://a/x", False),
        ("https://a/", "http://a:443/x", False),
        ("http://a.b/", "//a.b.c/x", False),
    ],
)
def test_rule_4_credentials_stay_home(source: str, location: str, stay: bool) -> None:
    """fasthttp 37: the table of what is stripped; here also at another port or scheme, and at subdomains."""
    request = Request("GET", source, {**SECRETS, "Host": "virtual.a", "Accept": "*/*"})
    names = {name for name, _ in follow(request, to(location)).headers.items()}
    assert names == {*SECRETS, "Host", "Accept"} if stay else names == {"Accept"}


def test_rule_4_they_do_not_come_back_when_a_redirect_does() -> None:
    redirects, request = Redirects(16), Request("GET", "http://a/", SECRETS)
    for location in ("http://b/", "http://a/delete-everything"):
        following = redirects.follow(request, to(location))
        assert following is not None
        request = following
    assert request.headers.items() == ()


# Rule 5: it ends


@pytest.mark.parametrize("limit", [0, 1, 16])
def test_rule_5_after_so_many_there_is_an_error(limit: int) -> None:
    """fasthttp 32: a limit of 0 is too many at the first."""
    redirects, request = Redirects(limit), Request("GET", "http://a/0")
    for number in range(limit):
        following = redirects.follow(request, to(f"/{number + 1}"))
        assert following is not None
        request = following
    assert redirects.followed == limit
    assert redirects.follow(request, Response(200)) is None
    with pytest.raises(TooManyRedirects, match=rf"more than {limit} .* http://a/{limit} to http://a/x$"):
        redirects.follow(request, to("/x"))


def test_rule_5_a_limit_below_nothing_would_never_be_reached() -> None:
    with pytest.raises(ValueError, match="max_redirects is -1"):
        Redirects(-1)


HOSTS = ["a", "A", "b", "a:81", "a:80", "sub.a", "127.0.0.1", "[::1]", "a.", "me@a", "a@b", "a\\@b"]
LOCATIONS = (
    st.builds(
        "{}{}{}".format, st.sampled_from(["http://", "https://", "//", "HTTP://"]), st.sampled_from(HOSTS), st.just("/")
    )
    | st.sampled_from(["/x", "x", "..", "?q", "#f", "", "//", "http:", "http:/a", "http:a", "ftp://a/", "*", "http://"])
    | st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f", exclude_categories=["Cc"])
    )
)


@given(
    start=st.sampled_from(["http://a/p", "https://a/p", "http://a:81/p", "https://[::1]/"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
    peers=st.lists(st.tuples(st.sampled_from([*sorted(REDIRECTS), 200]), LOCATIONS), max_size=30),
    limit=st.integers(0, 20),
)
def test_whatever_peers_say_credentials_stay_home_and_it_ends(
    start: str, method: str, peers: list[tuple[int, str]], limit: int
) -> None:
    """Nothing but the two errors comes out, no secret goes to another origin than the first, and the limit holds."""
    home = Origin.of(parse_url(start))
    request = Request(method, start, {**SECRETS, "Content-Type": "text/plain"}, b"secret")
    redirects, asked = Redirects(limit), 1
    for status, location in peers:
        try:
            following = redirects.follow(request, to(location, status))
        except (TooManyRedirects, RemoteProtocolError):
            break
        if following is None:
            break
        asked += 1
        request = following
        origin = Origin.of(parse_url(request.url))
        assert origin.scheme in {"http", "https"}
        assert parse_url(request.url).auth is None
        if origin != home:
            assert not {name for name, _ in request.headers.items()} & set(SECRETS)
        if request.method != method:
            assert (request.method, request.body) == ("GET", b"")
            assert "content-type" not in request.headers
    assert asked <= limit + 1
