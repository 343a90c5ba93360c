"""The campaigns that learn, hide, flood, steal or imitate are what the table of scenarios says."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from bench.campaigns import networks
from bench.campaigns.files import write_changes, write_setting, write_truth
from bench.campaigns.reword import HIDDEN, instructions, voice
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.scenarios.adaptive import GIVEN_UP_BY
from bench.campaigns.scenarios.embargo import REVOKED_WITHIN_S
from bench.campaigns.scenarios.shared_keys import ADDRESSES, MOVES_AFTER
from bench.campaigns.stage import stage, write
from bench.campaigns.stream import Traffic
from bench.campaigns.world import World
from proxy.replay import Session
from proxy.replay.traffic import parse_dict
from proxy.wire.batch_lines import count_requests
from proxy.wire.batch_upload import BatchUpload

MINE = (
    "adaptive",
    "warm-up",
    "shared-keys",
    "embargo",
    "batch-bypass",
    "base-rate-flood",
    "eviction-flood",
    "framing",
    "one-family-only",
    "threshold-prober",
    "perfect",
)
REFUSED = {"verdict": "throttle", "status": 429}
SERVED = {"verdict": "allow", "status": 200}


@pytest.fixture
def small(world: World) -> World:
    return replace(world, days=1.0)


def casts(world, name):
    cast = SCENARIOS[name].build(world)
    return [cast, *cast.beside]


def events(world, name):
    return list(Traffic(casts(world, name), world.start_s))


def of(found, cast):
    return [event for event in found if event.cast == cast]


def headers(event):
    """Names and values of the headers but for the credential."""
    key = event.persona.key
    return tuple((name, text) for name, text in event.line["headers"] if key not in text)


@pytest.mark.parametrize("name", MINE)
def test_a_small_scale_still_has_a_campaign(world, name):
    least = 40 if name == "shared-keys" else 50
    assert casts(world, name)[0].accounts >= least


@pytest.mark.parametrize("name", MINE)
def test_replay_reads_every_line(world, name):
    for event in events(replace(world, days=0.1), name):
        arrival = parse_dict(event.line).arrival()
        assert arrival.body
        assert arrival.client_ip == event.line["client_ip"]


@pytest.mark.parametrize("name", MINE)
def test_without_relations_the_same_traffic_comes_from_a_directory_that_tells_nothing(world, name):
    short = replace(world, days=0.05)
    bare = replace(short, relations=False)
    for told, untold in zip(events(short, name), events(bare, name), strict=True):
        assert told.line == untold.line
    if name == "eviction-flood":
        return  # its many are looked at below
    cards = Counter(
        person.account["links"].get("payment", person.persona.account)
        for person in {p.persona.account: p for p in casts(bare, name)[0].persons}.values()
    )
    assert max(cards.values()) == 1


def test_other_seeds_are_other_operators(world):
    for name in set(MINE) - {"perfect", "embargo", "threshold-prober"}:
        short = [replace(world, seed=seed, days=0.05) for seed in range(6)]
        notes = {SCENARIOS[name].build(one).note for one in short}
        assert len(notes) >= 4, name


# --- adaptive


def test_adaptive_accounts_are_in_step_but_for_jitter(small):
    by_group = defaultdict(list)
    for event in events(small, "adaptive"):
        by_group[event.persona.pace._group].append(event.line["ts"])
    gaps = [b - a for times in by_group.values() for a, b in pairwise(sorted(times))]
    close = sum(1 for gap in gaps if gap <= 0.8)
    assert close > 0.7 * len(gaps)


def test_adaptive_never_says_the_same_twice_and_hides_characters(small):
    found = events(small, "adaptive")
    texts = [str(event.line["body"]["messages"][-1]["content"]) for event in found]
    assert len(set(texts)) > 0.99 * len(texts)
    assert any(character in text for text in texts for character in HIDDEN)


def test_adaptive_changes_program_and_tls_within_an_account(world):
    looks = defaultdict(set)
    for event in events(replace(world, days=3.0), "adaptive"):
        looks[event.persona.account].add((event.line["tls"]["ja4"], headers(event)))
    assert sum(len(seen) > 1 for seen in looks.values()) > 0.9 * len(looks)


def test_an_adaptive_account_that_stays_refused_changes_everything_and_is_replaced(world):
    cast = SCENARIOS["adaptive"].build(replace(world, days=30.0))
    traffic = Traffic([cast], world.start_s)
    victim = cast.persons[0].persona
    heads = {person.persona.account for person in cast.persons}
    before = victim.work.voice, victim.addresses
    card = cast.persons[0].account["links"]["payment"]
    updated, fresh, last = [], set(), None
    for event in traffic:
        account = event.persona.account
        if account == victim.account:
            assert not fresh, "a replaced account went on"
            last = event.line["ts"]
        fresh |= {account} - heads
        updated += traffic.react(event, REFUSED if account == victim.account else SERVED)
        if fresh:
            break
    assert (victim.work.voice, victim.addresses) != before
    assert victim.work.voice is not before[0]
    assert victim.addresses is not before[1]
    (line,) = updated
    assert (line["account"], line["links"]["payment"] != card) == (victim.account, True)
    assert fresh <= {reserve["account"] for reserve in cast.reserves}
    assert last is not None


def test_a_wording_that_is_refused_in_several_accounts_is_given_up_everywhere(small):
    cast = SCENARIOS["adaptive"].build(replace(small, days=3.0))
    by_voice = defaultdict(list)
    for person in cast.persons:
        by_voice[id(person.persona.work.voice)].append(person.persona)
    users = max(by_voice.values(), key=len)
    burnt = users[0].work.voice
    assert len(users) > GIVEN_UP_BY
    traffic = Traffic([cast], small.start_s)
    for event in traffic:
        bad = event.persona.work.voice is burnt and event.persona in users[:GIVEN_UP_BY]
        traffic.react(event, REFUSED if bad else SERVED)
    assert all(persona.work.voice is not burnt for persona in users)


def test_a_voice_keeps_the_numbers_of_a_task(world):
    draw = world.draw("voices")
    for _ in range(200):
        said = voice(draw).said("List 17 facts about loans.", draw)
        shown = "".join(character for character in said if character not in HIDDEN)
        assert "17" in shown


def test_instructions_have_one_place_for_the_task(world):
    draw = world.draw("instructions")
    assert all(text.count("{task}") == 1 for text in instructions(draw, 200))


# --- warm-up


def test_warm_up_harvests_thirty_times_as_much_from_the_turn_on(world):
    cast = SCENARIOS["warm-up"].build(replace(world, days=2.0))
    found = list(Traffic([cast], world.start_s))
    turn_s = cast.harvest_begins_s
    assert turn_s == world.start_s + 86_400.0
    sides = [event.extraction for event in found if event.line["ts"] < turn_s]
    assert not any(sides)
    harvest = [event for event in found if event.extraction]
    assert 15 < len(harvest) / len(sides) < 45
    assert {event.persona.account for event in harvest} == {
        person.persona.account for person in cast.persons
    }


# --- shared-keys


def test_shared_keys_come_from_thirty_addresses_beside_owners_that_go_on(small):
    small = replace(small, days=0.5)
    found = events(small, "shared-keys")
    stolen, honest = of(found, "shared-keys"), of(found, "shared-keys-owners")
    assert all(event.extraction for event in stolen)
    assert not any(event.extraction for event in honest)
    addresses, keys = defaultdict(set), defaultdict(set)
    for event in stolen:
        addresses[event.persona.account].add(event.line["client_ip"])
        keys[event.persona.account].add(event.persona.key)
    owners = {event.persona.account: event.persona.key for event in honest}
    assert len(addresses) == 40
    assert ADDRESSES // 2 < max(map(len, addresses.values())) <= ADDRESSES
    assert all(keys[account] == {key} for account, key in owners.items())
    begins_s = SCENARIOS["shared-keys"].build(small).harvest_begins_s
    assert min(event.line["ts"] for event in stolen) >= begins_s


def test_an_address_whose_key_is_refused_takes_another_and_the_owner_goes_on(small):
    theft, owners = casts(small, "shared-keys")
    victim = owners.persons[0].persona.account
    theft.persons = theft.persons[:ADDRESSES]
    traffic = Traffic([theft, owners], small.start_s)
    thieves = [person.persona for person in theft.persons]
    refused, honest = Counter(), 0
    for event in traffic:
        mine = event.extraction and event.persona.account == victim
        honest += event.persona.account == victim and not event.extraction
        refused[id(event.persona)] += mine
        traffic.react(event, REFUSED if mine else SERVED)
    moved = [thief for thief in thieves if refused[id(thief)] >= MOVES_AFTER]
    assert moved
    assert all(refused[id(thief)] <= 2 * MOVES_AFTER for thief in moved)
    assert any(thief.account != victim for thief in moved)
    assert honest


def test_the_truth_calls_owners_victims_and_lists_what_was_stolen(job):
    write(job("shared-keys"), lambda _: None)
    folder = job("shared-keys").folder
    truth = json.loads((folder / "truth.json").read_text())
    assert truth["campaigns"]["shared-keys"] == []
    assert len(truth["victims"]["shared-keys"]) == 40
    stolen = (folder / "extraction.txt").read_text().split()
    assert len(stolen) == len(set(stolen)) > 40


# --- embargo


@pytest.mark.parametrize("seed", [1, 2])
def test_the_law_decides_every_exchange_of_embargo_rightly(job, seed):
    on = stage(replace(job("embargo", seed, days=0.25), ratio=0.05))
    setting = write_setting(job("embargo").folder, on.casts)
    changes, verdicts = on.changes(), Counter()
    with Session(
        config=SCENARIOS["embargo"].law,
        accounts=setting.accounts,
        geo=[str(path) for path in setting.geo],
        anonymizers=setting.anonymizers,
    ) as session:
        for event in on.traffic():
            while changes and changes[-1][0] <= event.line["ts"]:
                session.add_account(changes.pop()[1])
            decision = session.exchange(event.line)
            if event.expected:
                verdicts[event.expected] += 1
                assert decision["verdict"] in event.expected.split("|"), event.persona.account
    assert verdicts["deny"] > 100
    assert verdicts["allow"] > 100


def test_a_revocation_may_take_ninety_minutes_and_no_longer(job):
    on = stage(replace(job("embargo", days=1.0), ratio=0.01))
    (changed_s, *_), lines = zip(*on.changes(), strict=True)
    revoked = {line["account"] for line in lines}
    told = defaultdict(set)
    for event in on.traffic():
        if event.persona.account in revoked:
            after_s = event.line["ts"] - changed_s
            phase = "before" if after_s < 0 else "soon" if after_s < REVOKED_WITHIN_S else "then"
            told[phase].add(event.expected)
    assert "deny" not in told["before"]
    assert told["soon"] <= {"allow|deny"}
    assert told["then"] == {"deny"}


def test_what_the_law_wants_and_what_changes_stands_beside_the_recording(job):
    write(job("embargo"), lambda _: None)
    folder = job("embargo").folder
    rows = [row.split("\t") for row in (folder / "expected.tsv").read_text().splitlines()]
    assert {verdict for _, verdict in rows} >= {"allow", "deny"}
    changes = [json.loads(row) for row in (folder / "changes.jsonl").read_text().splitlines()]
    assert changes
    assert all(change["account"]["status"] == "suspended" for change in changes)
    listed = (folder / "anonymizers.txt").read_text().splitlines()
    assert {row.split("\t")[1] for row in listed} == {"hosting", "vpn", "tor", "proxy"}


def test_a_recording_of_nothing_that_changes_has_no_such_file(job, tmp_path):
    (tmp_path / "changes.jsonl").write_text("of an earlier run")
    write_changes(tmp_path, stage(job("perfect")).casts)
    assert not (tmp_path / "changes.jsonl").exists()


def test_no_ordinary_customer_is_where_models_may_not_be_used():
    barred = {network.base for network in networks.BARRED}
    assert not barred & {network.base for network in networks.ORDINARY}
    assert not {network.country for network in networks.ORDINARY} & set(networks.EMBARGOED)


# --- batch-bypass


def test_batch_bypass_sends_nothing_but_batches_that_the_gateway_can_count(world):
    prompts, named, uploads, surfaces = Counter(), [], [], set()
    for seed in range(6):
        for event in events(replace(world, seed=seed, days=2.0), "batch-bypass"):
            line, account = event.line, event.persona.account
            surfaces.add(line["path"])
            if line["path"] == "/v1/messages/batches":
                body = parse_dict(line).arrival().body
                prompts[seed, account] += count_requests(body).requests
            elif line["path"] == "/v1/files":
                kind = next(text for name, text in line["headers"] if name == "Content-Type"
                            or name == "content-type")  # fmt: skip
                upload = BatchUpload(kind)
                upload.feed(line["body_text"].encode())
                upload.finish()
                count = upload.count()
                assert (upload.problem, count.unread_lines) == (None, 0)
                prompts[seed, account] += count.requests
                uploads.append(account)
            else:
                assert line["body"]["input_file_id"].startswith("file-")
                named.append(account)
    assert surfaces == {"/v1/messages/batches", "/v1/files", "/v1/batches"}
    assert len(uploads) == pytest.approx(len(named), abs=3)
    a_day = sum(prompts.values()) / (6 * 50) / 2.0
    assert a_day == pytest.approx(150_000 / 500 / 14, rel=0.4)


# --- base-rate flood


def test_the_flood_comes_days_before_the_campaign_and_spreads_its_traits(world):
    quarter = replace(world, days=4.0)
    found = events(quarter, "base-rate-flood")
    flood, later = of(found, "base-rate-flood-decoys"), of(found, "base-rate-flood")
    assert len({event.persona.account for event in flood}) > 400
    quiet_days = (later[0].line["ts"] - flood[-1].line["ts"]) / 86_400.0
    assert 0.9 < 4.0 * quiet_days < 3.6
    assert {event.line["tls"]["ja4"] for event in later} <= {
        event.line["tls"]["ja4"] for event in flood
    }
    together = casts(quarter, "base-rate-flood")
    assert all("payment" not in person.account["links"] for person in together[1].persons)


# --- eviction flood


def test_every_account_of_the_eviction_flood_sends_once_and_like_nobody_else(small):
    together = casts(small, "eviction-flood")
    flood = together[1]
    once, texts = Counter(), set()
    for event in Traffic(together, small.start_s):
        if event.cast == flood.name:
            once[event.persona.account] += 1
            texts.add(str(event.line["body"]["messages"]))
    assert len(once) == flood.accounts == flood.more.count
    assert set(once.values()) == {1}
    assert len(texts) == len(once)
    listed = {line["account"] for line in flood.more}
    assert set(once) == listed


def test_the_flood_is_in_the_directory_with_its_own_keys_and_in_no_campaign(small, tmp_path):
    together = casts(small, "eviction-flood")
    setting = write_setting(tmp_path, together)
    with Session(
        config="policies/examples/containment/gauger.yaml",
        accounts=setting.accounts,
        geo=[str(path) for path in setting.geo],
    ) as session:
        for number, event in enumerate(Traffic(together, small.start_s)):
            assert session.exchange(event.line)["account"] == event.persona.account
            if number == 300:
                break
    truth = json.loads(write_truth(tmp_path, together, small).read_text())
    assert len(truth["decoys"]["eviction-flood"]) == together[1].accounts
    assert not set(truth["decoys"]["eviction-flood"]) & set(truth["campaigns"]["eviction-flood"])


# --- framing


def test_the_campaign_looks_like_its_victim_but_for_the_account(small):
    found = events(small, "framing")
    campaign, victim = of(found, "framing"), of(found, "framing-victim")

    def looks(event):
        body = event.line["body"]
        system = body.get("system") or body["messages"][0]["content"]
        model, stream = body["model"], body.get("stream")
        return (
            event.line["tls"]["ja4"],
            headers(event),
            system,
            str(body.get("tools")),
            model,
            stream,
        )

    assert {looks(event) for event in campaign} == {looks(event) for event in victim}
    assert len({event.persona.account for event in campaign}) >= 50
    assert not any(event.extraction for event in victim)
    assert any(event.extraction for event in campaign)
    (person,) = casts(small, "framing")[1].persons
    assert person.account["verified"]
    assert small.start_s - person.account["created_at"] > 300 * 86_400.0
    heads = {head.account["links"]["payment"] for head in casts(small, "framing")[0].persons}
    assert person.account["links"].get("payment") not in heads


# --- one-family-only, perfect


def test_one_family_only_differs_in_all_but_the_prompts(small):
    cast = SCENARIOS["one-family-only"].build(small)
    links = [person.account["links"] for person in cast.persons]
    for name in ("payment", "device", "signup_ip"):
        values = [link[name] for link in links if name in link]
        assert len(values) - len(set(values)) < 0.2 * len(values)
    assert len({person.persona.client.name for person in cast.persons}) > 3
    assert len({id(person.persona.work) for person in cast.persons}) == 1 or "honest" in cast.note


def test_nothing_joins_the_accounts_of_the_control(small):
    (cast,) = casts(small, "perfect")
    assert cast.kind == "lookalike"
    links = [person.account["links"] for person in cast.persons]
    for name in ("payment", "device"):
        values = [link[name] for link in links if name in link]
        assert len(values) == len(set(values))


# --- threshold-prober


def probed(world, limit_per_hour, days):
    """The prober before a gateway that refuses what is over `limit_per_hour` in a clock hour."""
    one = replace(world, days=days)
    cast = SCENARIOS["threshold-prober"].build(one)
    traffic = Traffic([cast], one.start_s)
    hours = Counter()
    for event in traffic:
        hour = int(event.line["ts"] // 3600)
        over = event.extraction and hours[hour] >= limit_per_hour
        hours[hour] += event.extraction
        traffic.react(event, REFUSED if over else SERVED)
    return cast.react.__self__, hours


def test_a_prober_that_is_never_refused_asks_for_more_and_more(world):
    prober, hours = probed(replace(world, seed=3), 10**9, 2.0)
    first, *_, last = sorted(hours)
    assert hours[last - 1] > 5 * max(1, hours[first])
    assert prober.points == []


def test_a_prober_finds_the_point_and_stays_about_it(world):
    points = 0
    for seed in range(3):
        prober, hours = probed(replace(world, seed=seed), 60, 4.0)
        points += len(prober.points)
        late = [count for hour, count in sorted(hours.items())][-24:]
        assert sum(late) / len(late) < 4 * 60
    assert points >= 2
