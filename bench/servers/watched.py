"""A primary with a replica, watched by Sentinels that notice within a second and act at once.

Sentinel's own clocks (greetings every two seconds, `INFO` every ten) are set shorter through
`SENTINEL DEBUG`, so that the group is ready in one second or two and fails over in two or three.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from bench.servers.engines import VALKEY, Engine
from bench.servers.ports import HOST
from bench.servers.server import OPERATOR, OPERATOR_PASSWORD, Options, Server, wait_until

NAME = "gauger"
DOWN_AFTER_MS = 1000  # shorter, and a busy machine alone brings a takeover about
# Once a primary is down, INFO goes out once a second, whatever INFO-PERIOD says. A replica is only
# chosen if its INFO is not older than five PING-PERIODs; and a Sentinel that hears of a takeover
# late undoes it after four PUBLISH-PERIODs: both must stay well above that second.
_PERIODS_MS = {
    "INFO-PERIOD": 100,
    "PING-PERIOD": 500,
    "ASK-PERIOD": 100,
    "PUBLISH-PERIOD": 600,
    "ELECTION-TIMEOUT": 1000,
    "MIN-LINK-RECONNECT-PERIOD": 200,
}


class Sentinel(Server):
    """One Sentinel process; of the options only the password counts."""

    def ask(self, command: str, *words: str | int) -> Any:
        """The answer to `SENTINEL command ...`."""
        with self.client() as client:
            return client.execute_command(f"SENTINEL {command}", *words)

    def watch(self, primary: Server, quorum: int) -> None:
        """Begin to watch a primary and whatever replicas it has."""
        for name, period_ms in _PERIODS_MS.items():
            self.ask("DEBUG", name, period_ms)
        self.ask("MONITOR", NAME, HOST, primary.port, quorum)
        settings: dict[str, str | int] = {
            "down-after-milliseconds": DOWN_AFTER_MS,
            "failover-timeout": 3000,
            "auth-user": OPERATOR,
            "auth-pass": OPERATOR_PASSWORD,
        }
        for name, value in settings.items():
            self.ask("SET", NAME, name, value)

    def primary_port(self) -> int:
        """The port of the primary as this Sentinel tells it to clients."""
        _, port = self.ask("GET-MASTER-ADDR-BY-NAME", NAME)
        return int(port)

    def follows(self, port: int) -> bool:
        """Whether it sends clients to the primary on this port and thinks it well."""
        with self.client() as client:
            primary = client.sentinel_master(NAME)
        return bool(primary["port"] == port and primary["flags"] == "master")

    def finds_in_order(self, others: int) -> bool:
        """Whether it knows a live primary, a replica that follows it, and the other Sentinels."""
        with self.client() as client:
            primary = client.sentinel_master(NAME)
            replicas = client.sentinel_slaves(NAME)
        return bool(
            primary["flags"] == "master"
            and primary["role-reported"] == "master"
            and primary["num-other-sentinels"] == others
            and len(replicas) == 1
            and replicas[0]["flags"] == "slave"
            and replicas[0]["master-port"] == primary["port"]
            and replicas[0]["master-link-status"] == "ok"
        )

    def _lines(self) -> list[tuple[str, str]]:
        return [
            *super()._lines(),
            ("sentinel", f"sentinel-user {OPERATOR}"),
            ("sentinel", f"sentinel-pass {OPERATOR_PASSWORD}"),
        ]

    def _command(self) -> tuple[Path | str, ...]:
        return (*super()._command(), "--sentinel")


class Watched:
    """A context manager: `servers` (which of them is the primary may change) and `sentinels`.

    `options` are those of the two servers, `password` that of the Sentinels. One Sentinel decides
    alone and always at once; three vote, as in earnest, and now and then need a second election.
    """

    name = NAME

    def __init__(
        self,
        engine: Engine = VALKEY,
        options: Options | None = None,
        *,
        sentinels: int = 1,
        password: str | None = None,
    ) -> None:
        options = options or Options()
        links = {"masteruser": OPERATOR, "masterauth": OPERATOR_PASSWORD}
        options = replace(options, extra={**options.extra, **links})
        self.servers = (Server(engine, options), Server(engine, options))
        watching = Options(password=password)
        self.sentinels = tuple(Sentinel(engine, watching) for _ in range(sentinels))

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the Sentinels listen."""
        return [sentinel.address for sentinel in self.sentinels]

    @property
    def primary(self) -> Server:
        """The primary that the Sentinels tell clients of; an error while they disagree."""
        (port,) = {sentinel.primary_port() for sentinel in self.sentinels}
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> Server:
        """The other server."""
        primary = self.primary
        return next(server for server in self.servers if server is not primary)

    def fail_over(self) -> None:
        """Order the replica to take over from the living primary, and wait until it has.

        The next one needs `wait_ready` first. For a takeover from the dead, kill or pause the
        primary and `wait_for_takeover`.
        """
        before = self.primary
        self.sentinels[0].ask("FAILOVER", NAME)
        self.wait_for_takeover(before)

    def wait_for_takeover(self, before: Server) -> None:
        """Wait until all Sentinels tell of another primary than `before` and it takes writes."""
        (after,) = (server for server in self.servers if server is not before)

        def taken_over() -> bool:
            with after.client() as client:
                leads = client.role()[0] == "master"
            return leads and all(sentinel.follows(after.port) for sentinel in self.sentinels)

        wait_until(taken_over, "the replica to take over")

    def wait_ready(self) -> None:
        """Wait until the replica follows and all Sentinels know it and each other."""
        others = len(self.sentinels) - 1
        for sentinel in self.sentinels:
            wait_until(partial(sentinel.finds_in_order, others), "the Sentinels")

    def stop(self) -> None:
        """End all processes, the Sentinels first. May be called again."""
        for server in (*self.sentinels, *self.servers):
            server.stop()

    def _start(self) -> None:
        primary, replica = self.servers
        primary.start()
        replica.start()
        with replica.client() as client:
            client.replicaof(HOST, primary.port)
        for sentinel in self.sentinels:
            sentinel.start()
            sentinel.watch(primary, quorum=len(self.sentinels) // 2 + 1)
        self.wait_ready()
