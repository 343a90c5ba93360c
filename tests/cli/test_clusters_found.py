"""`gauger clusters list`, `show` and `graph`: over a gateway's state and a replay's results."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.main import app
from proxy.model.cluster import ClusterState, Evidence
from tests.investigate.made import SMALL, cluster, names, results, state_dir

LISTED = """\
cluster  state    score  accounts  families                     opened            last seen         daily use
c-7f3a   growing   0.97       340  network prompt relationship  2026-04-22 00:00  2026-04-23 06:00  -
c-0c42   quiet     0.61         4  network prompt relationship  2026-04-22 00:00  2026-04-23 06:00  -
2 clusters of 344 accounts
"""  # noqa: E501 (as a wide terminal shows it)

SHOWN = """\
c-7f3a  growing, score 0.97, 340 accounts
  opened 2026-04-22 00:00, last seen 2026-04-23 06:00 (UTC)

evidence (3 families agree)
  network · autonomous system
    204 of its 340 accounts share it, against 15% of everyone (lift 4)
  prompt · template of the first turn
    312 of its 340 accounts begin with the same template, against 1 in 41,000 of everyone (lift 37,600)
  relationship · payment card
    330 of its 340 accounts share it, against 1 in 5,300 of everyone (lift 5,100)
    20 accounts to a payment card

time line (UTC)
  ▂▃▃▆▆▆▆▆▆▆▆▆▆▆██████████████████████████████████  at most 341 accounts
  2026-04-22 00:00                2026-04-23 06:00
  2026-04-22 00:00                open +12                  open, score 0.97
  2026-04-22 01:00 to 02:00       grow 2 times +188         growing, score 0.97
  2026-04-22 09:00                merge +100 with c-2b11    growing, score 0.97
  2026-04-23 02:00                grow +41                  growing, score 0.97
  2026-04-23 03:00                shrink -1                 growing, score 0.97

members, the surest first
   1.00  acct-0000
   1.00  acct-0001
   1.00  acct-0002
   1.00  acct-0003
   1.00  acct-0004
   1.00  acct-0005
   1.00  acct-0006
   1.00  acct-0008
   1.00  acct-0009
   1.00  acct-0010
  … 330 more (--all shows them)

sample skeletons
  none are kept: text of prompts never leaves the gateway by itself
