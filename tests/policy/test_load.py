import os
from pathlib import Path

import pytest

from proxy.model.verdict import Durability, Mode, OnMissing, Unit, Verdict
from proxy.policy.load import compile_texts, load
from proxy.policy.problem import ProblemsError
from proxy.policy.windows import Window

GOOD = """
lists:
  embargoed: [CU, IR]
quotas:
  - id: free-requests
    match: {tiers: [free], models: ["m-*"]}
    mode: enforce
    limit: {requests: 10, tokens: 5000}
    window: 1m
geography:
  - id: embargo
    match: {models: [m-large]}
    mode: enforce
    deny_countries: $embargoed
    legal: true
fingerprints:
  - id: shared-template
    mode: shadow
    template: {accounts: 8, within: 10m}
"""


def faults(*texts: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        compile_texts([(f"{'ab'[i]}.yaml", text.encode()) for i, text in enumerate(texts)])
    return str(caught.value).splitlines()


def quota(**changed: str) -> str:
    keys = {"id": "q", "mode": "enforce", "limit": "{requests: 5}", "window": "1m"} | changed
    lines = [f"    {key}: {value}" for key, value in keys.items() if value]
    return "quotas:\n  -" + "\n".join(lines)[3:] + "\n"


def test_rules_of_all_three_kinds_compile():
    policy = compile_texts([("p.yaml", GOOD.encode())])
    (free,), (embargo,), (shared,) = policy.quotas, policy.geography, policy.fingerprints
    assert [(limit.unit, limit.amount) for limit in free.limits] == [
        (Unit.REQUESTS, 10),
        (Unit.TOKENS, 5000),
    ]
    assert free.window == Window(length_s=60)
    assert free.on_missing is OnMissing.APPLY
    assert embargo.countries == {"CU", "IR"}
    assert embargo.durability is Durability.BEFORE
    assert (shared.mode, shared.verdict) == (Mode.SHADOW, Verdict.THROTTLE)
    assert shared.on_missing is OnMissing.ABSTAIN
    assert policy.template_windows_s == {600}


def test_the_digest_names_the_content_and_not_the_folder():
    one = compile_texts([("/x/p.yaml", GOOD.encode())]).digest
    assert compile_texts([("/y/p.yaml", GOOD.encode())]).digest == one
    assert compile_texts([("/x/p.yaml", GOOD.encode() + b"#\n")]).digest != one


def test_lists_of_one_file_serve_the_rules_of_another():
    lists, rest = GOOD.split("quotas:")
    policy = compile_texts([("a.yaml", ("quotas:" + rest).encode()), ("b.yaml", lists.encode())])
    assert policy.geography[0].countries == {"CU", "IR"}


def test_all_faults_of_all_files_are_told_at_once_in_order():
    bad = quota(window="1 minute", limitt="{requests: 5}", limit="")
    assert faults(bad, GOOD.replace("$embargoed", "$embargo")) == [
        'a.yaml:4:13: "1 minute" is not a duration (write a whole number and s, m, h, d or w: '
        "30s, 10m, 1d), or a window of the calendar: minute, hour, day, week, month, lifetime",
        'a.yaml:5:5: unknown key "limitt" (did you mean "limit"?)',
        'b.yaml:14:21: there is no list "embargo" (did you mean "$embargoed"?)',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (quota(id="Free Requests"), '"Free Requests" is not an id'),
        (quota(mode=""), '"mode" is missing'),
        (quota(mode="wran"), 'write enforce, warn or shadow, found the text "wran" (did you mean'),
        (quota(limit="{}"), "a quota needs at least one limit"),
        (quota(limit="{requests: 0}"), "write a number above 0, found the number 0"),
        (quota(limit='{requests: "5"}'), 'found the text "5" (write it without quotes)'),
        (quota(match="{tiers: []}"), "an empty list matches nothing"),
        (quota(match="{tiers: free}"), 'write a list ([free]), or "$name"'),
        (quota(match="{tiers: ['']}"), "a.yaml:6:21: an empty text matches nothing"),
        (quota(match="{tiers: 5}"), 'write a list of texts (["a", "b"]; numbers in quotes)'),
        (quota(match="{tiers: [5]}"), 'write a list of texts (["a", "b"]; numbers in quotes)'),
        (quota(match="~"), '"match" has no value: write one, or remove the key'),
        (quota(match="5"), 'write a condition (account.tier == "free"), or a mapping of them'),
        (quota(window="401d"), '"401d" is too long: at most 400d'),
        (quota(window="9" * 5000 + "s"), "is not a duration"),
        (GOOD.replace("[CU, IR]", "[]"), "an empty list matches nothing"),
        (GOOD.replace("[CU, IR]", "[CU, '']"), "an empty text matches nothing"),
        (quota(match="{surfaces: [chat]}"), '"chat" is not a surface'),
        (quota(match="{dialects: [openapi]}"), 'did you mean "openai"?'),
        (quota(message='"a\\nb"'), "a message is one line of at most 500 characters"),
        ("quota:\n  - id: x\n", 'unknown key "quota" (did you mean "quotas"?)'),
        ("quotas: 5\n", "quotas: write a list ([a, b], or a line that begins with"),
        ("- a\n", "write keys and their values here (key: value), found a list"),
        ("", "the file is empty: write rules, or remove it"),
        (GOOD.replace("[CU, IR]", "[CU, USA]"), '"USA" is not a country code'),
        (GOOD.replace("deny_countries: $embargoed", ""), "needs either deny_countries or"),
        (GOOD.replace("legal: true", "allow_countries: [SG]"), "needs either deny_countries or"),
        (GOOD.replace("legal: true", "legal: true\n    durability: async"), "durability: before"),
        (GOOD.replace("mode: shadow", "mode: shadow\n    then: deny"), "with reveals: true"),
        (GOOD.replace("mode: shadow", "mode: shadow\n    message: hi"), "needs reveals: true"),
        (GOOD.replace("accounts: 8", "accounts: 1"), "write a number from 2"),
    ],
)
def test_each_fault_says_what_is_wrong_and_what_to_write(text: str, message: str):
    assert any(message in fault for fault in faults(text)), faults(text)


