"""Two sets over one recording: what flips, whose doing it is, and what of it resets explain."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.policy.problem import ProblemsError
from proxy.policy.rules import PolicySet
from proxy.policy.schema_texts import instant_ns
from proxy.replay.inputs import settings_of
from proxy.replay.run import ReplayOptions, replay
from proxy.replay.traffic import TrafficError
from proxy.trial.diff import TrafficDifference
from proxy.trial.flips import Direction
from proxy.trial.run_diff import Asked, diff_traffic
from proxy.trial.sets import named_set
from proxy.trial.sources import Inputs
from proxy.trial.tally import RuleTally
from proxy.trial.words import words_of
from tests.replay.conftest import NOON, line
from tests.trial.worlds import make_world, served, set_of

REFUSED, LET_THROUGH, OTHERWISE = Direction
OLD = """
lists:
  closed: [m-old]
quotas:
  - id: per-minute
    mode: enforce
    limit: {requests: 3}
    window: 1m
access:
  - id: closed-models
    match: {models: $closed}
    mode: enforce
    then: deny
  - id: slow
    match: {models: [m-slow]}
    mode: enforce
    then: delay
    delay: 2s
"""


class Folder:
    """A folder with settings and a recording; `diff` runs two texts over it."""

    def __init__(self, root: Path, lines: list[dict[str, Any]], **settings: Any) -> None:
        self.config = make_world(root, OLD, **settings)
        self.traffic = root / "traffic.jsonl"
        self.traffic.write_text("".join(json.dumps(one) + "\n" for one in lines))

    def diff(
        self, new: str | PolicySet, old: str = OLD, change_at: str | None = None, **more: Any
    ) -> TrafficDifference:
        sets = set_of(old), set_of(new) if isinstance(new, str) else new
        at_ns = instant_ns(change_at) if change_at else None
        asked = Asked(self.traffic, Inputs(self.config), change_at_ns=at_ns, **more)
        return diff_traffic(*sets, words_of(*sets), asked).difference


def rule(found: TrafficDifference, name: str) -> RuleTally:
    return next(tally for tally in found.rules if tally.rule == name)


def asking(number: int, at_s: float, name: str, model: str = "m-small") -> dict[str, Any]:
    return line(number, NOON + at_s, name, body={"model": model, "messages": []})


@pytest.fixture
def folder(tmp_path: Path):
    """Four accounts, three requests each within a minute; in the next, other models."""
    lines = [asking(i, i, f"a{i % 4 + 1}") for i in range(12)]
    lines += [asking(20, 80, "a1", "m-old"), asking(21, 81, "a2", "m-slow")]
    return Folder(tmp_path, lines)


def test_a_set_does_not_differ_from_itself(folder):
    found = folder.diff(OLD)
    assert found.exchanges == 14
    assert found.accounts.value == 4
    assert [total.exchanges for total in found.totals.values()] == [0, 0, 0]
    assert found.rules == ()


def test_a_tighter_limit_newly_refuses_and_says_whom_when_and_why(folder):
    found = folder.diff(OLD.replace("requests: 3", "requests: 2"))
    refused = found.refused
    assert (refused.exchanges, refused.accounts.value, refused.tokens) == (4, 4, 60)
    tally = rule(found, "per-minute")
    assert tally.changed == ("quotas per-minute: limit.requests 3 → 2",)
    flip = tally.examples[REFUSED][0]
    assert (flip.id, flip.ts, flip.account, flip.tokens) == ("x-0008", NOON + 8, "a1", 15)
    assert (flip.old.verdict, flip.new.verdict, flip.new.refusal) == (
        "allow",
        "throttle",
        "rate_limit",
    )
    (doing,) = flip.rules
    assert (doing.side, doing.rule) == ("new", "per-minute")
    assert doing.why == "requests: 2 used and 1 asked for, limit 2 in 60 s"


def test_each_side_keeps_its_own_counts(folder):
    new = OLD.replace("requests: 3", "requests: 1")
    there = folder.diff(new)
    back = folder.diff(OLD, old=new)
    assert there.totals[REFUSED] == back.totals[LET_THROUGH]
    assert there.totals[REFUSED].exchanges == 8


def test_what_is_let_through_again_is_the_doing_of_the_rule_that_refused(folder):
    found = folder.diff(OLD.replace("closed: [m-old]", "closed: [m-older]"))
    assert found.totals[LET_THROUGH].exchanges == 1
    tally = rule(found, "closed-models")
    assert tally.changed == ("lists closed: added m-older; removed m-old (read by closed-models)",)
    (flip,) = tally.examples[LET_THROUGH]
    assert [doing.side for doing in flip.rules] == ["old"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("delay: 2s", "delay: 9s", "delay 9 s"),
        ("then: delay\n    delay: 2s", "modify: {max_tokens: 5}", "allow clamp:5"),
        ("enforce\n    then: delay", "warn\n    then: delay", "allow warned"),
    ],
)
def test_other_changes_of_what_the_caller_notices_flip_otherwise(folder, before, after, said):
    assert before in OLD
    found = folder.diff(OLD.replace(before, after))
    assert [total.exchanges for total in found.totals.values()] == [0, 0, 1]
    (flip,) = rule(found, "slow").examples[OTHERWISE]
    assert str(flip.old) == "delay 2 s"
    assert str(flip.new) == said
    assert {doing.side for doing in flip.rules} == {"old", "new"}


def test_a_warning_in_other_words_is_laid_at_its_rules_door(folder):
    warn = OLD.replace("enforce\n    then: delay", "warn\n    message: One.\n    then: delay")
    found = folder.diff(warn.replace("One.", "Two."), old=warn)
    (flip,) = rule(found, "slow").examples[OTHERWISE]
    assert (flip.old.warnings, flip.new.warnings) == (("One.",), ("Two.",))


def test_a_rule_that_flips_although_nobody_changed_it_says_so(folder):
    new = OLD.replace("closed: [m-old]", "closed: [m-older]")
    order = [asking(i, i, "a1", "m-old") for i in range(4)]
    folder.traffic.write_text("".join(json.dumps(one) + "\n" for one in order))
    found = folder.diff(new)
    assert found.totals[LET_THROUGH].exchanges == 3
    assert found.totals[OTHERWISE].exchanges == 1  # denied before, over its quota now
    assert rule(found, "per-minute").changed == ()


def test_an_exception_is_laid_at_the_door_of_the_rules_that_it_names(folder):
    granted = (
        "exceptions:\n  - {id: e, rules: [closed-models], accounts: [a1], granted_by: x, "
        "reason: y, until: 2090-01-01}\n"
    )
    found = folder.diff(OLD + granted)
    assert rule(found, "closed-models").changed == ("added exception e",)
    assert found.totals[LET_THROUGH].exchanges == 1


def test_examples_are_of_different_accounts_and_no_more_than_asked_for(folder):
    lines = [asking(i, i / 10, f"a{i % 2 + 1}") for i in range(40)]
    folder.traffic.write_text("".join(json.dumps(one) + "\n" for one in lines))
    new = OLD.replace("requests: 3", "requests: 1")
    examples = rule(folder.diff(new), "per-minute").examples[REFUSED]
    assert [flip.account for flip in examples] == ["a1", "a2"]
    assert len(rule(folder.diff(new, examples=1), "per-minute").examples[REFUSED]) == 1
    assert rule(folder.diff(new, examples=0), "per-minute").examples[REFUSED] == ()


RENAMED = OLD.replace("id: per-minute", "id: each-minute")


def test_a_renamed_quota_is_one_rule_and_flips_nothing_by_itself(folder):
    found = folder.diff(RENAMED)
    assert [total.exchanges for total in found.totals.values()] == [0, 0, 0]
    tighter = folder.diff(RENAMED.replace("requests: 3", "requests: 2"))
    (tally,) = tighter.rules
    assert tally.rule == "each-minute"
    assert tally.changed == ("quotas per-minute → each-minute: limit.requests 3 → 2",)
    assert tally.reset == "it was called per-minute"
    assert tally.totals[REFUSED].reset == 0


def test_what_the_loss_of_counts_does_shows_from_the_moment_of_the_change(tmp_path):
    lines = [asking(i, i, "a1") for i in range(6)] + [
        asking(10 + i, 60 + i, "a1") for i in range(6)
    ]
    folder = Folder(tmp_path, lines)
    found = folder.diff(RENAMED, change_at="2026-04-22T00:00:03Z")
    assert found.changed_at == "2026-04-22T00:00:03Z"
    let_through = found.totals[LET_THROUGH]
    assert (let_through.exchanges, let_through.reset) == (3, 3)  # once more, in that minute only
    assert rule(found, "each-minute").totals[LET_THROUGH].reset == 3
    later = folder.diff(
        RENAMED.replace("requests: 3", "requests: 5"), change_at="2026-04-22T00:00:03Z"
    )
    let_through = later.totals[LET_THROUGH]
    assert (let_through.exchanges, let_through.reset) == (5, 3)
    edited = folder.diff(
        OLD.replace("requests: 3", "requests: 4"), change_at="2026-04-22T00:00:03Z"
    )
    assert (edited.totals[LET_THROUGH].exchanges, edited.totals[LET_THROUGH].reset) == (2, 0)


def test_what_rests_on_the_share_that_is_used_is_marked_with_the_counts_that_it_rests_on(tmp_path):
    slow = OLD.replace("match: {models: [m-slow]}", "match: quota.used_share > 0.9")
    folder = Folder(tmp_path, [asking(i, i, "a1") for i in range(3)])
    new = slow.replace("id: per-minute", "id: each-minute")
    found = folder.diff(new, old=slow, change_at="2026-04-22T00:00:02Z")
    total = rule(found, "slow").totals[OTHERWISE]
    assert (total.exchanges, total.reset) == (1, 1)


def test_rules_in_shadow_say_what_they_would_newly_refuse(folder):
    new = OLD.replace("requests: 3", "requests: 2").replace(
        "mode: enforce\n    limit", "mode: shadow\n    limit"
    )
    found = folder.diff(new)
    shadow = rule(found, "per-minute").shadow
    assert shadow is not None
    assert (shadow.exchanges, shadow.accounts.value) == (4, 4)
    assert found.refused.exchanges == 0


def test_fuses_that_blow_are_told_with_their_side(folder):
    new = OLD.replace(
        "limit: {requests: 3}", "limit: {requests: 2}\n    fuse: {accounts: 2, within: 1h}"
    )
    found = folder.diff(new)
    (fuse,) = found.fuses
    assert (fuse.side, fuse.rule, fuse.accounts) == ("new", "per-minute", 3)
    assert fuse.at == "2026-04-22T00:00:10Z"
    assert found.refused.exchanges == 3  # the fourth was let through again


def test_all_flips_go_to_a_new_file_and_never_over_another(folder, tmp_path):
    out = tmp_path / "flips.jsonl"
    new = OLD.replace("requests: 3", "requests: 2")
    found = folder.diff(new, examples=0, out=out)
    flips = [json.loads(text) for text in out.read_text().splitlines()]
    assert len(flips) == found.refused.exchanges == 4
    assert (flips[0]["id"], flips[0]["direction"], flips[0]["account"]) == (
        "x-0008",
        "newly_refused",
        "a1",
    )
    assert flips[0]["new"]["verdict"] == "throttle"
    assert flips[0]["rules"][0]["rule"] == "per-minute"
    with pytest.raises(TrafficError, match="name a new file with --out"):
        folder.diff(new, out=out)


def test_each_side_decides_as_a_replay_of_its_own_would(folder):
    new = OLD.replace("requests: 3", "requests: 2")
    verdicts = []
    for name, text in (("old", OLD), ("new", new)):
        (folder.config.parent / "policies" / "p.yaml").write_text(text)
        options = ReplayOptions(folder.config, folder.traffic, folder.config.parent / name)
        verdicts.append(replay(options)["verdicts"])
    found = folder.diff(new)
    gained = verdicts[1].get("throttle", 0) - verdicts[0].get("throttle", 0)
    assert found.refused.exchanges - found.totals[LET_THROUGH].exchanges == gained


def test_nothing_is_written(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.config.parent.rglob("*")}
    folder.diff(OLD.replace("requests: 3", "requests: 2"))
    assert {p: p.stat().st_mtime_ns for p in folder.config.parent.rglob("*")} == before


def test_a_set_is_named_by_its_directory_or_by_the_digest_under_which_it_was_archived(folder):
    served(folder.config, [asking(1, 1, "a1")])
    settings = settings_of(folder.config, environment={})
    in_directory = named_set(str(folder.config.parent / "policies"), None)
    archived = named_set(in_directory.digest, settings)
    assert archived.digest == in_directory.digest
    assert archived.places["slow"] == ("p.yaml", 14, 9)
    with pytest.raises(ProblemsError, match="name them with --config"):
        named_set(in_directory.digest, None)
    with pytest.raises(ProblemsError, match="not a digest: sha256:beef"):
        named_set("sha256:beef", settings)
    with pytest.raises(ProblemsError, match="is not among the sets that are archived here"):
        named_set("sha256:" + "0" * 64, settings)
    with pytest.raises(ProblemsError, match="no such directory"):
        named_set("nowhere", settings)


def test_lines_that_cannot_be_read_stop_it_or_are_counted(folder):
    folder.traffic.write_text(folder.traffic.read_text() + "{nonsense\n")
    with pytest.raises(TrafficError, match=r"traffic\.jsonl:15: "):
        folder.diff(OLD)
    sets = set_of(OLD), set_of(OLD)
    asked = Asked(folder.traffic, Inputs(folder.config, skip_bad=True))
    ran = diff_traffic(*sets, words_of(*sets), asked)
    assert (ran.difference.exchanges, ran.skipped) == (14, 1)
    assert "traffic.jsonl:15:" in ran.skipped_first[0]
