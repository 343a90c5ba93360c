"""Policy sets of any size of which five rules govern each exchange, and the exchanges.

The others are what large sets are made of: rules for other tiers, models, customers, places and
labels, some of them with conditions in CEL; a few are conditions in CEL alone, which no index
finds.
"""

import json
import random
from collections.abc import Callable

from proxy.model.facts import Facts
from proxy.policy.load import compile_texts
from proxy.policy.rules import PolicySet

Rule = dict[str, object]

CEL_ALONE = 50  # one rule in so many is a condition that cannot be indexed
NOON_NS = 1_776_816_000 * 1_000_000_000

GOVERNING: dict[str, list[Rule]] = {
    "quotas": [
        {
            "id": "per-minute",
            "match": {"tiers": ["build"]},
            "mode": "enforce",
            "limit": {"requests": 10**9, "tokens": 10**12},
            "window": "1m",
        },
        {"id": "per-day", "mode": "enforce", "limit": {"tokens": 10**13}, "window": "1d"},
    ],
    "geography": [
        {
            "id": "embargo",
            "match": {"models": ["m-large*"]},
            "mode": "enforce",
            "deny_countries": ["CU", "IR", "KP", "SY"],
        }
    ],
    "access": [
        {
            "id": "grown-up",
            "match": "account.age_s > 24 * 3600 || account.verified",
            "mode": "shadow",
            "then": "delay",
            "delay": "1s",
        }
    ],
    "fingerprints": [
        {"id": "shared", "mode": "shadow", "template": {"accounts": 25, "within": "1h"}}
    ],
}


IN_CEL = "account.age_s / 3600 > 24 || account.verified"  # says the same, and is no table


def policy_of(count: int, seed: int = 1, *, in_cel: bool = False) -> PolicySet:
    """A set of `count` rules, five of which govern each of the exchanges.

    `in_cel`: one of the five has a condition that only CEL can evaluate.
    """
    draw = random.Random(seed)
    file = {section: list(rules) for section, rules in GOVERNING.items()}
    if in_cel:
        file["access"] = [{**file["access"][0], "match": IN_CEL}]
    for number in range(count - sum(map(len, GOVERNING.values()))):
        section, rule = _other(number, draw)
        file[section].append({"id": f"other-{number}", "mode": "enforce", **rule})
    return compile_texts([("bench.yaml", json.dumps(file).encode())])


def _other(number: int, draw: random.Random) -> tuple[str, Rule]:
    """A rule that governs none of the exchanges."""
    quota: Rule = {"limit": {"requests": draw.randint(1, 100)}, "window": "1m"}
    if number % CEL_ALONE == CEL_ALONE - 1:
        match = f"request.input_tokens > {10**9 + number} && request.choices * 2 > 5"
        return "access", {"match": match, "then": "deny"}
    kinds: list[Callable[[], tuple[str, Rule]]] = [
        lambda: ("quotas", {"match": {"tiers": [f"tier-{number}"]}, **quota}),
        lambda: ("quotas", {"match": {"accounts": [f"customer-{number}"]}, **quota}),
        lambda: ("quotas", {"match": {"organizations": [f"group-{number}"]}, **quota}),
        lambda: (
            "geography",
            {"match": {"models": [f"other-{number}-*"]}, "deny_countries": ["CU", "IR"]},
        ),
        lambda: ("access", {"match": {"labels": [f"label-{number}"]}, "then": "deny"}),
        lambda: (
            "access",
            {"match": {"countries": [draw.choice(["CU", "IR", "KP", "SY"])]}, "then": "deny"},
        ),
        lambda: (
            "access",
            {
                "match": f'account.organization == "group-{number}" && account.age_s / 60 < 5',
                "then": "step_up",
            },
        ),
        lambda: (
            "fingerprints",
            {"match": {"models": [f"m-{number}"]}, "template": {"accounts": 9, "within": "1h"}},
        ),
    ]
    return draw.choice(kinds)()


def exchanges(count: int, seed: int = 1) -> list[Facts]:
    """Facts of exchanges by 64 accounts and two models."""
    draw = random.Random(seed)
    return [_facts(draw) for _ in range(count)]


def _facts(draw: random.Random) -> Facts:
    account = draw.randrange(64)
    return {
        "request.surface": "chat.completions",
        "request.dialect": "openai",
        "request.model": draw.choice(["m-large", "m-large-2"]),
        "request.stream": False,
        "request.choices": 1,
        "request.input_tokens": draw.randint(10, 2_000),
        "request.max_tokens": 256,
        "request.body_bytes": 1_100,
        "time.now": NOON_NS,
        "account.id": f"acc-{account}",
        "account.key": f"key-{account}",
        "account.organization": f"org-{account % 7}",
        "account.tier": "build",
        "account.labels": (),
        "account.age_s": draw.randint(10**5, 10**7),
        "account.verified": True,
        "account.honeypot": False,
        "client.address": "203.0.113.7",
        "client.country": draw.choice(["SG", "DE", "US"]),
        "client.asn": 64_500,
        "fingerprint.template": "ab12",
        "fingerprint.template_accounts": {3600: 3},
    }
