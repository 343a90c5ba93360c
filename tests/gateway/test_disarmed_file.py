"""The one file of disarmed rules, with several workers that change it."""

import json
import os

import pytest
import structlog

from proxy.gateway.disarmed_file import DisarmedFile
from proxy.policy.load import compile_texts

RULES = ("one", "two", "law")
POLICY = compile_texts(
    [
        (
            "p.yaml",
            b"access:\n"
            b"  - {id: one, match: {models: [a]}, mode: enforce, then: deny}\n"
            b"  - {id: two, match: {models: [b]}, mode: enforce, then: deny}\n"
            b"  - {id: law, match: {models: [c]}, mode: enforce, then: deny, legal: true}\n",
        )
    ],
    [],
)


class Held:
    """A worker's side of the file."""

    def __init__(self, path):
        self.file = DisarmedFile.open(path, POLICY)
        self.took = []
        self.file.took = self.took.extend

    async def disarm(self, rule, why="x"):
        self.file.fuses.disarm(rule, "otto", why, 1)
        self.file.change()
        return await self.file.save()

    async def arm(self, rule):
        self.file.fuses.arm(rule)
        self.file.change()
        return await self.file.save()

    @property
    def names(self):
        return set(self.file.fuses.names)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "disarmed.json"


def written(path):
    return set(json.loads(path.read_text())["rules"])


async def test_what_one_changes_the_other_takes_up_and_hears_of(path):
    here, there = Held(path), Held(path)
    assert await here.disarm("one", "it refuses a hospital") is None
    assert there.names == set()
    await there.file.look()
    assert there.names == {"one"}
    (change,) = there.took
    assert (change.rule, change.held.who, change.held.why) == (
        "one",
        "otto",
        "it refuses a hospital",
    )
    await there.arm("one")
    await here.file.look()
    assert (here.names, [(one.rule, one.held) for one in here.took]) == (set(), [("one", None)])
    assert len(there.took) == 1  # nobody hears of his own change


async def test_changes_of_different_rules_made_at_once_are_both_kept(path):
    here, there = Held(path), Held(path)
    await here.disarm("one")
    await there.disarm("two")  # has not looked
    assert written(path) == there.names == {"one", "two"}
    await here.file.look()
    await here.arm("two")
    await there.disarm("one", "again")
    assert written(path) == there.names == {"one"}


async def test_a_change_that_could_not_be_saved_is_laid_over_what_others_wrote_meanwhile(path):
    here, there = Held(path), Held(path)
    aside = path.with_name("disarmed.json.new")
    aside.mkdir()
    assert "Is a directory" in await here.disarm("one")
    aside.rmdir()
    await there.disarm("two")
    await here.file.look()
    assert here.names == {"one", "two"}
    assert await here.file.save() is None
    await there.file.look()
    assert written(path) == there.names == {"one", "two"}


@pytest.mark.parametrize("damage", ["", "[]", '{"version": 1, "rules": {"one": 3}}', None])
async def test_a_file_that_is_damaged_or_gone_while_serving_changes_nothing_and_is_told_once(
    path, damage
):
    here = Held(path)
    await here.disarm("one")
    path.unlink() if damage is None else path.write_text(damage)
    with structlog.testing.capture_logs() as logs:
        await here.file.look()
        await here.file.look()
    assert [line["log_level"] for line in logs] == ["error"]
    assert (here.names, here.took) == ({"one"}, [])
    assert await here.disarm("two") is None
    assert written(path) == {"one", "two"}


async def test_a_file_that_nobody_touched_is_not_read_again(path):
    here = Held(path)
    await here.disarm("one")
    stat = path.stat()
    path.write_text(path.read_text().replace("otto", "anna"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    await here.file.look()
    assert here.took == []


async def test_a_legal_rule_that_others_hold_disarmed_acts_all_the_same(path):
    here = Held(path)
    held = {"who": "otto", "why": "before it was legal", "since_ns": 1}
    path.write_text(json.dumps({"version": 1, "rules": {"law": held}}))
    await here.file.look()
    assert here.names == set()
    assert [one.rule for one in here.file.fuses.overruled] == ["law"]