"""  # noqa: E501 (as a wide terminal shows it)


def ran(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["clusters", *map(str, arguments)])
    return result.exit_code, "\n".join(line.rstrip() for line in result.output.split("\n"))


def test_a_place_that_cannot_even_be_looked_at_is_told(tmp_path: Path):
    code, said = ran("list", "--from", tmp_path / ("x" * 300))
    assert (code, "cannot be read: File name too long (ask as the user" in said) == (1, True)


def test_results_from_elsewhere_send_a_terminal_nothing_but_text(tmp_path: Path):
    rude = "\x1b]0;owned\x07"
    evidence = {"family": rude, "trait": rude, "accounts": 1, "lift": 9, "why": rude}
    told = {"cluster": "c-1", "accounts": [rude], "evidence": [evidence], "use": {rude: 5}}
    (tmp_path / "clusters.jsonl").write_text(json.dumps(told | {"samples": [rude]}) + "\n")
    for words in (["list"], ["show", "c-1"], ["show", "c-2"]):
        code, said = ran(*words, "--from", tmp_path)
        assert "\x1b" not in said
        assert "\x07" not in said
        assert code == ("c-2" in words)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return state_dir(tmp_path)


def test_clusters_are_listed_with_the_families_that_agree(config: Path):
    assert ran("list", "--config", config) == (0, LISTED)


def test_a_list_can_be_cut_down_by_state_and_score_and_says_so(config: Path):
    code, said = ran("list", "--config", config, "--state", "quiet", "--min-score", 0.5)
    assert (code, said.splitlines()[-1]) == (0, "1 cluster of 4 accounts (1 more do not match)")
    code, said = ran("list", "--config", config, "--min-score", 0.99)
    assert said.strip() == "0 clusters of 0 accounts (2 more do not match)"


def test_a_list_for_programs_has_one_object_a_cluster(config: Path):
    _, said = ran("list", "--config", config, "--json")
    assert [one["cluster"] for one in json.loads(said)] == ["c-7f3a", "c-0c42"]
    assert json.loads(said)[1]["last_seen"] == "2026-04-23T06:00:00Z"


def test_a_cluster_is_shown_with_its_evidence_in_words_its_life_and_its_members(config: Path):
    assert ran("show", "c-7f3a", "--config", config) == (0, SHOWN)


def test_all_shows_every_member_and_every_event(config: Path):
    _, said = ran("show", "c-7f3a", "--config", config, "--all")
    assert "acct-0339" in said
    assert "grow +78" in said
    assert "grow 2 times" not in said


def test_a_cluster_for_programs_has_all_that_is_known(config: Path):
    _, said = ran("show", "c-7f3a", "--config", config, "--json")
    told = json.loads(said)
    assert (len(told["members"]), len(told["events"])) == (340, 6)
    assert told["members"][-1] == {"account": "acct-0007", "weight": 0.5}


def test_a_replays_results_tell_the_same_but_for_what_they_do_not_hold(tmp_path: Path):
    out = results(tmp_path / "out")
    _, listed = ran("list", "--from", out)
    assert [line.split() for line in listed.splitlines()] == [
        line.replace("2026-04-23 06:00", "-").split() for line in LISTED.splitlines()
    ]
    _, shown = ran("show", "c-7f3a", "--from", out)
    assert "merge +100 with c-2b11" in shown
    assert "    -  acct-0000\n" in shown


def test_the_name_of_a_merged_cluster_leads_to_the_one_that_it_went_into(config: Path):
    code, said = ran("show", "c-2b11", "--config", config)
    assert (code, "it went into" in said) == (1, True)
    assert 'did you mean "c-7f3a"?' in ran("show", "c-7f3", "--config", config)[1]


def test_where_nothing_was_found_yet_it_says_so(tmp_path: Path):
    config = state_dir(tmp_path)
    (tmp_path / "var" / "detector" / "clusters.jsonl").unlink()
    code, said = ran("list", "--config", config)
    assert (code, "the detector has found nothing yet" in said) == (1, True)
    code, said = ran("list", "--from", tmp_path / "nowhere")
    assert (code, "name the directory that a replay wrote" in said) == (1, True)


def test_a_line_that_is_none_is_told_with_its_place_and_an_unfinished_one_is_waited_for(
    tmp_path: Path,
):
    config = state_dir(tmp_path)
    file = tmp_path / "var" / "detector" / "clusters.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"cluster":')
    assert ran("list", "--config", config)[0] == 0
    file.write_bytes(whole + b'{"cluster":7}\n')
    code, said = ran("list", "--config", config)
    assert (code, f"{file}:3:1: not a line of the detector's" in said) == (1, True)


def test_what_the_operator_named_cannot_paint_the_terminal(tmp_path: Path):
    rude = cluster("c-1", members=("\x1b[31macct",))
    _, said = ran("show", "c-1", "--config", state_dir(tmp_path, rude))
    assert "?[31macct" in said
    assert "\x1b" not in said


def test_a_picture_is_valid_and_says_in_words_what_it_shows(config: Path, tmp_path: Path):
    out = tmp_path / "c.svg"
    assert ran("graph", "c-7f3a", "--config", config, "--out", out) == (0, f"{out}\n")
    root = ET.fromstring(out.read_text())
    title, description = (root.find(f"{{*}}{name}") for name in ("title", "desc"))
    assert title is not None
    assert title.text == "Cluster c-7f3a: 340 accounts and what they share"
    assert description is not None
    assert "prompt: template of the first turn, 312 of 340 accounts" in str(description.text)


def test_a_picture_has_a_name_that_ends_in_svg(config: Path, tmp_path: Path):
    code, said = ran("graph", "c-7f3a", "--config", config, "--out", tmp_path / "c.png")
    assert (code, "ends in .svg" in said) == (1, True)


def test_a_cluster_without_evidence_or_events_is_shown_all_the_same(tmp_path: Path):
    bare = cluster("c-1", ClusterState.OPEN, 1.0, names(0, 1))
    bare = type(bare)(bare.cluster, bare.opened_ns, bare.seen_ns, bare.members)
    code, said = ran("show", "c-1", "--config", state_dir(tmp_path, bare, SMALL))
    assert code == 0
    assert "none is written down" in said
    assert "no events are written down" in said
    out = tmp_path / "c.svg"
    assert ran("graph", "c-1", "--config", tmp_path / "gauger.yaml", "--out", out)[0] == 0
    ET.fromstring(out.read_text())


def test_a_trait_that_everybody_shows_is_told_in_per_cent(tmp_path: Path):
    common = cluster("c-1", members=names(0, 10))
    evidence = (Evidence("client", "agent", 10, 1.5, ""),)
    common = type(common)(common.cluster, 0, 0, common.members, evidence)
    _, said = ran("show", "c-1", "--config", state_dir(tmp_path, common))
    assert "10 of its 10 accounts share it, against 67% of everyone" in said
