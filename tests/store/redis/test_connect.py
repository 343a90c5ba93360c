"""Ways to the store: TLS, a client's certificate, an ACL user, a Unix socket, Sentinels."""

import asyncio
import re
import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bench.servers.certificates import Certificates
from bench.servers.engines import VALKEY
from bench.servers.relay import FaultRelay
from bench.servers.server import Options, Server
from bench.servers.server import User as ServerUser
from bench.servers.watched import Watched
from proxy.model.plan import Correction
from proxy.store.errors import StoreUnavailable
from proxy.store.redis.connect import Reach, Sentinels, User, route, tls_context
from proxy.store.redis.remembered import InRedis
from tests.store.plans import (
    KEY,
    bucket,
    charge,
    eventually,
    lease,
    lifetime,
    plan,
    redis_store,
    rolling,
)

SETTINGS = Path(__file__).parents[3] / "docs" / "settings.md"
PASSWORD = "pass-of-the-gateway"


async def works(reach: Reach, **more) -> None:
    """All that a store does."""
    async with redis_store(reach, **more) as store:
        child = {"slot": "cluster=x", "inherits": ("r|cluster=y",)}
        kinds = [kind(f"r|cluster=x|{kind.__name__}", **child) for kind in ALL]
        wanted = plan(*kinds)
        readings = await store.take(wanted)
        assert readings.taken
        await store.renew(wanted, readings, ())
        await store.settle(wanted, readings, tuple(Correction(one, 1) for one in kinds))
        dead = plan(*kinds, id="dead")
        await store.take(dead)
        lapsed = (await store.take(plan(*kinds, at_s=61, take=False))).readings
        assert [reading.known for reading in lapsed] == [True] * 5
        assert await store.heartbeat("p", 1, 1) == 1


ALL = [charge, lifetime, rolling, bucket, lease]


async def test_tls_trusts_its_authority_alone_and_checks_the_name(
    store_server: Server, store_certificates: Certificates
):
    certificates = store_certificates
    trusted = tls_context(str(certificates.authority))
    async with FaultRelay(store_server.port, tls=certificates.for_server()) as relay:
        await works(Reach(address=("127.0.0.1", relay.port), tls=trusted))
        for context in (tls_context(str(certificates.stranger)), tls_context()):
            with pytest.raises(StoreUnavailable):
                await works(Reach(address=("127.0.0.1", relay.port), tls=context))
        with pytest.raises(StoreUnavailable):
            await works(Reach(address=("127.0.0.1", relay.port)))
    async with FaultRelay(store_server.port, tls=certificates.for_server(misnamed=True)) as relay:
        with pytest.raises(StoreUnavailable):
            await works(Reach(address=("127.0.0.1", relay.port), tls=trusted))


async def test_a_server_may_ask_for_a_certificate(
    store_server: Server, store_certificates: Certificates
):
    certificates = store_certificates
    authority, own = str(certificates.authority), str(certificates.client)
    asking = certificates.for_server(client_certificates=True)
    async with FaultRelay(store_server.port, tls=asking) as relay:
        address = ("127.0.0.1", relay.port)
        await works(Reach(address=address, tls=tls_context(authority, own, own)))
        with pytest.raises(StoreUnavailable):
            await works(Reach(address=address, tls=tls_context(authority)))


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        tls_context(str(tmp_path / "none.pem"))
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        tls_context(str(tmp_path / "empty.pem"))


def rules_of_the_docs() -> str:
    found = re.search(r"^ACL SETUSER gauger on >\S+ (.+)$", SETTINGS.read_text(), re.MULTILINE)
    assert found
    return found.group(1)


async def test_the_acl_line_of_the_docs_is_all_that_the_store_needs(store_engine):
    user = ServerUser("gauger", PASSWORD, rules_of_the_docs())
    with Server(store_engine, Options(users=(user,), default_user=False)) as server:
        reach = Reach(address=server.address, user=User("gauger", PASSWORD))
        await works(reach)
        async with redis_store(reach, prefix="other") as store:
            with pytest.raises(StoreUnavailable, match="NOPERM"):
                await store.heartbeat("p", 1, 1)
            with capture_logs() as logs:
                for _ in range(3):
                    assert not (await store.take(plan(charge()))).available
            assert [entry["problem"][:6] for entry in logs] == ["NOPERM"]
        way = route(reach)
        remembered = InRedis(way, KEY, "gauger")
        await remembered.put("n", b"v")
        assert [await remembered.get("n"), await remembered.take("n")] == [b"v", b"v"]
        await way.close()
        for wrong in (User("gauger", "wrong"), User()):
            with pytest.raises(StoreUnavailable) as told:
                await works(Reach(address=server.address, user=wrong))
            assert PASSWORD not in str(told.value)


def test_a_password_shows_in_no_text():
    assert PASSWORD not in repr(Reach(address=("h", 1), user=User("gauger", PASSWORD)))


async def test_a_password_alone_is_that_of_the_default_user_and_a_database_is_chosen(store_engine):
    with Server(store_engine, Options(password=PASSWORD)) as server:
        reach = Reach(address=server.address, user=User(None, PASSWORD), database=3)
        await works(reach)
        with server.client() as client:
            client.select(3)
            assert client.info("keyspace").keys() == {"db3"}


async def test_a_unix_socket_will_do(store_engine, tmp_path: Path):
    path = str(tmp_path / "s")
    with Server(store_engine, Options(extra={"unixsocket": path}, password=PASSWORD)):
        await works(Reach(path=path, user=User(None, PASSWORD)))


@pytest.mark.parametrize("store_engine", [VALKEY], indirect=True)
async def test_sentinels_name_the_master_and_a_failover_is_followed(store_watched: Watched):
    watched = store_watched
    reach = Reach(sentinels=Sentinels(watched.name, tuple(watched.addresses)))
    async with redis_store(reach, timeout_s=1) as store:
        assert (await store.take(plan(lifetime()))).taken
        before = watched.primary
        await asyncio.to_thread(watched.fail_over)
        assert watched.primary is not before

        async def is_back() -> bool:
            return (await store.take(plan(lifetime(), take=False))).available

        await eventually(is_back)
        assert (await store.take(plan(lifetime()))).taken
        dead = watched.primary
        dead.pause()
        await asyncio.to_thread(watched.wait_for_takeover, dead)
        await eventually(is_back)
        assert (await store.take(plan(lifetime()))).available
        dead.resume()


async def test_sentinels_that_nobody_reaches_are_told():
    reach = Reach(sentinels=Sentinels("none", (("127.0.0.1", 1),)))
    with pytest.raises(StoreUnavailable, match="no Sentinel names a master"):
        await works(reach)
