"""fasthttp's ideas: a pool of connections, pipelining, and a server, over HTTP/1.1."""

from sleepy.tcp.client import Client
from sleepy.tcp.errors import (
    BodyTooLarge,
    ConnectionClosed,
    LocalProtocolError,
    NoAvailableClients,
    NoFreeConnections,
    PipelineOverflow,
    ProtocolError,
    RemoteProtocolError,
    RequestTimeout,
    TooManyRedirects,
)
from sleepy.tcp.host_client import HostClient
from sleepy.tcp.http1 import Http1
from sleepy.tcp.lb_client import LBClient
from sleepy.tcp.messages import Headers, Request, Response
from sleepy.tcp.pipeline_client import PipelineClient
from sleepy.tcp.pool import ConnectionPool
from sleepy.tcp.server import Server

__all__ = [
    "BodyTooLarge",
    "Client",
    "ConnectionClosed",
    "ConnectionPool",
    "Headers",
    "HostClient",
    "Http1",
    "LBClient",
    "LocalProtocolError",
    "NoAvailableClients",
    "NoFreeConnections",
    "PipelineClient",
    "PipelineOverflow",
    "ProtocolError",
    "RemoteProtocolError",
    "Request",
    "RequestTimeout",
    "Response",
    "Server",
    "TooManyRedirects",
]
