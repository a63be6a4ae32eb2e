"""What a URL asks for, and of whom.

    http://user:secret@example.org:8000/search?q=1#top
    scheme credentials host        port path   query fragment

A client needs the parts for different things: scheme, host and port say whom to dial; host and port, but not a port that
goes without saying, are the ``Host`` field (the *authority*); path and query are the request's *target*; the credentials
become an ``Authorization`` field (RFC 7617); the fragment is for whoever reads the answer, and is never sent (RFC 9110,
section 4.2.5). A server sees a target alone, so a URL without scheme and host is one too.

Rules:

1. What could be read in two ways is refused rather than guessed: the host that we check and the host that we dial must be
   the same, and a line break could begin a second request (RFC 9110, section 4.2; fasthttp's users met both).
2. Two ways to write the same path become one (RFC 3986, section 6.2.2): ``/%7ea/./b/../c`` is ``/~a/c``. Slashes in a row
   become one, as in fasthttp. What may not stand in a URL is percent-encoded, as UTF-8. Of the query only that: its order
   and spelling may be signed.
3. Whoever needs a path as it is says ``normalize=False``; what may not be sent is refused then.
4. A relative reference, such as a redirect's ``Location``, is resolved as RFC 3986, section 5.2 says. Credentials go along
   only where the reference names no host.

Programs ask for the same URLs over and over, so what was read is remembered: a URL is a value that never changes.
"""

import base64
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from sleepy.tcp.dialing.address import Address, bracketed, parse_host
from sleepy.tcp.errors import LocalProtocolError

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_REMEMBERED: Final = 1024  # URLs; the credentials in them too

# RFC 3986, appendix B, for the schemes we speak.
_ABSOLUTE = re.compile(r"(https?|http\+unix)://([^/?#]*)([^#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::([0-9]{0,5}))?")
_USER = re.compile(r"[^\x00-\x20\x7f@\\/?#\[\]<>\"^`{|}]*")  # with non-ASCII, which RFC 7617 sends as UTF-8
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VISIBLE = re.compile(r"[\x21-\x7e]*")
_FORBIDDEN = re.compile(
    r"[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+"
)  # in path and query, RFC 3986, appendix A
_UNCLEAN = re.compile(r"//|/\.|%|" + _FORBIDDEN.pattern)  # a path that rule 2 may change
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")
_USER_INFO = re.compile(r"//[^/?#]*@")
_UNRESERVED = re.compile(r"[0-9A-Za-z\-._~]")


@dataclass(frozen=True, slots=True)
class Url:
    """A URL, taken apart.

    Attributes:
        scheme: ``http``, ``https`` or ``http+unix``; empty if the URL is a target alone.
        host: In ASCII and lower case, IPv6 without brackets; the path of the socket for ``http+unix``; or empty.
        port: Never without saying; 0 if there is no host, or for ``http+unix``.
        authority: What belongs into the ``Host`` field; empty if there is no host.
        target: Path and query, for the request line; or ``*``.
        auth: The value for an ``Authorization`` field: ``Basic`` and what comes behind it; None without credentials.
    """

    scheme: str
    host: str
    port: int
    authority: str
    target: str
    auth: str | None = field(default=None, repr=False)

    @property
    def address(self) -> Address:
        """Where to dial."""
        return Address("", 0, self.host) if self.scheme == "http+unix" else Address(self.host, self.port)

    def join(self, reference: str, *, normalize: bool = True) -> "Url":
        """The URL that a reference found at this one means (RFC 3986, section 5.2).

        Args:
            reference: A URL, or what is left of one: ``//host/path``, ``/path``, ``../path``, ``?query``.
            normalize: Rule 2. Dot segments are resolved in any case.

        Raises:
            LocalProtocolError: It means nothing that can be asked for.
        """
        _refuse_controls(reference)
        reference = reference.partition("#")[0]
        if _SCHEME.match(reference):
            return parse_url(reference, normalize=normalize)
        if reference.startswith("//"):
            if not self.scheme:
                raise LocalProtocolError(f"{reference!r} has no scheme, and it was found at a URL that has none either")
            return parse_url(f"{self.scheme}:{reference}", normalize=normalize)
        base_path, _, base_query = self.target.partition("?")
        path, mark, query = reference.partition("?")
        if not path:
            mark, query = (mark, query) if mark else ("?" if base_query else "", base_query)
            path = base_path
        elif not path.startswith("/"):
            path = f"{base_path.rpartition('/')[0]}/{path}"
        return replace(self, target=_read_target(_without_dots(path) + mark + query, normalize=normalize))

    def __str__(self) -> str:
        """The URL, without its credentials."""
        if self.scheme == "http+unix":
            return f"{self.scheme}://{quote(self.host, safe='')}{self.target}"
        return f"{self.scheme}://{self.authority}{self.target}" if self.scheme else self.target


