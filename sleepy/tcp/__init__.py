"""fasthttp's ideas: pools of connections, pipelining, spreading and a server, over HTTP/1.1 and over a peer's own frames.

The house: each client is a module here, with what all of them share (`peer_client`, `exchange`, `connection`) and the
decisions they lean on (`pool`, `pipeline`, `multiplex`, `balance`, `deadlines`, `latency`, `backoff`), which know neither
socket nor clock. Around them stand three rooms: `http` knows what HTTP/1.1 looks like, `dialing` leads from an address to a
connection, and `serving` is the other end. `codec` is the one door between clients and protocols.
"""

from sleepy.tcp.client import Client
from sleepy.tcp.codec import Codec, Encoded
from sleepy.tcp.dialing.dialer import DialFailed, DialTimeout
from sleepy.tcp.dialing.resolver import Resolver
from sleepy.tcp.errors import (
    BodyTooLarge,
    ConnectionClosed,
    LocalProtocolError,
    NoAvailableClients,
    NoFreeConnections,
    PipelineOverflow,
    ProtocolError,
    RemoteError,
    RemoteProtocolError,
    RequestTimeout,
    TooManyRedirects,
)
from sleepy.tcp.frames import Frames
from sleepy.tcp.host_client import HostClient
from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.http.messages import Headers, Request, Response
from sleepy.tcp.lb_client import LBClient
from sleepy.tcp.metrics import Histogram, Metrics
from sleepy.tcp.multiplex import Multiplex
from sleepy.tcp.multiplex_client import MultiplexClient
from sleepy.tcp.pipeline_client import PipelineClient
from sleepy.tcp.pool import ConnectionPool
from sleepy.tcp.serving.server import Server

__all__ = [
    "BodyTooLarge",
    "Client",
    "Codec",
    "ConnectionClosed",
    "ConnectionPool",
    "DialFailed",
    "DialTimeout",
    "Encoded",
    "Frames",
    "Headers",
    "Histogram",
    "HostClient",
    "Http1",
    "LBClient",
    "LocalProtocolError",
    "Metrics",
    "Multiplex",
    "MultiplexClient",
    "NoAvailableClients",
    "NoFreeConnections",
    "PipelineClient",
    "PipelineOverflow",
    "ProtocolError",
    "RemoteError",
    "RemoteProtocolError",
    "Request",
    "RequestTimeout",
    "Resolver",
    "Response",
    "Server",
    "TooManyRedirects",
]
