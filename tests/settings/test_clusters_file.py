"""Files of clusters: what they say, every fault with its place, and the index made of them."""

import json
from pathlib import Path

import jsonschema
import pytest

from proxy.facts.clusters import ClusterMap, cluster_facts
from proxy.facts.directory import Directory
from proxy.model.cluster import ClusterState
from proxy.model.sighting import Described
from proxy.policy.problem import ProblemsError
from proxy.policy.yamlfile import parse
from proxy.settings import build_clusters
from proxy.settings.build_clusters import build_index, index_report
from proxy.settings.cluster_census import MOST_TOLD, strangers, summary
from proxy.settings.clusters import (
    MAX_CLUSTERS_OF_ACCOUNT,
    MAX_LINEAGE,
    MAX_PROBLEMS,
    checked,
    load_clusters,
)
from proxy.settings.clusters_file import read_file
from proxy.settings.clusters_schema import schema_text

DOCS = Path(__file__).parents[2] / "docs"
WRITTEN = """
clusters:
  - id: c-2026-11-a
    state: confirmed
    score: 0.97
    evidence: |
      one payment card
      and one template
    merged_from: [c-1, c-2]
    accounts:
      - acct_1
      - {account: acct_2, weight: 0.6}
  - {id: c-3, state: open, split_from: c-0, accounts: [acct_2, "7"]}
  - {id: c-4, state: dismissed, accounts: [acct_1]}
"""
LINES = [
    {
        "id": "c-2026-11-a",
        "state": "confirmed",
        "score": 0.97,
        "evidence": "one payment card\nand one template\n",
        "merged_from": ["c-1", "c-2"],
        "accounts": ["acct_1", {"account": "acct_2", "weight": 0.6}],
    },
    {"id": "c-3", "state": "open", "split_from": "c-0", "accounts": ["acct_2", "7"]},
    {"id": "c-4", "state": "dismissed", "accounts": ["acct_1"]},
]


def written(tmp_path: Path, text: str, name: str = "clusters.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def lines(*clusters: object) -> str:
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in clusters)


