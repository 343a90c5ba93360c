"""Standalone servers answer, obey their options, and leave nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bench.servers.engines import VALKEY, Engine, installed
from bench.servers.ports import HOST, free_port
from bench.servers.process import Process
from bench.servers.server import Options, Server, StartError, User, wait_until

ROOT = Path(__file__).parents[2]
NEVER, ONCE_MORE = Retry(NoBackoff(), 0), Retry(NoBackoff(), 1)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def as_user(server: Server, user: User | None = None) -> redis.Redis:
    return redis.from_url(server.url_of(user), decode_responses=True, retry=ONCE_MORE)


def test_it_is_the_engine_asked_for_and_new_enough(store_server: Server, store_engine: Engine):
    with as_user(store_server) as client:
        told = client.info("server")
    name = told.get("server_name", "redis")
    assert (name, told[f"{name}_version"]) == (
        store_engine.name,
        ".".join(map(str, store_engine.version)),
    )
    assert store_engine.version >= (7, 0)


def test_an_engine_that_is_absent_or_too_old_is_left_out(tmp_path):
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=6.0.16 sha=0:0\n")
    old.chmod(0o755)
    assert installed(None) == installed(str(old)) == (VALKEY,)


def test_the_shared_server_starts_each_test_without_keys_and_scripts(store_server: Server):
    with as_user(store_server) as client:
        sha = client.script_load("return 1")
        client.set("a", "1")
        store_server.flush()
        assert client.dbsize() == 0
        assert client.script_exists(sha) == [False]


def test_its_end_leaves_no_process_no_folder_and_no_listener(store_engine: Engine):
    with Server(store_engine) as server:
        pid, folder, port = server.process.pid, server.process.folder, server.port
        assert lives(pid)
        assert folder.exists()
    assert not lives(pid)
    assert not folder.exists()
    assert not listens(port)


def test_a_paused_server_can_be_stopped(store_engine: Engine):
    with Server(store_engine) as server:
        pid = server.process.pid
        server.pause()
    assert not lives(pid)


def test_a_server_ends_when_the_process_that_started_it_is_killed():
    code = (
        "import os, signal\n"
        "from bench.servers.server import Server\n"
        "server = Server(); server.start()\n"
        "print(server.port, server.process.folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    port, folder = done.stdout.split()
    wait_until(lambda: not listens(int(port)) and not Path(folder).exists(), "the guard")


def test_a_paused_server_is_silent_and_then_executes_what_it_was_sent(store_own_server: Server):
    server = store_own_server
    with redis.Redis(HOST, server.port, socket_timeout=0.1, retry=NEVER) as client:
        client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.set("a", "1")
        server.resume()
        wait_until(lambda: client.get("a") == b"1", "the write of before")


def test_a_killed_server_refuses_and_comes_back_empty_on_the_same_port(store_own_server: Server):
    with as_user(store_own_server) as client:
        client.set("a", "1")
        store_own_server.kill()
        assert not listens(store_own_server.port)
        store_own_server.restart()
        assert client.get("a") is None


def test_a_server_that_appends_to_a_file_keeps_its_keys_over_a_restart(store_engine: Engine):
    options = Options(appendonly=True, extra={"appendfsync": "always"})
    with Server(store_engine, options) as server, as_user(server) as client:
        client.set("a", "1")
        server.restart()
        assert client.get("a") == "1"


def test_a_password_is_asked_for(store_engine: Engine):
    with Server(store_engine, Options(password="let-me-in")) as server:
        with as_user(server) as client:
            assert client.ping()
        with (
            redis.Redis(HOST, server.port, retry=ONCE_MORE) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


def test_a_user_has_the_commands_and_keys_of_its_rules_alone(store_engine: Engine):
    user = User("gateway", "let-me-in", "~g:* +get +set")
    with Server(store_engine, Options(users=(user,), default_user=False)) as server:
        with as_user(server, user) as client:
            assert client.set("g:a", "1")
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.set("other", "1")
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.delete("g:a")
        with as_user(server) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        server.flush()


def fill(client: redis.Redis) -> None:
    for number in range(100):
        client.set(f"a{number}", "x" * 100_000)


def test_memory_has_the_limit_of_the_options(store_engine: Engine):
    with Server(store_engine, Options(maxmemory_bytes=8 * 2**20)) as server:
        with as_user(server) as client, pytest.raises(redis.exceptions.OutOfMemoryError):
            fill(client)
        with server.client() as client:
            assert client.dbsize() > 20
        server.flush()


def test_a_wrong_option_fails_at_once_with_the_log_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StartError, match="no-such-setting"):
        Server(VALKEY, Options(extra={"no-such-setting": "1"})).start()
    assert not list(tmp_path.iterdir())


def test_a_port_taken_in_the_meantime_is_replaced_by_another(monkeypatch):
    with Server() as other:
        free = free_port()
        ports = iter((other.port, free))
        monkeypatch.setattr("bench.servers.server.free_port", lambda: next(ports))
        with Server() as server, server.client() as client:
            assert server.port == free
            assert client.info("server")["process_id"] == server.process.pid


def test_a_process_that_has_ended_by_itself_is_known_to_have_no_pid():
    process = Process()
    try:
        process.start("/bin/sh", "-c", "exit 3")
        wait_until(lambda: process.pid is None, "the shell")
    finally:
        process.close()