def test_an_id_is_taken_once_over_all_files():
    assert faults(quota(), quota()) == ['b.yaml:2:9: the id "q" is taken by a.yaml:2']


def test_a_rule_that_is_written_again_by_an_alias_is_no_other_rule():
    rule = "{id: q, mode: enforce, limit: {requests: 5}, window: 1m}"
    twice = "quotas: [&rule " + rule + ", *rule]"
    assert faults(twice) == ['a.yaml:1:21: the id "q" is taken by a.yaml:1']


def test_a_fault_quotes_no_identity_for_faults_are_logged():
    (fault,) = faults(quota(match="{accounts: acc-17}"))
    assert fault.endswith('write a list ([…]), or "$name" of an entry under lists')


def test_a_directory_without_policies_is_a_fault(tmp_path: Path):
    with pytest.raises(ProblemsError, match=r"no \.yaml file in this directory"):
        load(tmp_path)
    with pytest.raises(ProblemsError, match="no such directory"):
        load(tmp_path / "none")


def test_files_of_a_directory_are_one_set(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yml").write_text(quota())
    (tmp_path / "notes.txt").write_text("not a policy")
    assert [rule.id for rule in load(tmp_path).rules] == [
        "embargo",
        "shared-template",
        "free-requests",
        "q",
    ]


def test_a_wrong_list_is_told_once():
    assert len(faults(quota(match="{models: [5]}"))) == 1


def test_a_suffix_in_capitals_is_read_and_an_editors_own_file_is_not(tmp_path: Path):
    (tmp_path / "a.YAML").write_text(GOOD)
    (tmp_path / ".#b.yaml").symlink_to("nowhere")
    assert len(load(tmp_path).rules) == 3


def test_a_pipe_among_the_policies_is_told_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "p.yaml")
    with pytest.raises(ProblemsError, match="not a regular file"):
        load(tmp_path)


def test_a_list_is_defined_once_over_all_files():
    twice = faults("lists: {a: [x]}\n", "lists: {a: [y]}\n")
    assert twice == ['b.yaml:1:9: the list "a" is defined already by a.yaml:1']
