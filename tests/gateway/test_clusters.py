"""Clusters taken up while the gateway serves: what is known, what is recorded, what is told."""

import json
from pathlib import Path

import pytest

from proxy.audit.log import AuditLog
from proxy.audit.read import entries
from proxy.facts.directory import Directory
from proxy.gateway import cluster_source
from proxy.gateway.clusters import Clusters
from proxy.model.sighting import Described
from proxy.policy.problem import ProblemsError
from proxy.settings.assemble import assemble
from proxy.settings.load import load
from proxy.settings.secrets import ensured

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONE = "clusters:\n  - {id: c-1, state: open, score: 0.9, evidence: one card, accounts: [a, b]}\n"
TWO = ONE + "  - {id: c-2, state: confirmed, merged_from: [c-0], accounts: [b, c]}\n"
POLICY = "quotas:\n  - {id: q, mode: shadow, limit: {requests: 5}, window: 1m}\n"


class World:
    """A pipeline, its log, and the clusters over a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "clusters.yaml"
        (directory / "policies").mkdir()
        (directory / "policies" / "p.yaml").write_text(POLICY)
        (directory / "state").mkdir()
        config = directory / "gauger.yaml"
        config.write_text("policies: policies\nstate_dir: state\nclusters: clusters.yaml\n")
        self.settings = load(config, {})
        self.pipeline = assemble(self.settings, ensured(self.settings), Directory.empty())
        self.audit = AuditLog.open(directory / "audit", group_ms=0)
        self.clusters: Clusters | None = None

    async def open(self, text: str) -> Clusters:
        """Begin with a file of this text."""
        self.file.write_text(text)
        if self.clusters is not None:
            self.clusters.close()
        self.clusters = await Clusters.open(self.settings.clusters, self.settings.state_dir)
        self.clusters.begin(self.pipeline, self.audit)
        return self.clusters

    async def reload(self, text: str) -> tuple[bool, str]:
        self.file.write_text(text)
        assert self.clusters is not None
        return await self.clusters.reload(self.pipeline, self.audit)

    def known(self, account: str) -> object:
        return self.pipeline.clusters(Described(account), ()).get("cluster.ids")

    async def records(self) -> list[dict[str, object]]:
        await self.audit.wait_durable(self.audit.position)
        return [entry.fields for entry in entries(self.directory / "audit", types={"clusters"})]

    def close(self) -> None:
        if self.clusters is not None:
            self.clusters.close()
        self.audit.close()


@pytest.fixture
def world(tmp_path: Path):
    made = World(tmp_path)
    yield made
    made.close()


async def test_without_a_file_nothing_is_known_of_clusters(world):
    none = await Clusters.open(None, world.settings.state_dir)
    none.begin(world.pipeline, world.audit)
    await none.look(world.pipeline, world.audit)
    assert world.pipeline.clusters(Described("a"), ()) == {}
    assert none.readiness() == {"clusters": None, "clusters_problem": None}
    told = await none.reload(world.pipeline, world.audit)
    assert told == (False, "no file of clusters is configured")


async def test_clusters_are_known_from_the_start_and_after_a_change(world):
    clusters = await world.open(ONE)
    assert (world.known("b"), world.known("c")) == (("c-1",), ())
    went_well, said = await world.reload(TWO)
    assert (went_well, said.rpartition(", ")[0]) == (True, "2 clusters, 3 accounts")
    assert (world.known("b"), world.known("c")) == (("c-2", "c-1"), ("c-2",))
    assert clusters.readiness()["clusters"] == clusters.clusters.version


async def test_a_file_with_a_fault_changes_nothing_and_says_why(world):
    clusters = await world.open(TWO)
    before = clusters.clusters.version
    went_well, said = await world.reload(TWO + "  - {id: c-2, state: open, accounts: [a]}\n")
    assert not went_well
    assert f'{world.file}:4:10: there is a cluster "c-2" already (line 3)' in said
    assert clusters.readiness() == {"clusters": before, "clusters_problem": said}
    assert world.known("c") == ("c-2",)
    assert await world.reload(TWO) == (True, f"unchanged, {before}")
    assert clusters.error is None


async def test_a_merge_under_a_name_that_counts_already_is_told(world):
    await world.open(ONE)
    went_well, said = await world.reload(ONE.replace("score:", "split_from: c-0, score:"))
    assert went_well
    assert said.endswith(
        "; clusters that count already do not take over the counts of new parents "
        "(give what was merged a new id): c-1"
    )


async def test_the_last_good_clusters_serve_over_a_restart_too(world):
    await world.open(TWO)
    clusters = await world.open("clusters: nonsense\n")
    assert world.known("c") == ("c-2",)
    assert "clusters.yaml:1:11: " in clusters.error
    assert [record.get("last_good") for record in await world.records()] == [None, True]


async def test_without_a_good_file_and_a_last_good_one_nothing_starts(world):
    with pytest.raises(ProblemsError, match=r"clusters\.yaml:1:11: "):
        await world.open("clusters: nonsense\n")


async def test_clusters_of_another_file_are_not_the_last_good_ones(world):
    await world.open(ONE)
    with pytest.raises(ProblemsError, match="cannot be read"):
        await Clusters.open(world.directory / "other.yaml", world.settings.state_dir)


async def test_a_file_that_is_gone_keeps_the_clusters(world):
    clusters = await world.open(ONE)
    world.file.unlink()
    went_well, _ = await clusters.reload(world.pipeline, world.audit)
    assert (went_well, world.known("a")) == (False, ("c-1",))


async def test_a_change_is_looked_for_and_taken_up_once_it_holds_still(world):
    clusters = await world.open(ONE)
    world.file.write_text(TWO)
    await clusters.look(world.pipeline, world.audit)
    assert world.known("c") == ()
    await clusters.look(world.pipeline, world.audit)
    assert world.known("c") == ("c-2",)
    counted = len(await world.records())
    for _ in range(3):
        await clusters.look(world.pipeline, world.audit)
    assert len(await world.records()) == counted


async def test_each_map_is_recorded_without_accounts_and_evidence(world):
    await world.open(ONE)
    await world.reload("# again\n" + ONE)
    await world.reload(TWO)
    first, second = await world.records()
    one = {"id": "c-1", "state": "open", "score": 0.9, "accounts": 2}
    two = {"id": "c-2", "state": "confirmed", "score": 1.0, "accounts": 2, "parents": ["c-0"]}
    assert (first["accounts"], first["listed"]) == (2, [one])
    assert (second["accounts"], second["listed"]) == (3, [one, two])
    assert second["clusters"] == world.clusters.clusters.version != first["clusters"]


async def test_more_clusters_than_go_on_a_line_are_counted(world, monkeypatch):
    monkeypatch.setattr("proxy.gateway.clusters.MOST_LISTED", 1)
    await world.open(TWO)
    (record,) = await world.records()
    assert ([one["id"] for one in record["listed"]], record["left_out"]) == (["c-1"], 1)


async def test_clusters_whose_record_would_be_too_long_are_recorded_by_their_digest(world):
    parents = [f"{n:02d}".join(("p", "x" * 58)) for n in range(30)]
    names = [f"c-{n}" for n in range(900)]
    listed = [
        {"id": n, "state": "open", "merged_from": parents, "accounts": ["a" + n]} for n in names
    ]
    await world.open(json.dumps({"clusters": listed}))
    (record,) = await world.records()
    assert (record["accounts"], record["left_out"], "listed" in record) == (900, 900, False)


async def test_a_builder_that_cannot_be_started_or_dies_is_told(world, monkeypatch):
    clusters = await world.open(ONE)
    for python, said in (("/missing/python", "cannot start"), ("/bin/false", "failed (1)")):
        monkeypatch.setattr(cluster_source.sys, "executable", python)
        went_well, told = await world.reload(TWO)
        assert (went_well, said in told) == (False, True)
        assert clusters.error == told
    assert world.known("a") == ("c-1",)


async def test_a_defect_while_looking_is_told_and_the_clusters_stay(world, monkeypatch):
    clusters = await world.open(ONE)

    async def trips(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(clusters, "reload", trips)
    world.file.write_text(TWO)
    for _ in range(2):
        await clusters.look(world.pipeline, world.audit)
    assert clusters.error == "a defect: the log says where, and the clusters in force stay"
    assert world.known("a") == ("c-1",)
