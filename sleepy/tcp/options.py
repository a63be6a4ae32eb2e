"""What every client to one peer can be told, in one place, so that no list of options is written twice."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, TypedDict

from sleepy.tcp.dialing.dialer import MAX_CONCURRENT_DIALS, Dial, Dialer
from sleepy.tcp.dialing.resolver import Resolver
from sleepy.trace import Trace


class PeerOptions(TypedDict, total=False):
    """What every client to one peer can be told. The names are fasthttp's, in snake_case; times are in seconds.

    Attributes:
        max_attempts: How often a request is tried in all, if it may be repeated (MaxIdemponentCallAttempts); 5.
        retry_if: Says of a request that failed, and of the error, whether to try again, in place of the usual rule, which is
            to repeat what is idempotent (RetryIf, RetryIfErr). A timeout and an answer too large are never repeated.
        read_timeout: How long an answer may take, from the sending of the request to its last byte (ReadTimeout); None for
            as long as the request's own time lasts.
        write_timeout: How long the sending of a request may take (WriteTimeout); None as before.
        max_response_body_size: The longest body accepted, in bytes (MaxResponseBodySize); None for any.
        dial_timeout: The longest a dial may take (DialTimeout); 3.
        dial: Connects in the place of the event loop (Dial); see `sleepy.tcp.dialing.dialer.Dial`.
        dual_stack: Try IPv6 too (DialDualStack); True.
        resolver: Looks up names; clients that share it share its memory. By default each has its own.
        max_concurrent_dials: How many dials may go on at a time (Concurrency); a semaphore to share the limit. 1,000.
        tls: Speak TLS, with this context, or with a usual one if True (TLSConfig, IsTLS); None for plain TCP.
        server_hostname: The name that the certificate must be for; by default the host of the address.
        trace: Is told what happens; None for nobody.
    """

    max_attempts: int
    retry_if: Callable[[Any, Exception], bool] | None
    read_timeout: float | None
    write_timeout: float | None
    max_response_body_size: int | None
    dial_timeout: float
    dial: Dial | None
    dual_stack: bool
    resolver: Resolver | None
    max_concurrent_dials: int | asyncio.Semaphore
    tls: ssl.SSLContext | bool | None
    server_hostname: str | None
    trace: Trace | None


def check(options: PeerOptions) -> None:
    """Refuse what makes no sense.

    Raises:
        TypeError: An option that is none: a misspelt limit would limit nothing.
        ValueError: A limit that would let nothing through; the message says which.
    """
    unknown = options.keys() - PeerOptions.__optional_keys__
    if unknown:
        raise TypeError(f"no option of this client: {', '.join(sorted(unknown))}; see its signature, and PeerOptions")
    for name, least in (
        ("max_attempts", 1),
        ("dial_timeout", 0.001),
        ("read_timeout", 0.001),
        ("write_timeout", 0.001),
        ("max_response_body_size", 0),
    ):
        value = options.get(name)
        if isinstance(value, int | float) and value < least:
            raise ValueError(f"{name} is {value}; the least is {least}")


def dialer_for(addr: str, options: PeerOptions) -> Dialer:
    """A dialer of the addresses of one peer, by those of the options that speak of dialing."""
    return Dialer(
        addr,
        tls=options.get("tls"),
        timeout=options.get("dial_timeout", 3.0),
        server_hostname=options.get("server_hostname"),
        dual_stack=options.get("dual_stack", True),
        resolver=options.get("resolver"),
        max_concurrent_dials=options.get("max_concurrent_dials", MAX_CONCURRENT_DIALS),
        dial=options.get("dial"),
    )
