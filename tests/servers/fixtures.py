"""Fixtures of real store servers, for all tests; `bench/servers/__init__.py` shows what they give.

All start lazily, in each test worker for itself. A test over `store_engine`, or over any fixture
made from it, runs once for each engine of this machine. One engine is enough for a slow test:
`@pytest.mark.parametrize("store_engine", [VALKEY], indirect=True)`.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from bench.servers.certificates import Certificates, make_certificates
from bench.servers.cluster import Cluster
from bench.servers.engines import ENGINES, Engine
from bench.servers.relay import FaultRelay
from bench.servers.server import Server
from bench.servers.watched import Watched


@pytest.fixture(scope="session", params=ENGINES, ids=str)
def store_engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    engine: Engine = request.param
    return engine


@pytest.fixture(scope="session")
def store_shared_server(store_engine: Engine) -> Iterator[Server]:
    """One open server for the session: use it through `store_server`."""
    with Server(store_engine) as server:
        yield server


@pytest.fixture
def store_server(store_shared_server: Server) -> Server:
    """The shared server without keys and scripts; it must be left running, as it was set up."""
    store_shared_server.flush()
    return store_shared_server


@pytest.fixture
def store_own_server(store_engine: Engine) -> Iterator[Server]:
    """A server of the test's own, to pause, kill and set up."""
    with Server(store_engine) as server:
        yield server


@pytest.fixture
async def store_relay(store_server: Server) -> AsyncIterator[FaultRelay]:
    """A relay before `store_server`."""
    async with FaultRelay(store_server.port) as relay:
        yield relay


@pytest.fixture(scope="session")
def store_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates for servers and clients on loopback."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def store_shared_cluster(store_engine: Engine) -> Iterator[Cluster]:
    """Three masters for the module: use them through `store_cluster`."""
    with Cluster(store_engine) as cluster:
        yield cluster


@pytest.fixture
def store_cluster(store_shared_cluster: Cluster) -> Cluster:
    """The module's cluster without keys and scripts; it must be left whole."""
    store_shared_cluster.flush()
    return store_shared_cluster


@pytest.fixture
def store_own_cluster(store_engine: Engine) -> Iterator[Cluster]:
    """A cluster of the test's own, two seconds to make, to kill nodes of and move slots in."""
    with Cluster(store_engine) as cluster:
        yield cluster


@pytest.fixture
def store_watched(store_engine: Engine) -> Iterator[Watched]:
    """A primary and a replica under one Sentinel, to fail over."""
    with Watched(store_engine) as watched:
        yield watched
