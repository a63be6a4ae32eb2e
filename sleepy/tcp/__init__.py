"""fasthttp's ideas: a pool of connections, pipelining, and a server, over HTTP/1.1."""

from sleepy.tcp.errors import (
    BodyTooLarge,
    ConnectionClosed,
    LocalProtocolError,
    NoFreeConnections,
    PipelineOverflow,
    ProtocolError,
    RemoteProtocolError,
    RequestTimeout,
)
from sleepy.tcp.host_client import HostClient
from sleepy.tcp.http1 import Http1
from sleepy.tcp.messages import Headers, Request, Response
from sleepy.tcp.pipeline_client import PipelineClient
from sleepy.tcp.pool import ConnectionPool
from sleepy.tcp.server import Server

__all__ = [
    "BodyTooLarge",
    "ConnectionClosed",
    "ConnectionPool",
    "Headers",
    "HostClient",
    "Http1",
    "LocalProtocolError",
    "NoFreeConnections",
    "PipelineClient",
    "PipelineOverflow",
    "ProtocolError",
    "RemoteProtocolError",
    "Request",
    "RequestTimeout",
    "Response",
    "Server",
]