def faults(path: Path) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load_clusters(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def one(**given: object) -> dict[str, object]:
    return {"id": "c", "state": "open", "accounts": ["a"], **given}


def yaml_of(*clusters: dict[str, object]) -> str:
    return f"clusters: {json.dumps(clusters)}\n"


# What a file says


def test_both_forms_say_the_same(tmp_path: Path):
    by_hand = load_clusters(written(tmp_path, WRITTEN))
    by_line = load_clusters(written(tmp_path, lines("", *LINES, "  "), "clusters.jsonl"))
    assert by_hand.version == by_line.version
    assert by_hand.first(9) == by_line.first(9)
    for account in ("acct_1", "acct_2", "7", "8"):
        assert by_hand.of(account) == by_line.of(account)


def test_what_is_written_is_known(tmp_path: Path):
    clusters = load_clusters(written(tmp_path, WRITTEN))
    first = clusters.first(1)[0]
    assert (first.state, first.accounts) == (ClusterState.CONFIRMED, 2)
    assert first.evidence == "one payment card\nand one template\n"
    facts = cluster_facts(clusters, None, Described("acct_2"), ())
    assert facts["cluster.ids"] == ("c-2026-11-a", "c-3")
    assert facts["cluster.lineage"] == ("c-2026-11-a<c-1", "c-2026-11-a<c-2", "c-3<c-0")
    assert (facts["cluster.score"], facts["cluster.account_weight"]) == (0.97, 0.6)
    assert cluster_facts(clusters, None, Described("7"), ())["cluster.id"] == "c-3"


def test_the_version_is_of_what_is_said_and_not_of_how(tmp_path: Path):
    before = load_clusters(written(tmp_path, WRITTEN)).version
    noted = written(tmp_path, "# seen on Monday\n" + WRITTEN)
    assert load_clusters(noted).version == before
    assert load_clusters(written(tmp_path, WRITTEN.replace("0.6", "0.7"))).version != before


@pytest.mark.parametrize(("name", "text"), [("c.yaml", "clusters: []\n"), ("c.jsonl", "")])
def test_there_may_be_no_cluster_yet(tmp_path: Path, name: str, text: str):
    clusters = load_clusters(written(tmp_path, text, name))
    assert (clusters.clusters, clusters.accounts, clusters.of("a")) == (0, 0, ())


def test_a_cluster_carries_on_what_its_parents_carried_on_the_nearest_first(tmp_path: Path):
    """A parent that has not counted yet would pass on nothing of its own."""
    text = yaml_of(
        one(id="c-5", merged_from=["c-4", "c-3"]),
        one(id="c-4", split_from="c-2", accounts=["b"]),
        one(id="c-3", merged_from=["c-1", "c-2"], accounts=["b"]),
        one(id="c-2", split_from="c-0", state="dismissed"),
    )
    found = {
        cluster.id: cluster.parents for cluster in load_clusters(written(tmp_path, text)).first(9)
    }
    assert found["c-5"] == ("c-4", "c-3", "c-2", "c-1", "c-0")
    assert found["c-2"] == ("c-0",)


# Faults


@pytest.mark.parametrize(
    ("cluster", "fault"),
    [
        ("{id: C_1, state: open, accounts: [a]}", '2:10: "C_1" is not an id (lower-case letters,'),
        ("{id: c, accounts: [a]}", '2:5: "state" is missing'),
        (
            "{id: c, state: confirmd, accounts: [a]}",
            "2:20: clusters[0].state: write open, growing, quiet, confirmed or dismissed, found "
            'the text "confirmd" (did you mean "confirmed"?)',
        ),
        (
            "{id: c, state: open, score: 1.5, accounts: [a]}",
            "2:33: clusters[0].score: write a number up to 1, found the number 1.5",
        ),
        (
            "{id: c, state: open, score: -0.1, accounts: [a]}",
            "2:33: clusters[0].score: write a number from 0, found the number -0.1",
        ),
        (
            "{id: c, state: open, evidnce: x, accounts: [a]}",
            '2:26: unknown key "evidnce" (did you mean "evidence"?)',
        ),
        (
            '{id: c, state: open, evidence: "a\\0", accounts: [a]}',
            "2:36: evidence is a text of at most 2,000 printable characters",
        ),
        (
            "{id: c, state: open, split_from: , accounts: [a]}",
            '2:38: "split_from" has no value: write one, or remove the key',
        ),
        (
            "{id: c, state: open, merged_from: [], accounts: [a]}",
            "2:39: an empty list: write at least one, or remove the key",
        ),
        ("{id: c, state: open}", '2:5: "accounts" is missing'),
        (
            "{id: c, state: open, accounts: []}",
            "2:36: a cluster without accounts: write their ids, or remove the cluster",
        ),
        (
            "{id: c, state: open, accounts: secret}",
            "2:36: clusters[0].accounts: write a list ([a, b], or a line that begins with - for "
            "each)",
        ),
        (
            "{id: c, state: open, accounts: [4711]}",
            "2:37: accounts[0]: write the id of an account as a text "
            "(in quotes if it looks like a number)",
        ),
        ('{id: c, state: open, accounts: [""]}', "2:37: accounts[0]: an empty text is no account"),
        (
            "{id: c, state: open, accounts: [b, a, secret, b, secret]}",
            "2:51: accounts[3]: this account is in the cluster already (accounts[0])",
        ),
        (
            "{id: c, state: open, accounts: [{acount: secret}]}",
            '2:37: accounts[0]: a key that is not known here (did you mean "account"?)',
        ),
        (
            "{id: c, state: open, accounts: [{secret: 0.5}]}",
            "2:37: accounts[0]: a key that is not known here (write {account: ID, weight: 0.5})",
        ),
        (
            "{id: c, state: open, accounts: [{account: 4711}]}",
            "2:37: accounts[0]: account is an id, a text (in quotes if it looks like a number)",
        ),
        (
            "{id: c, state: open, accounts: [{account: secret, weight: 0}]}",
            "2:37: accounts[0]: weight is a number above 0, up to 1 "
            "(leave the account out if it is not in it)",
        ),
        (
            "{id: c, state: open, accounts: [{account: secret, weight: 1.1}]}",
            "2:37: accounts[0]: weight is a number above 0",
        ),
        (
            "{id: c, state: open, accounts: [{account: secret, weight: true}]}",
            "2:37: accounts[0]: weight is a number above 0",
        ),
    ],
)
def test_a_fault_is_told_with_its_place_and_no_account_is_named(
    tmp_path: Path, cluster: str, fault: str
):
    told = faults(written(tmp_path, f"clusters:\n  - {cluster}\n"))
    assert told[0].startswith(fault)
    assert not any("secret" in line or "4711" in line for line in told)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nope", "2:1: not an object of JSON (Expecting value, character 1): write one cluster on"),
        ("null", "2:1: not an object of JSON (null)"),
        ("[]", "2:1: write keys and their values here (key: value), found a list"),
        ('{"id": "c", "id": "c"}', "2:1: a key stands twice in one object"),
        (one(accounts=["a", 7]), "2:1: accounts[1]: write the id of an account as a text"),
        (one(accounts=None), "2:1: accounts: write a list"),
        (one(accounts=[{"account": "a", "weight": float("nan")}]), "2:1: accounts[0]: weight is a"),
        (one(score=float("nan")), "2:1: score: write a number"),
        (one(evidence="\ud800"), "2:1: evidence is a text of at most 2,000 printable characters"),
        (one(scor=1), '2:1: unknown key "scor" (did you mean "score"?)'),
        ("[" * 100_000, "2:1: not an object of JSON (maximum recursion depth exceeded"),
    ],
)
def test_a_fault_of_a_line_is_told_with_its_number(tmp_path: Path, line: object, fault: str):
    path = written(tmp_path, lines(one(id="fine"), line), "clusters.jsonl")
    assert faults(path)[0].startswith(fault)


