"""What rules ask about that a deployment can never know is told beforehand."""

from pathlib import Path

import pytest

from proxy.model.account import Account, Key, Owner
from proxy.policy.load import compile_texts
from proxy.settings.census import Census, census_of
from proxy.settings.knowable import unknowable
from proxy.settings.load import load

RULES = """
lists:
  beta: [acc-9]
exceptions:
  - id: exempt
    rules: [by-ja4]
    accounts: $beta
    granted_by: ops
    reason: A test.
    until: 2030-01-01
geography:
  - {id: embargo, mode: shadow, deny_countries: [CU]}
access:
  - {id: by-asn, match: {asns: [64500]}, mode: shadow, then: deny, on_missing: abstain}
  - {id: by-ja4, match: {ja4: ["t*"]}, mode: shadow, then: deny}
  - {id: by-vpn, match: 'client.anonymizer == "vpn"', mode: shadow, then: deny}
  - {id: by-cluster, match: "request.stream && cluster.score > 0.9", mode: shadow, then: throttle}
  - {id: asked-for, match: 'has(client.asn) && client.asn == 64500', mode: shadow, then: deny}
  - {id: to-anthropic, match: {dialects: [anthropic]}, mode: shadow, then: deny}
  - {id: messages, match: {surfaces: [messages]}, mode: shadow, then: deny}
  - {id: open, match: {surfaces: [open]}, mode: shadow, then: deny}
quotas:
  - {id: free, match: {tiers: [free]}, mode: shadow, limit: {requests: 5}, window: 1m}
"""
POLICY = compile_texts([("p.yaml", RULES.encode())])
LEAST = "policies: policies\nstate_dir: var\ndetector: {enabled: false}\n"
UNSEEN = "the settings name no clusters, and detector.enabled is false"
OPENAI = "upstreams: {openai: {url: https://up.example, credential: pass}}\n"
ALL = (
    "policies: policies\nstate_dir: var\naccounts: accounts.jsonl\ntrusted_peers: [10.0.0.1]\n"
    "clusters: clusters.yaml\n"
    "ja4_header: x-ja4\ngeo: {databases: [a.mmdb], anonymizers: a.txt}\nopen_paths: [/x]\n"
)


def said(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "gauger.yaml").write_text(text)
    return [str(p).split("\n")[0] for p in unknowable(POLICY, load(tmp_path / "gauger.yaml", {}))]


def test_facts_that_the_settings_cannot_tell_are_named_where_rules_read_them(tmp_path: Path):
    no_accounts = "the settings name no accounts, and whoever is unknown is refused"
    applies, abstains = "the rule goes by on_missing: apply", "the rule goes by on_missing: abstain"
    assert said(tmp_path, LEAST + OPENAI) == [
        f"p.yaml:7:5: account.id is never known here: {no_accounts}; the exception never applies",
        "p.yaml:12:33: client.country is never known here: the settings name no geo.databases; "
        + applies,
        "p.yaml:14:26: client.asn is never known here: the settings name no geo.databases; "
        + abstains,
        f"p.yaml:15:26: client.ja4 is never known here: the settings name no ja4_header; {applies}",
        "p.yaml:16:26: client.anonymizer is never known here: the settings name no "
        f"geo.anonymizers; {applies}",
        f"p.yaml:17:48: cluster.score is never known here: {UNSEEN}; " + abstains,
        "p.yaml:19:32: nothing is served for anthropic: the settings name no such upstream",
        "p.yaml:20:28: nothing is served for anthropic: the settings name no such upstream",
        "p.yaml:21:24: nothing is served on open paths: the settings name no open_paths",
        f"p.yaml:23:24: account.tier is never known here: {no_accounts}; {applies}",
    ]


def test_settings_that_tell_everything_leave_nothing_to_say(tmp_path: Path):
    upstream = "{url: https://up.example, credential: pass}"
    both = f"upstreams: {{openai: {upstream}, anthropic: {upstream}}}\n"
    assert said(tmp_path, ALL + both) == []


def account(id_: str, **given: object) -> Account:
    key = Key(f"k-{id_}", "0" * 64)
    return Account(account=id_, keys=(key,), **given)  # type: ignore[arg-type]  # any field


CENSUS = """
exceptions:
  - id: exempt
    rules: [owned]
    accounts: [acc-1, acc-2]
    granted_by: ops
    reason: A test.
    until: 2030-01-01
access:
  - id: owned
    match: {tiers: [fre], cel: 'owned_share(account.owners, ["CU"]) > 0.5'}
    mode: shadow
    then: deny
  - {id: labelled, match: {labels: [beta], keys: [k-acc-1]}, mode: shadow, then: deny}
  - {id: guarded, match: has(account.verified) && account.verified, mode: shadow, then: deny}
quotas:
  - {id: org, mode: shadow, per: organization, limit: {requests: 5}, window: 1m}
"""


def counted(*accounts: Account) -> list[str]:
    census = Census(compile_texts([("p.yaml", CENSUS.encode())]), "accounts.jsonl")
    for each in accounts:
        census.count(each)
    return [str(problem).split("\n")[0] for problem in census.problems()]


