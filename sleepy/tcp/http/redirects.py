"""Where a redirect leads, and what goes along. Decisions only: who sends, and what time it is, is handed in.

A peer answers with a status 3xx and a ``Location``: *what you want is over there* (RFC 9110, section 15.4). To go there is
to let the peer choose the next request, so the rules say what it may choose:

1. **Where**: any http or https URL, or one relative to the last. A ``Location`` that is missing, is there twice or makes no
   sense is the peer's error, and so are credentials in it: they can only deceive (section 4.2.4). A fragment is for whoever
   shows the page; it is never sent.
2. **How**: 307 and 308 repeat the request as it is. 303 says where the result of what was done can be read: with GET, or
   with HEAD if it was HEAD. 301 and 302 repeat all but POST, which becomes GET: not what they were meant for, but what
   every browser does.
3. **What becomes GET leaves the body behind**, and the fields that speak of it. (fasthttp sends the body of a POST
   along with the GET. There it means nothing, and it tells the new place what only the old one was to know.)
4. **Credentials stay home**: at another scheme, host or port they are dropped, and they do not come back when a later
   redirect does: it was the other place that chose its URL. A ``Host`` field stays home too: it would be wrong elsewhere.
   (fasthttp looks at the host alone, so a redirect from https to http makes it send passwords in the clear.)
5. **It ends**: after ``limit`` redirects there is an error, and one deadline holds for all: each that is followed takes what
   the others left. (fasthttp gives the whole time to each.)
6. **Who can ask one peer only** follows what stays with its scheme, host and port, and says so of what does not. (fasthttp's
   HostClient refuses another scheme alone, and asks its own peer for what another host has.)
"""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from sleepy.tcp.errors import LocalProtocolError, RemoteProtocolError, RequestTimeout, TooManyRedirects
from sleepy.tcp.http.messages import Request, Response
from sleepy.tcp.http.url import DEFAULT_PORTS, Url, parse_url

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})  # 300 and 305 are for people, 304 is for caches
# Rule 3; all content-... too. Expect asks whether a body is welcome (RFC 9110, section 10.1.1).
_OF_THE_BODY: Final = frozenset({"expect", "trailer", "transfer-encoding"})
_OF_THE_ORIGIN: Final = frozenset({"authorization", "cookie", "host", "proxy-authorization", "www-authenticate"})