def test_what_is_no_utf_8_is_a_fault_of_its_line(tmp_path: Path):
    path = tmp_path / "clusters.jsonl"
    path.write_bytes(json.dumps(one()).encode() + b"\n\xff\n")
    assert faults(path)[0].startswith("2:1: not an object of JSON ('utf-8' codec")


def test_two_clusters_of_one_name_are_a_fault(tmp_path: Path):
    text = (
        "clusters:\n- {id: c, state: open, accounts: [a]}\n- {id: c, state: quiet, accounts: [b]}\n"
    )
    assert faults(written(tmp_path, text)) == ['3:8: there is a cluster "c" already (line 2)']


def test_a_cluster_that_is_made_from_itself_is_a_fault(tmp_path: Path):
    text = """clusters:
  - {id: c-1, state: open, split_from: c-1, accounts: [a]}
  - {id: c-2, state: open, merged_from: [c-9, c-3], accounts: [a]}
  - {id: c-3, state: open, split_from: c-4, accounts: [a]}
  - {id: c-4, state: open, split_from: c-2, accounts: [a]}
  - {id: c-5, state: open, split_from: c-2, accounts: [a]}
"""
    assert faults(written(tmp_path, text)) == [
        '2:40: a cluster that is made from itself: "c-1" from "c-1"',
        '3:47: a cluster that is made from itself: "c-2" from "c-3" from "c-4" from "c-2"',
        '4:40: a cluster that is made from itself: "c-3" from "c-4" from "c-2" from "c-3"',
        '5:40: a cluster that is made from itself: "c-4" from "c-2" from "c-3" from "c-4"',
    ]


