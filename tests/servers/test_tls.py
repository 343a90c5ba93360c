"""TLS before and inside servers, with authorities and client certificates checked for real."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import redis.asyncio

from bench.servers.certificates import Certificates
from bench.servers.engines import ENGINES, VALKEY, Engine
from bench.servers.ports import HOST
from bench.servers.relay import FaultRelay
from bench.servers.server import Options, Server

OWN_TLS = [engine for engine in ENGINES if engine.tls]


def trusting(authority: Path, client: Path | None = None) -> dict[str, object]:
    options: dict[str, object] = {"ssl_ca_certs": str(authority), "socket_timeout": 10}
    if client is not None:
        options |= {"ssl_certfile": str(client), "ssl_keyfile": str(client)}
    return options


async def ask(url: str, **options) -> bool:
    async with redis.asyncio.from_url(url, **options) as client:
        return bool(await client.ping())


async def test_a_relay_speaks_tls_for_any_engine(store_server: Server, store_certificates):
    async with FaultRelay(store_server.port, tls=store_certificates.for_server()) as relay:
        assert relay.url().startswith("rediss://")
        assert await ask(relay.url(), **trusting(store_certificates.authority))


@pytest.mark.parametrize("misnamed", [False, True])
async def test_a_server_of_a_strange_authority_or_name_is_refused(
    store_server: Server, store_certificates: Certificates, misnamed: bool
):
    made = store_certificates
    async with FaultRelay(store_server.port, tls=made.for_server(misnamed=misnamed)) as relay:
        authority = made.authority if misnamed else made.stranger
        with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await ask(relay.url(), **trusting(authority))


async def test_a_relay_that_wants_client_certificates_lets_nobody_in_without(
    store_server: Server, store_certificates: Certificates
):
    made = store_certificates
    tls = made.for_server(client_certificates=True)
    async with FaultRelay(store_server.port, tls=tls) as relay:
        assert await ask(relay.url(), **trusting(made.authority, made.client))
        with pytest.raises(redis.ConnectionError):
            await ask(relay.url(), **trusting(made.authority))


async def test_faults_act_under_tls_and_before_it(store_server: Server, store_certificates):
    async with (
        FaultRelay(store_server.port, tls=store_certificates.for_server()) as inner,
        FaultRelay(inner.port) as outer,
    ):
        url = f"rediss://{HOST}:{outer.port}"
        options = trusting(store_certificates.authority)
        async with redis.asyncio.from_url(url, retry=None, **options) as client:
            await client.ping()
            inner.lose_replies(1, to=b"incr")
            with pytest.raises(redis.ConnectionError):
                await client.incr("a")
            outer.cut()
            assert await client.get("a") == b"1"
        outer.stall()
        with pytest.raises(redis.TimeoutError):  # a handshake that nobody answers
            await ask(url, **options | {"socket_connect_timeout": 0.2})


if OWN_TLS:  # without such an engine there is nothing to collect

    @pytest.mark.parametrize("store_engine", OWN_TLS, indirect=True, ids=str)
    def test_an_engine_with_tls_of_its_own_serves_it_beside_the_plain_port(
        store_engine: Engine, store_certificates: Certificates
    ):
        made = store_certificates
        options = Options(tls=made, client_certificates=True, password="let-me-in")
        with Server(store_engine, options) as server:
            with redis.from_url(server.tls_url, **trusting(made.authority, made.client)) as client:
                assert client.ping()
            with (
                redis.from_url(server.tls_url, **trusting(made.authority)) as client,
                pytest.raises((redis.ConnectionError, ConnectionError)),
            ):
                client.ping()
            with socket.create_connection((HOST, server.port)):
                pass


def test_asking_an_engine_without_tls_for_it_says_what_to_do_instead(store_certificates):
    bare = replace(VALKEY, tls=False)
    with pytest.raises(AssertionError, match="FaultRelay"):
        Server(bare, Options(tls=store_certificates)).start()