@lru_cache(_REMEMBERED)
def parse_url(url: str, *, normalize: bool = True) -> Url:
    """Take a URL apart.

    Args:
        url: ``http://...``, ``https://...``, ``http+unix://%2Frun%2Fapp.sock/...``; or a target alone: ``/path?query``
            or ``*``.
        normalize: Rule 2 (fasthttp: not DisablePathNormalizing).

    Raises:
        LocalProtocolError: It cannot be asked for; the error says why.
    """
    _refuse_controls(url)
    match = _ABSOLUTE.match(url)
    if match is None:
        if url != "*" and not url.startswith("/"):
            raise LocalProtocolError(
                f"{_shown(url)} is no URL to ask for: it begins with /, http://host or https://host"
            )
        return Url("", "", 0, "", _read_target(url.partition("#")[0], normalize=normalize))
    scheme = match[1].lower()
    user, at, host_port = match[2].rpartition("@")
    auth = _basic(user) if at else None
    target = match[3] if match[3].startswith("/") else f"/{match[3]}"
    target = _read_target(target, normalize=normalize)
    if scheme == "http+unix":
        return Url(scheme, _read_socket_path(host_port), 0, "localhost", target, auth)
    host, port = _read_host_port(host_port, DEFAULT_PORTS[scheme])
    authority = bracketed(host) if port == DEFAULT_PORTS[scheme] else f"{bracketed(host)}:{port}"
    return Url(scheme, host, port, authority, target, auth)


def _shown(url: str) -> str:
    """A URL for an error's text, which may end up in a log: without credentials."""
    return repr(_USER_INFO.sub("//...@", url))


def _refuse_controls(text: str) -> None:
    """Rule 1."""
    if _CONTROL.search(text):
        raise LocalProtocolError(
            f"{_shown(text)} has a line break or another control character; if it is data, encode it: %0A"
        )


def _read_host_port(text: str, default: int) -> tuple[str, int]:
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise LocalProtocolError(f"{text!r} is no host, with or without a port (a port is a number, IPv6 has brackets)")
    port = int(match[2] or default)
    if not 0 < port < 65536:
        raise LocalProtocolError(f"the port of {text!r} is not from 1 to 65535")
    try:
        return parse_host(match[1]), port
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None


def _read_socket_path(text: str) -> str:
    try:
        path = unquote_to_bytes(text).decode()
    except UnicodeError:
        path = ""
    if not path.startswith("/") or "\0" in path:
        raise LocalProtocolError(
            f"{text!r} is no Unix socket's path: percent-encode it, as in http+unix://%2Frun%2Fapp.sock"
        )
    return path


def _basic(user: str) -> str | None:
    """RFC 7617, section 2: user name and password, of which a colon ends the former."""
    if not _USER.fullmatch(user):
        raise LocalProtocolError(
            "the credentials in the URL have a character that may not stand there: percent-encode it"
        )
    name, _, password = user.partition(":")
    try:
        decoded = [unquote_to_bytes(part).decode() for part in (name, password)]
    except UnicodeError:
        raise LocalProtocolError("the credentials in the URL are no UTF-8") from None
    if ":" in decoded[0] or any(map(_CONTROL.search, decoded)):
        raise LocalProtocolError("the user name in the URL has a colon, or the credentials have a control character")
    if not any(decoded):
        return None
    return "Basic " + base64.b64encode(":".join(decoded).encode()).decode()


def _read_target(target: str, *, normalize: bool) -> str:
    """Rules 2 and 3."""
    if not normalize:
        if not _VISIBLE.fullmatch(target):
            raise LocalProtocolError(f"{target!r} cannot be sent as it is: percent-encode what is not visible ASCII")
        return target
    path, mark, query = target.partition("?")
    if _UNCLEAN.search(path):
        path = _PERCENT.sub(_normalize_percent, _encode(path))
        path = _without_dots(re.sub("/{2,}", "/", path))
    return path + mark + _encode(query)


def _encode(text: str) -> str:
    try:
        return _FORBIDDEN.sub(lambda match: quote(match[0], safe=""), text)
    except UnicodeError:
        raise LocalProtocolError(f"{text!r} has half a character (a lone surrogate), which no URL can carry") from None


def _normalize_percent(match: re.Match[str]) -> str:
    """RFC 3986, sections 6.2.2.1 and 6.2.2.2; a percent sign that encodes nothing is one itself."""
    if match[1] is None:
        return "%25"
    character = chr(int(match[1], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()


# --8<-- [start:dots]
def _without_dots(path: str) -> str:
    """RFC 3986, section 5.2.4: ``.`` is here, ``..`` is one up, and nothing is above the root."""
    kept: list[str] = []
    segments = path[1:].split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")  # what is left is a directory
    return "/" + "/".join(kept)


# --8<-- [end:dots]