def test_more_counts_are_not_carried_on_than_an_exchange_can_ask_for(tmp_path: Path):
    chain = [one(id=f"c-{n + 1}", split_from=f"c-{n}") for n in range(MAX_LINEAGE)]
    state = {"state": "dismissed"}
    load_clusters(written(tmp_path, yaml_of(*(c | state for c in chain))))
    chain.append(one(id="last", split_from=f"c-{MAX_LINEAGE}"))
    (told,) = faults(written(tmp_path, yaml_of(*(c | state for c in chain))))
    assert (
        f'"last" carries on the counts of {MAX_LINEAGE + 1} clusters, at most {MAX_LINEAGE}' in told
    )


def test_an_account_is_not_in_more_clusters_than_an_exchange_can_be_charged_to(tmp_path: Path):
    many = [one(id=f"c-{n}", accounts=["b", "a"]) for n in range(MAX_CLUSTERS_OF_ACCOUNT + 1)]
    dismissed = [{**many[0], "state": "dismissed"}, *many[1:]]
    load_clusters(written(tmp_path, yaml_of(*dismissed)))
    told = faults(written(tmp_path, yaml_of(*many)))
    assert [line.split(": ", 1)[1] for line in told] == [
        f"accounts[{n}]: this account is in more than {MAX_CLUSTERS_OF_ACCOUNT} clusters: "
        "merge those that are one"
        for n in (0, 1)
    ]


def test_of_very_many_faults_the_first_are_told(tmp_path: Path):
    path = written(tmp_path, lines(*["x"] * (MAX_PROBLEMS + 3)), "clusters.jsonl")
    with pytest.raises(ProblemsError) as caught:
        load_clusters(path)
    told = caught.value.problems
    assert len(told) == MAX_PROBLEMS + 1
    assert f"{path}: and 3 more faults" in map(str, told)