def test_names_that_nobody_in_the_directory_has_are_told():
    assert counted(account("acc-1", tier="free")) == [
        'p.yaml:5:5: `accounts: [acc-1, acc-2]`: nobody in accounts.jsonl has "acc-2"',
        'p.yaml:11:13: `tiers: [fre]`: nobody in accounts.jsonl has "fre"',
        "p.yaml:11:45: account.owners is known of nobody in accounts.jsonl",
        'p.yaml:14:28: `labels: [beta]`: nobody in accounts.jsonl has "beta"',
        "p.yaml:17:34: nobody in accounts.jsonl has an organization: "
        "each account counts for itself",
    ]


def test_a_directory_in_which_everybody_is_found_gives_no_warning():
    owners = (Owner("o", 1.0, "CU"),)
    one = account("acc-1", tier="fre", organization="o", owners=owners, labels=("beta",))
    assert counted(one, account("acc-2")) == []


@pytest.mark.parametrize("accounts", [(), (account("acc-1"),)])
def test_a_tier_that_no_account_has_at_all_is_told_once_and_an_empty_directory_says_nothing(
    accounts: tuple[Account, ...],
):
    assert sum("account.tier" in line for line in counted(*accounts)) == len(accounts)


LIMITED = """
access:
  - {id: door, mode: shadow, then: deny}
quotas:
  - {id: free-day, mode: enforce, limit: {requests: 5, tokens: 900}, window: 1d}
  - {id: one-hand, mode: shadow, per: cluster, limit: {requests: 5}, window: 1d}
"""


def test_limits_of_accounts_that_no_quota_asks_for_are_told():
    census = Census(compile_texts([("p.yaml", LIMITED.encode())]), "accounts.jsonl")
    for n in range(2):
        given = {"free-day": {"requests": 9.0, "cost": 5.0}, "fre-day": {"requests": 9.0}}
        census.count(account(f"acc-{n}", limits=given))
    other = {"door": {"requests": 9.0}, "one-hand": {"requests": 9.0}}
    census.count(account("acc-3", limits=other))
    assert sorted(map(str, census.problems())) == [
        "accounts.jsonl: limits.door.requests of 1 account does nothing: "
        "there is no quota of this name in the set",
        "accounts.jsonl: limits.fre-day.requests of 2 accounts does nothing: "
        'there is no quota of this name in the set (did you mean "free-day"?)',
        "accounts.jsonl: limits.free-day.cost of 2 accounts does nothing: "
        "the quota limits requests, tokens",
        "accounts.jsonl: limits.one-hand.requests of 1 account does nothing: "
        "the quota rests on recognizing callers, and its limits are the same for all",
    ]


def test_a_quota_by_what_nobody_in_the_directory_has_is_told():
    text = "quotas: [{id: q, mode: enforce, per: tier, limit: {requests: 5}, window: 1d}]"
    census = Census(compile_texts([("p.yaml", text.encode())]), "accounts.jsonl")
    census.count(account("acc-1"))
    (said,) = census.problems()
    assert str(said).startswith("p.yaml:1:33: account.tier is known of nobody in accounts.jsonl")


COUNTING = """
quotas:
  - {id: by-place, mode: enforce, per: country, limit: {requests: 5}, window: 1d}
  - {id: one-hand, mode: shadow, per: cluster, limit: {requests: 5}, window: 1d}
  - {id: by-text, mode: shadow, per: {cel: client.ja4}, limit: {requests: 5}, window: 1d}
  - {id: own, mode: shadow, limit: {requests: 5}, window: 1d, on_unavailable: deny}
  - {id: lax, mode: shadow, per: network, limit: {requests: 5}, window: 1d, on_unavailable: allow}
"""


IDLE = (
    "p.yaml:6:63: the counters are in the memory of this process, which always answers: "
    "on_unavailable does nothing without store.redis"
)


@pytest.mark.parametrize("redis", ["", "store: {redis: {url: 'redis://127.0.0.1:6379'}}\n"])
def test_quotas_that_cannot_tell_whom_they_count_and_what_never_fails_are_told(
    tmp_path: Path, redis: str
):
    (tmp_path / "gauger.yaml").write_text(LEAST + OPENAI + "accounts: a.jsonl\n" + redis)
    policy = compile_texts([("p.yaml", COUNTING.encode())])
    found = unknowable(policy, load(tmp_path / "gauger.yaml", {}))
    assert [str(p).split("\n")[0] for p in found] == [
        "p.yaml:3:35: client.country is never known here: the settings name no geo.databases; "
        "all whose is not known are counted together",
        f"p.yaml:4:34: cluster.ids is never known here: {UNSEEN}; nobody is counted",
        "p.yaml:5:33: client.ja4 is never known here: the settings name no ja4_header; "
        "all whose is not known are counted together",
        *([] if redis else [IDLE]),
    ]


def test_the_directorys_file_is_counted_as_it_stands(tmp_path: Path):
    path = tmp_path / "accounts.jsonl"
    path.write_text('{"account": "acc-1", "keys": []}\n\n{"account": "acc-2", "keys": []}\n')
    policy = compile_texts([("p.yaml", CENSUS.encode())])
    assert not any('has "acc-' in str(problem) for problem in census_of(policy, path))
