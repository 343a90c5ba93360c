"""What reaches a store, to connections: one server, Sentinels or a cluster; TLS; an ACL user.

Credentials stand in no message. Nothing is tried twice here: the layer around decides. Connections
speak RESP2, so that an ACL needs no command to say hello.
"""

import ssl
from dataclasses import dataclass, field, replace
from typing import Any

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from proxy.store.redis.cluster import Address, Clustered
from proxy.store.redis.lane import CONNECT_S, Dial, Lane
from proxy.store.redis.route import Route, Single
from proxy.store.redis.sentinel import connected, master


@dataclass(frozen=True, slots=True)
class User:
    """An ACL user; without a name it is `default`, without a password none is sent."""

    name: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Who names the master of a service; `user` is that of the Sentinels themselves."""

    service: str
    nodes: tuple[Address, ...]
    user: User = User()


@dataclass(frozen=True, slots=True)
class Reach:
    """How the store is reached: at `address`, in `path` (a Unix socket), or by `sentinels`.

    With `cluster` the address is that of any node. `tls` is a client's context.
    """

    address: Address | None = None
    path: str | None = None
    sentinels: Sentinels | None = None
    cluster: bool = False
    database: int = 0
    user: User = User()
    tls: ssl.SSLContext | None = None


def route(reach: Reach) -> Route:
    """The way to the store; nothing is connected yet."""
    if reach.sentinels is not None:
        return Single(Lane(_by_sentinels(reach, reach.sentinels)))
    if reach.path is not None:
        return Single(Lane(_in_file(reach, reach.path)))
    assert reach.address is not None
    if reach.cluster:
        return Clustered(reach.address, lambda address: Lane(_to(reach, address)))
    return Single(Lane(_to(reach, reach.address)))


def tls_context(
    ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """A client's context: it trusts `ca_file` alone, or the system's authorities without one.

    Raises OSError where a file cannot be read, and ssl.SSLError where it holds something else.
    """
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context


def _to(reach: Reach, address: Address) -> Dial:
    async def dial() -> AbstractConnection:
        return await connected(_connection(reach.tls, address, _arguments(reach)))

    return dial


def _in_file(reach: Reach, path: str) -> Dial:
    async def dial() -> AbstractConnection:
        return await connected(UnixDomainSocketConnection(path=path, **_arguments(reach)))

    return dial


def _by_sentinels(reach: Reach, sentinels: Sentinels) -> Dial:
    """Each new connection asks anew who the master is."""
    arguments = _arguments(replace(reach, user=sentinels.user, database=0))

    def to(address: Address) -> AbstractConnection:
        return _connection(reach.tls, address, arguments)

    async def dial() -> AbstractConnection:
        address = await master(sentinels.service, [to(node) for node in sentinels.nodes])
        return await connected(_connection(reach.tls, address, _arguments(reach)))

    return dial


class _Secure(SSLConnection):
    """A TLS connection with a context that is made once, not anew for each."""

    def __init__(self, context: ssl.SSLContext, **more: Any) -> None:
        super().__init__(**more)
        self.ssl_context.context = context


def _connection(
    tls: ssl.SSLContext | None, address: Address, arguments: dict[str, Any]
) -> AbstractConnection:
    host, port = address
    if tls is None:
        return Connection(host=host, port=port, **arguments)
    return _Secure(tls, host=host, port=port, **arguments)


def _arguments(reach: Reach) -> dict[str, Any]:
    return {
        "db": reach.database,
        "username": reach.user.name,
        "password": reach.user.password,
        "socket_timeout": None,  # each call has its own deadline
        "socket_connect_timeout": CONNECT_S,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
