"""Traffic: the same seed gives the same bytes, and each scenario is what its name says."""

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import maxminddb
import pytest

from bench.campaigns import networks
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.stage import stage, write
from bench.campaigns.stream import Traffic
from proxy.replay.traffic import parse_dict

ALL = sorted(SCENARIOS)


def events(world, name):
    return list(Traffic([SCENARIOS[name].build(world)], world.start_s))


def credential(line):
    headers = {name.lower(): text for name, text in line["headers"]}
    return headers.get("x-api-key") or headers["authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_bytes(job, name):
    for out in ("one", "two"):
        write(job(name, out=out), lambda _: None)
    for file in ("accounts.jsonl", "traffic.jsonl.gz", "truth.json"):
        first = (job(name, out="one").folder / file).read_bytes()
        assert first == (job(name, out="two").folder / file).read_bytes()


def test_another_seed_gives_other_traffic(job):
    for seed in (1, 2):
        write(job("low-and-slow", seed), lambda _: None)
    first, second = (
        (job("low-and-slow", seed).folder / "traffic.jsonl.gz").read_bytes() for seed in (1, 2)
    )
    assert first != second


def test_every_scenario_has_unrelated_accounts_of_its_own(job):
    def base(name):
        lines = [event.line for event in stage(job(name)).traffic() if event.cast == "base"]
        return [line | {"id": ""} for line in lines]

    one, other = base("low-and-slow"), base("corporate-nat")
    assert one == base("low-and-slow")
    assert not {str(line["headers"]) for line in one} & {str(line["headers"]) for line in other}


@pytest.mark.parametrize("name", ALL)
def test_exchanges_come_in_time_order_and_replay_can_read_them(job, name):
    lines = [event.line for event in stage(job(name)).traffic()]
    assert all(before["ts"] <= after["ts"] for before, after in pairwise(lines))
    assert len({line["id"] for line in lines}) == len(lines)
    assert all(parse_dict(line).arrival().body for line in lines[:200])


@pytest.mark.parametrize("name", ALL)
def test_every_sender_has_its_key_in_the_directory_before_it_sends(job, name):
    write(job(name), lambda _: None)
    folder = job(name).folder
    listed = (folder / "accounts.jsonl").read_text().splitlines()
    accounts = [json.loads(line) for line in listed]
    known = {account["account"] for account in accounts}
    assert len(known) == len(accounts)
    opened = {key["sha256"]: line["created_at"] for line in accounts for key in line["keys"]}
    with gzip.open(folder / "traffic.jsonl.gz", "rt") as lines:
        for line in map(json.loads, lines):
            assert opened[sha256(credential(line).encode()).hexdigest()] < line["ts"]
    truth = json.loads((folder / "truth.json").read_text())
    members = {**truth["campaigns"], **truth["lookalikes"]}
    assert set(members[name]) <= known


def test_fixed_prompt_sends_one_instruction_in_every_request(world):
    lines = [event.line for event in events(world, "fixed-prompt")]
    said = [str(line["body"]) for line in lines]
    words = set(said[0].split()).intersection(*(text.split() for text in said[1:50]))
    assert {"Do", "not"} <= words or len(words) > 15


def test_low_and_slow_accounts_are_light_users_and_many_wordings(world):
    sent = Counter(event.persona.account for event in events(world, "low-and-slow"))
    a_day = sum(sent.values()) / len(sent) / 0.25
    assert max(sent.values()) < 60
    assert 5 < a_day < 60


def test_popular_client_accounts_differ_in_nothing_but_key_and_question(world):
    program = set()
    asked = set()
    for event in events(world, "popular-client"):
        headers = tuple(
            (name, "" if name == "x-api-key" else text) for name, text in event.line["headers"]
        )
        body = event.line["body"]
        tools = json.dumps(body["tools"])
        program.add((headers, event.line["tls"]["ja4"], body["system"], tools))
        asked.add(body["messages"][0]["content"])
    assert len(program) == 1
    assert len(asked) > 5


def test_corporate_nat_sits_behind_two_addresses(world):
    found = events(replace(world, days=1.0), "corporate-nat")  # all of a working day
    assert len({event.line["client_ip"] for event in found}) == 2
    assert len({event.persona.account for event in found}) > 3


def test_residential_exits_change_and_stay_in_their_networks(world):
    exits = defaultdict(set)
    for event in events(world, "fixed-prompt"):
        exits[event.persona.account].add(event.line["client_ip"])
    assert all(len(addresses) > 5 for addresses in exits.values())


def test_the_maps_place_every_network_where_the_plan_has_it(tmp_path):
    country, asn = networks.write_mmdb(tmp_path)
    with maxminddb.open_database(country) as places, maxminddb.open_database(asn) as systems:
        for network in networks.NETWORKS:
            assert places.get(network.host(77))["country"]["iso_code"] == network.country
            assert systems.get(network.host(77))["autonomous_system_number"] == network.asn


def test_published_rows_and_traces_are_used_where_they_are_given(job, published):
    on = stage(replace(job("low-and-slow", days=0.02), data=published))
    texts = " ".join(str(event.line["body"]) for event in on.traffic())
    assert "distill_gsm8k_train row" in texts
    assert on.world.traces.profiles[0].name == "m-large/0"
    assert on.world.traces.chat_tokens == (10, 27)
