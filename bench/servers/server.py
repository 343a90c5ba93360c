"""One real server on loopback: started, paused, killed, restarted, flushed and always stopped.

Everything here blocks for some milliseconds, so that it can be used from fixtures, benchmarks and
the tests of any event loop. In a test whose own loop must go on meanwhile (a client under load, a
relay) call it through `asyncio.to_thread`.
"""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bench.servers.certificates import Certificates
from bench.servers.engines import VALKEY, Engine
from bench.servers.ports import HOST, free_port
from bench.servers.process import Process

READY_S = 20.0
OPERATOR, OPERATOR_PASSWORD = "operator", "of-the-tests-alone"
_ANSWER_S = 1.0
_PORT_TRIES = 5
_BASE = {
    "bind": HOST,
    "save": '""',
    "enable-debug-command": "yes",
    "repl-diskless-sync-delay": "0",
    "latency-tracking": "no",
}


class StartError(RuntimeError):
    """The server did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class User:
    """An ACL user; `rules` as in `ACL SETUSER`, without `on` and the password."""

    name: str
    password: str
    rules: str = "~* &* +@all"


@dataclass(frozen=True, slots=True)
class Options:
    """How a server is set up; the defaults make an open server in memory.

    `password` is the default user's. `default_user=False` turns that user off, so that only
    `users` get in. `tls` opens a second port with these certificates (`engine.tls` says whether
    the engine can); `client_certificates` makes it ask for one from the client. `extra` holds
    further lines of the configuration file.
    """

    password: str | None = None
    users: tuple[User, ...] = ()
    default_user: bool = True
    maxmemory_bytes: int = 0
    appendonly: bool = False
    tls: Certificates | None = None
    client_certificates: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)


class Server:
    """A server process; a context manager that starts it and leaves nothing behind."""

    def __init__(self, engine: Engine = VALKEY, options: Options | None = None) -> None:
        self.engine = engine
        self.options = options or Options()
        self.port = 0
        self.tls_port = 0
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process(self) -> Process:
        """The process underneath; an error before the start and after the stop."""
        assert self._process is not None, "the server was not started, or was stopped"
        return self._process

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the plain listener."""
        return HOST, self.port

    @property
    def url(self) -> str:
        """The plain URL as the default user."""
        return self.url_of(None)

    @property
    def tls_url(self) -> str:
        """The URL of the TLS port as the default user."""
        return self.url_of(None, scheme="rediss", port=self.tls_port)

    def url_of(self, user: User | None, *, scheme: str = "redis", port: int | None = None) -> str:
        """A URL with the user's name and password; `port` may be that of a relay in front."""
        if user is not None:
            who = f"{user.name}:{user.password}@"
        else:
            who = f":{self.options.password}@" if self.options.password else ""
        return f"{scheme}://{who}{HOST}:{port or self.port}"

    def start(self) -> None:
        """Start on free ports and wait until it answers; another program may win a port's race."""
        for left in reversed(range(_PORT_TRIES)):
            self._process = Process()
            try:
                self._choose_ports()
                self._config.write_text("".join(f"{k} {v}\n" for k, v in self._lines()))
                self._launch()
            except BaseException as failed:
                taken = isinstance(failed, StartError) and "in use" in str(failed)
                self.stop()
                if not taken or not left:
                    raise
            else:
                return

    def stop(self) -> None:
        """End the process and remove its folder. May be called again."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open and the kernel accepts new ones, but nobody answers."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: what was sent meanwhile is now executed."""
        self.process.signal(signal.SIGCONT)

    def kill(self) -> None:
        """`kill -9`: the port refuses connections until `restart`."""
        self.process.kill()

    def restart(self) -> None:
        """Kill it if it runs, and start again on the same port with what it kept on disk."""
        self.process.kill()
        self._launch()

    def flush(self) -> None:
        """Remove all keys and all loaded scripts."""
        with self.client() as client:
            client.flushall()
            client.script_flush()

    def client(self, *, timeout_s: float = READY_S) -> redis.Redis:
        """A blocking client with all rights, also where the default user has none."""
        return redis.Redis(
            HOST,
            self.port,
            username=OPERATOR,
            password=OPERATOR_PASSWORD,
            decode_responses=True,
            socket_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1),  # a connection from before a restart
        )

    @property
    def _config(self) -> Path:
        return self.process.folder / "server.conf"

    def _choose_ports(self) -> None:
        self.port = free_port()
        self.tls_port = free_port() if self.options.tls else 0

    def _lines(self) -> list[tuple[str, str]]:
        """The configuration, name by name; ACL users may repeat a name."""
        options = self.options
        lines = dict(_BASE) | {"port": str(self.port), "dir": str(self.process.folder)}
        lines["appendonly"] = "yes" if options.appendonly else "no"
        lines["maxmemory"] = str(options.maxmemory_bytes)
        if options.password is not None:
            lines["requirepass"] = options.password
        if options.tls is not None:
            lines |= self._tls_lines(options.tls)
        users = (User(OPERATOR, OPERATOR_PASSWORD), *options.users)
        granted = [("user", f"{user.name} on >{user.password} {user.rules}") for user in users]
        if not options.default_user:
            granted.append(("user", "default off"))
        return [*(lines | dict(options.extra)).items(), *granted]

    def _tls_lines(self, certificates: Certificates) -> dict[str, str]:
        assert self.engine.tls, (
            f"{self.engine} was built without TLS: put a FaultRelay(port, tls=...) before it"
        )
        return {
            "tls-port": str(self.tls_port),
            "tls-cert-file": str(certificates.server),
            "tls-key-file": str(certificates.server),
            "tls-ca-cert-file": str(certificates.authority),
            "tls-auth-clients": "yes" if self.options.client_certificates else "no",
        }

    def _command(self) -> tuple[Path | str, ...]:
        return (self.engine.binary, self._config)

    def _launch(self) -> None:
        self.process.start(*self._command())
        wait_until(self._answers, f"{self.engine} on port {self.port} to answer")

    def _answers(self) -> bool:
        """Whether this very process answers, and not another that took its port."""
        if self.process.pid is None:
            tail = self.process.log.read_text(errors="replace").splitlines()[-8:]
            raise StartError(f"{self.engine} ended at its start:\n" + "\n".join(tail))
        try:
            with self.client(timeout_s=_ANSWER_S) as client:
                told = client.info("server")
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        return bool(told["process_id"] == self.process.pid)


def wait_until(
    holds: Callable[[], bool], what: str, *, within_s: float = READY_S, every_s: float = 0.01
) -> None:
    """Block until `holds()`; a TimeoutError that names `what` after `within_s`."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s:g} s for {what}")
        time.sleep(every_s)
