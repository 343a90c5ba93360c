"""A cluster of masters without replicas, which shares out all slots and is ready to be asked.

It is put together by `CLUSTER ADDSLOTSRANGE` and `CLUSTER MEET`; what takes two seconds is the
time for which a new master refuses writes, by its own rule.
"""

from functools import partial
from typing import Any, Self

from redis.crc import key_slot

from bench.servers.engines import VALKEY, Engine
from bench.servers.ports import HOST, free_port
from bench.servers.server import Options, Server, wait_until

SLOTS = 16_384


class ClusterNode(Server):
    """One master; `id` is its name in the cluster and outlives a restart, as its slots do."""

    bus_port = 0

    @property
    def id(self) -> str:
        """What `CLUSTER MYID` says."""
        return str(self.ask("MYID"))

    def ask(self, command: str, *words: str | int) -> Any:
        """The client's answer to `CLUSTER command ...`."""
        with self.client() as client:
            return client.execute_command(f"CLUSTER {command}", *words)

    def owner(self, slot: int) -> str:
        """The id of the node to which it believes the slot to belong; empty if to none."""
        for node in self.ask("NODES").values():
            if any(int(part[0]) <= slot <= int(part[-1]) for part in node["slots"]):
                return str(node["node_id"])
        return ""

    def tells(self, port: int) -> bool:
        """Whether it tells clients of a node on this port."""
        return f"{HOST}:{port}" in self.ask("NODES")

    def sees(self, nodes: int) -> bool:
        """Whether it takes commands and knows of so many nodes and of an owner of each slot."""
        told = self.ask("INFO")
        return bool(
            told["cluster_state"] == "ok"
            and int(told["cluster_size"]) == int(told["cluster_known_nodes"]) == nodes
            and int(told["cluster_slots_ok"]) == SLOTS
        )

    def _choose_ports(self) -> None:
        super()._choose_ports()
        self.bus_port = free_port()

    def _lines(self) -> list[tuple[str, str]]:
        return [
            ("cluster-enabled", "yes"),
            ("cluster-port", str(self.bus_port)),
            ("cluster-node-timeout", "2000"),
            *super()._lines(),
        ]


class Cluster:
    """A context manager; `nodes` own equal ranges of slots, in their order.

    With the default `cluster-require-full-coverage` the others refuse too once one is known to be
    dead; `Options(extra={"cluster-require-full-coverage": "no"})` has them go on.
    """

    def __init__(
        self, engine: Engine = VALKEY, options: Options | None = None, *, masters: int = 3
    ) -> None:
        self.nodes = tuple(ClusterNode(engine, options) for _ in range(masters))

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self._join()
            self.wait_ok()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL of the first node, from which a client learns of the others."""
        return self.nodes[0].url

    def stop(self) -> None:
        """End all nodes. May be called again."""
        for node in self.nodes:
            node.stop()

    def wait_ok(self) -> None:
        """Wait until every node sees all the others, as after a restart or a pause of one."""
        for node in self.nodes:
            wait_until(partial(node.sees, len(self.nodes)), "the cluster's nodes")

    def flush(self) -> None:
        """Remove all keys and scripts from all nodes."""
        for node in self.nodes:
            node.flush()

    def node_of(self, key: str) -> ClusterNode:
        """The node that owns the key's slot."""
        owner = self.nodes[0].owner(key_slot(key.encode()))
        return next(node for node in self.nodes if node.id == owner)

    def move(self, key: str, to: ClusterNode) -> None:
        """Give the slot of `key`, which must hold no keys, to another node: clients are moved."""
        slot, before = key_slot(key.encode()), self.node_of(key)
        # Announced as a migration, it gets an epoch that old gossip cannot overrule.
        to.ask("SETSLOT", slot, "IMPORTING", before.id)
        before.ask("SETSLOT", slot, "MIGRATING", to.id)
        for node in (to, before):
            node.ask("SETSLOT", slot, "NODE", to.id)
        wait_until(lambda: {n.owner(slot) for n in self.nodes} == {to.id}, "all to learn of it")

    def announce(self, node: ClusterNode, port: int) -> None:
        """Have all nodes tell clients this port for `node`, that of a relay; 0 for its own."""
        with node.client() as client:
            client.config_set("cluster-announce-port", port)
        for other in self.nodes:
            wait_until(partial(other.tells, port or node.port), "the announced port")

    def _join(self) -> None:
        shares = [SLOTS * part // len(self.nodes) for part in range(len(self.nodes) + 1)]
        for epoch, node in enumerate(self.nodes, start=1):
            node.ask("SET-CONFIG-EPOCH", epoch)
            node.ask("ADDSLOTSRANGE", shares[epoch - 1], shares[epoch] - 1)
            for other in self.nodes[: epoch - 1]:
                node.ask("MEET", HOST, other.port, other.bus_port)