class Origin(NamedTuple):
    """Whom a URL trusts: one program on one host, by one way (RFC 6454, section 4).

    Attributes:
        scheme: ``http``, ``https`` or ``http+unix``.
        host: In ASCII and lower case, IPv6 without brackets; the path of a Unix socket.
        port: From 1 to 65535; 0 for a Unix socket.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: Url) -> "Origin":
        """The origin of a URL that has one."""
        return cls(url.scheme, url.host, url.port)


class Redirects:
    """The redirects of one request.

    Args:
        limit: How many are followed.
        normalize: Whether paths are normalized (see `sleepy.tcp.http.url`, rule 2).
        peer: The URL of the only peer that can be asked (rule 6): a request that names no host is for it. None if any can.

    Attributes:
        followed: How many there were so far.

    Raises:
        ValueError: ``limit`` is below 0.
    """

    __slots__ = ("_limit", "_normalize", "_peer", "followed")

    def __init__(self, limit: int, *, normalize: bool = True, peer: str | None = None) -> None:
        check_limit(limit)
        self._limit = limit
        self._normalize = normalize
        self._peer = None if peer is None else parse_url(peer)
        self.followed = 0

    async def ask(
        self,
        request: Request,
        ask_one: Callable[[Request, float | None], Awaitable[Response]],
        timeout: float | None,
        clock: Callable[[], float],
    ) -> Response:
        """Ask, and follow, until an answer leads nowhere else.

        Args:
            request: What is asked first.
            ask_one: Is awaited with each request and the seconds left for it; it follows nothing.
            timeout: The longest all of it may take, in seconds; None for as long as it takes.
            clock: Tells the time, in seconds.

        Raises:
            RequestTimeout: The time ran out; a note says so if it was after redirects.
            Exception: What ``ask_one`` and `follow` raise.
        """
        asked_at = clock()
        response = await ask_one(request, timeout)
        return await self.go_on(request, response, ask_one, timeout, asked_at, clock)

    async def go_on(
        self,
        request: Request,
        response: Response,
        ask_one: Callable[[Request, float | None], Awaitable[Response]],
        timeout: float | None,
        asked_at: float,
        clock: Callable[[], float],
    ) -> Response:
        """Follow, if a first answer leads elsewhere; see `ask`.

        Args:
            request: What was asked.
            response: What was answered.
            ask_one: As in `ask`.
            timeout: As in `ask`.
            asked_at: When it was asked, in seconds on the clock.
            clock: As in `ask`.

        Raises:
            Exception: What `ask` raises.
        """
        while (following := self.follow(request, response)) is not None:
            request = following
            left = None if timeout is None else max(asked_at + timeout - clock(), 0.0)  # rule 5
            try:
                response = await ask_one(request, left)
            except RequestTimeout as error:
                error.add_note(f"it came after {self.followed} redirects, and {timeout or 0:g} s were for all")
                raise
        return response

    # --8<-- [start:follow]
    def follow(self, request: Request, response: Response) -> Request | None:
        """What to ask next; None if ``response`` is the answer.

        Args:
            request: What was asked last, by a URL without credentials; absolute, if there is not only one peer to ask.
            response: What was answered.

        Raises:
            TooManyRedirects: Rule 5.
            RemoteProtocolError: Rule 1.
            LocalProtocolError: The request would have to be repeated, and its body was a stream, which is gone; or rule 6.
        """
        if response.status not in REDIRECTS:
            return None
        source = parse_url(request.url, normalize=self._normalize)
        if self._peer is not None and not source.host:
            source = self._peer.join(request.url, normalize=self._normalize)
        target = self._read_location(source, response)
        if self.followed == self._limit:
            raise TooManyRedirects(f"more than {self._limit} redirects; the last leads from {source} to {target}")
        self.followed += 1
        headers = list(request.headers.items())
        if Origin.of(target) != Origin.of(source):  # rule 4
            if self._peer is not None:  # rule 6
                raise LocalProtocolError(
                    f"{source} redirects to {target}, and this client asks one peer only: use a Client, or ask for the "
                    "answer without following"
                )
            headers = [(name, value) for name, value in headers if name.lower() not in _OF_THE_ORIGIN]
        if _is_repeated(response.status, request.method):
            if request.stream is not None:
                raise LocalProtocolError(
                    f"{source} redirects with status {response.status}, and a stream can be sent only once: "
                    "give the body as bytes, or ask for the last address"
                )
            return Request(
                request.method,
                str(target),
                headers,
                request.body,
                idempotent=request.idempotent,
                normalize=self._normalize,
            )
        headers = [(name, value) for name, value in headers if not _is_of_the_body(name.lower())]  # rule 3
        method = "HEAD" if request.method == "HEAD" else "GET"
        return Request(method, str(target), headers, normalize=self._normalize)

    # --8<-- [end:follow]

    def _read_location(self, source: Url, response: Response) -> Url:
        """Rule 1."""
        locations = response.headers.get_all("location")
        if len(locations) != 1:
            raise RemoteProtocolError(
                f"{source} redirects with status {response.status} and {len(locations)} Location fields instead of one"
            )
        # Outside ASCII there should be nothing; where there is, its bytes are kept as they came.
        reference = "".join(char if char.isascii() else f"%{ord(char):02X}" for char in locations[0])
        try:
            target = source.join(reference, normalize=self._normalize)
        except LocalProtocolError as error:
            raise RemoteProtocolError(f"{source} redirects to what cannot be asked for: {error}") from None
        if target.scheme not in DEFAULT_PORTS and Origin.of(target) != Origin.of(source):
            raise RemoteProtocolError(f"{source} redirects to a Unix socket, and those are not the peer's business")
        if target.auth is not None:
            raise RemoteProtocolError(f"{source} redirects to {target} with credentials of its own choice")
        return target


def check_limit(limit: int) -> None:
    """Refuse what is no number of redirects.

    Raises:
        ValueError: It is below 0.
    """
    if limit < 0:
        raise ValueError(f"max_redirects is {limit}; 0 is an error at the first, None is to follow none")


def _is_repeated(status: int, method: str) -> bool:
    """Rule 2."""
    return status in {307, 308} or (status in {301, 302} and method != "POST")


def _is_of_the_body(name: str) -> bool:
    return name.startswith("content-") or name in _OF_THE_BODY
