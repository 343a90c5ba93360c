"""One policy set with every key that there is, for tests that take keys away or change them."""

from typing import Any

_RULE: dict[str, Any] = {
    "description": "Shows every key.",
    "mode": "enforce",
    "rollout": 50,
    "not_before": "2026-01-01",
    "expires": "2030-01-01T00:00:00Z",
    "reason": "A test.",
    "on_missing": "abstain",
    "on_error": "abstain",
    "durability": "async",
    "severity": "high",
    "labels": ["control-1"],
    "fuse": {"accounts": 50, "within": "10m"},
}

WHOLE: dict[str, Any] = {
    "lists": {"embargoed": ["CU", "IR"], "partners": ["acc-1"]},
    "exceptions": [
        {
            "id": "partner",
            "description": "Shows every key.",
            "rules": ["everything"],
            "accounts": "$partners",
            "match": {"models": ["m-*"]},
            "granted_by": "ops",
            "reason": "A test.",
            "until": "2028-01-01",
        }
    ],
    "geography": [
        {**_RULE, "id": "denied", "deny_countries": "$embargoed", "message": "Not from here."},
        {"id": "allowed", "mode": "warn", "allow_countries": ["DE"], "legal": True},
    ],
    "access": [
        {
            **_RULE,
            "id": "everything",
            "match": {
                "models": ["m-large*"],
                "surfaces": ["messages"],
                "dialects": ["anthropic"],
                "tiers": ["free"],
                "accounts": ["acc-2"],
                "keys": ["k-1"],
                "organizations": ["org-1"],
                "labels": ["beta"],
                "countries": ["DE"],
                "networks": ["10.0.0.0/8"],
                "asns": [64500],
                "anonymizers": ["vpn"],
                "ja4": ["t13d*"],
                "cel": "request.stream && account.age_s / request.choices < 5",
            },
            "then": "throttle",
            "retry_after": "30s",
            "message": "Later.",
        },
        {
            "id": "changed",
            "match": "quota.used_share > 0.5",
            "mode": "enforce",
            "then": "delay",
            "delay": "2s",
            "on_unavailable": "deny",
            "modify": {
                "strip": ["logprobs"],
                "reroute": "m-small",
                "max_tokens": 100,
                "cut_after": 50,
            },
        },
        {"id": "duty", "mode": "shadow", "then": "deny", "legal": True},
    ],
    "fingerprints": [
        {
            **_RULE,
            "id": "shared",
            "then": "deny",
            "reveals": True,
            "template": {"accounts": 5, "within": "1h"},
        }
    ],
    "quotas": [
        {
            **_RULE,
            "id": "limits",
            "match": {"tiers": ["free"]},
            "per": "key",
            "limit": {"requests": 5, "tokens": 50, "input_tokens": 40, "output_tokens": 30},
            "window": "1m",
            "assume_output_tokens": 20,
            "on_unavailable": "local",
            "message": "Enough.",
        },
        {
            "id": "spent",
            "mode": "enforce",
            "per": ["organization", "model_group"],
            "limit": {"cost": 25.5},
            "window": "month",
            "time_zone": "Europe/Berlin",
            "billing_day": 15,
            "clamp": 16,
            "hard": True,
        },
        {
            "id": "steady",
            "mode": "enforce",
            "per": {"cel": 'account.tier + "/" + client.country'},
            "limit": {"requests": 60},
            "window": "1m",
            "algorithm": "gcra",
            "burst": 10,
        },
        {
            "id": "at-once",
            "mode": "enforce",
            "limit": {"concurrent": 5, "cached_tokens": 5, "reasoning_tokens": 5, "bytes": 900},
            "window": "1h",
            "algorithm": "rolling",
        },
        {"id": "alike", "mode": "enforce", "per": "cluster", "like": "limits"},
    ],
    "model_groups": {"small": ["m-small*"]},
    "prices": [
        {
            "models": ["m-*"],
            "not_before": "2026-01-01",
            "until": "2030-01-01",
            "input": 0.15,
            "output": 0.6,
            "cached": 0.075,
            "cache_written": 0.2,
            "reasoning": 0.6,
            "request": 0.001,
            "image": 0.04,
            "second": 0.0001,
        }
    ],
}
