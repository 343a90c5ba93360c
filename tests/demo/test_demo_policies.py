"""The demo's policies over the demo's own traffic, judged on a clock of its own."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from proxy.demo.emulator import Emulator, Seen
from proxy.demo.run import policies
from proxy.demo.traffic import HASTY_REQUESTS, Traffic
from proxy.demo.world import HASTY, HYDRA, ISLANDER, ORDINARY, Places, write
from proxy.replay.session import Session

NOBODY = None  # the account of an exchange whose key nobody issued
NOON_S = 1_776_859_200.0
LASTING_S = 15.0


def recorded(number: int, seen: Seen, count: int) -> dict[str, Any]:
    """A request as the traffic format has it, at its place in the quarter of a minute."""
    headers = [[name.decode(), value.decode()] for name, value in seen.headers]
    return {
        "id": f"x-{number:04}",
        "ts": round(NOON_S + number * LASTING_S / count, 3),
        "client_ip": seen.header("x-forwarded-for"),
        "headers": headers,
        "method": seen.method,
        "path": seen.path,
        "body": json.loads(seen.body) if seen.body else None,
        "response": {"status": 200, "usage": {"input_tokens": 30, "output_tokens": 40}},
    }


async def test_only_those_who_should_be_are_refused_and_each_by_the_rule_made_for_it(
    tmp_path: Path,
):
    async with Emulator(key=None) as emulator:
        await Traffic(emulator.url, seconds=1).run()
    places = Places(tmp_path, policies(), "127.0.0.1:1", "127.0.0.1:2")
    write(places, emulator.url)

    refused: defaultdict[str | None, list[str]] = defaultdict(list)
    with Session(config=places.config, environment=places.environment) as session:
        for number, seen in enumerate(emulator.seen):
            decided = session.exchange(recorded(number, seen, len(emulator.seen)))
            if decided["verdict"] != "allow":
                rules = [rule["id"] for rule in decided["rules"] if rule["verdict"] != "allow"]
                refused[decided["account"]].extend(rules)

    assert set(refused.pop(NOBODY)) == {"gauger.identity"}
    assert set(refused.pop(ISLANDER.account)) == {"large-model-embargo"}
    over = refused.pop(HASTY.account)
    assert set(over) == {"trial-per-minute"}
    assert len(over) >= HASTY_REQUESTS - 30
    assert not {party.account for party in ORDINARY} & set(refused)
    assert set(refused) == {head.account for head in HYDRA}
    assert {rule for rules in refused.values() for rule in rules} == {"shared-template"}