@pytest.mark.parametrize("size", ["bytes", "nodes"])
def test_a_file_that_is_too_large_for_yaml_is_told_to_be_of_lines(tmp_path: Path, size: str):
    many = "#" * 4_000_001 if size == "bytes" else "[" + "a," * 200_001 + "]"
    path = written(tmp_path, f"clusters: [{{id: c, state: open, accounts: [a]}}]\nx: {many}\n")
    assert faults(path) == [
        " too large for YAML: write one cluster a line, as JSON, and name the file .jsonl"
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("clusters.json", " name it .yaml (written by hand) or .jsonl (one cluster a line)"),
        ("missing.yaml", " cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_another_kind_or_none_is_told(tmp_path: Path, name: str, fault: str):
    written(tmp_path, "{}", "clusters.json")
    assert faults(tmp_path / name) == [fault]


# The index


def test_an_index_says_what_the_file_says_and_names_no_account(tmp_path: Path):
    path, index = written(tmp_path, WRITTEN), tmp_path / "var" / "clusters.sqlite"
    report = build_index(path, index)
    assert report.problems == ()
    clusters, direct = ClusterMap.open(index), load_clusters(path)
    assert clusters.version == direct.version == report.version
    assert (clusters.clusters, clusters.accounts) == (direct.clusters, direct.accounts) == (3, 3)
    for account in ("acct_1", "acct_2", "7", "8"):
        assert clusters.of(account) == direct.of(account)
    clusters.close()
    assert b"acct_1" not in index.read_bytes()
    assert index.stat().st_mode & 0o777 == 0o600


def test_a_file_with_a_fault_leaves_the_index_that_is_there(tmp_path: Path):
    path, index = written(tmp_path, WRITTEN), tmp_path / "clusters.sqlite"
    good = build_index(path, index)
    path.write_text(WRITTEN + "  - {id: c-9}\n")
    bad = build_index(path, index)
    assert [str(problem) for problem in bad.problems] == [
        f'{path}:15:5: "accounts" is missing',
        f'{path}:15:5: "state" is missing',
    ]
    assert bad.source != good.source
    report = index_report(index, path)
    assert report is not None
    assert (report.version, report.source) == (good.version, good.source)


def test_an_index_is_not_built_again_for_a_file_that_is_as_it_was(tmp_path: Path):
    path, index = written(tmp_path, WRITTEN), tmp_path / "clusters.sqlite"
    build_index(path, index)
    inode = index.stat().st_ino
    build_index(path, index)
    assert index.stat().st_ino == inode
    assert index_report(index, tmp_path / "other.yaml") is None


def test_a_parent_that_comes_late_is_told_once(tmp_path: Path):
    """A count that is there already is not exchanged for another one."""
    path, index = tmp_path / "clusters.yaml", tmp_path / "clusters.sqlite"
    path.write_text(yaml_of(one(id="c-1"), one(id="c-2", split_from="c-0")))
    assert build_index(path, index).late == ()
    late = one(id="c-1", merged_from=["c-8"])
    path.write_text(yaml_of(late, one(id="c-2"), one(id="c-3", merged_from=["c-9"])))
    assert build_index(path, index).late == ("c-1",)
    assert build_index(path, index).late == ()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    report = build_index(written(tmp_path, WRITTEN), tmp_path / "file" / "clusters.sqlite")
    assert "cannot be written" in str(report.problems[0])


def test_the_builder_needs_a_file_and_an_index(capsys: pytest.CaptureFixture[str]):
    assert build_clusters.main(["clusters.yaml"]) == 2
    assert "usage: " in capsys.readouterr().err


# What is told beside it


def test_a_summary_counts_and_names_what_is_carried_on_from_elsewhere(tmp_path: Path):
    read = read_file(written(tmp_path, WRITTEN))
    assert summary(read) == (
        "2 clusters of 3 accounts, 1 dismissed; counts carried on of 3 that it does not list: "
        "c-0, c-1, c-2"
    )
    own = read_file(written(tmp_path, yaml_of(one())))
    assert summary(own) == "1 clusters of 1 accounts, 0 dismissed"


def test_accounts_that_the_directory_does_not_have_are_told_by_their_place(tmp_path: Path):
    path = written(tmp_path, WRITTEN)
    directory = Directory.from_lines([b'{"account": "acct_1", "keys": []}'])
    told = [str(problem) for problem in strangers(read_file(path), directory, Path("a.jsonl"))]
    assert told == [
        f"{path}:12:9: accounts[1]: nobody in a.jsonl has this id",
        f"{path}:13:56: accounts[0]: nobody in a.jsonl has this id",
        f"{path}:13:64: accounts[1]: nobody in a.jsonl has this id",
    ]


def test_of_very_many_accounts_that_nobody_has_the_first_are_told(tmp_path: Path):
    path = written(tmp_path, yaml_of(one(accounts=[f"a{n}" for n in range(MOST_TOLD + 1)])))
    told = list(strangers(read_file(path), Directory.empty(), Path("a.jsonl")))
    assert len(told) == MOST_TOLD + 1
    assert str(told[-1]) == f"{path}: and more accounts that nobody in a.jsonl has"


# For editors


def test_the_schema_beside_the_example_is_the_one_that_is_printed():
    """If not: gauger clusters schema > docs/clusters.schema.json."""
    assert (DOCS / "clusters.schema.json").read_text() == schema_text()


def test_the_example_is_in_order_and_fits_its_schema():
    example = DOCS / "clusters.yaml"
    comment, _, where = example.read_text().splitlines()[0].partition("$schema=")
    assert (comment, where) == ("# yaml-language-server: ", "clusters.schema.json")
    assert checked(read_file(example))
    schema = json.loads(schema_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(parse("", example.read_bytes()).data, schema)


@pytest.mark.parametrize(
    "cluster",
    [
        one(state="closed"),
        one(id="C"),
        one(score=2),
        one(accounts=[]),
        one(accounts=[7]),
        one(accounts=[{"account": "a", "weight": 0}]),
        one(accounts=[{"acount": "a"}]),
        one(other=1),
    ],
)
def test_editors_are_told_of_faults_that_a_schema_can_see(cluster: dict[str, object]):
    valid = jsonschema.Draft7Validator(json.loads(schema_text())).is_valid
    assert valid({"clusters": [one()]})
    assert not valid({"clusters": [cluster]})
