"""Campaigns that copy, grade, resell, relay, pivot and clean: each is what its table says."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from bench.campaigns import networks
from bench.campaigns.draw import Draw
from bench.campaigns.files import write_traffic, write_truth
from bench.campaigns.lockstep import Lockstep, Rota
from bench.campaigns.pace import Pace
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.stream import Traffic
from bench.campaigns.wording import wording
from bench.campaigns.world import DAY_S, MAIL, NEW_MODEL, STEADY
from proxy.replay.traffic import parse_dict

HYDRAS = ("mixed-hydra-5", "mixed-hydra-10", "mixed-hydra-25")
MINE = (
    "template-variants", "rubric-grader", "mixed-hydra", *HYDRAS, "serve-and-harvest", "pivot",
    "small-and-fast",
)  # fmt: skip
REFUSED = {"verdict": "deny", "status": 403}
TOLD_TO_WAIT = {"verdict": "throttle", "status": 429}
SERVED = {"verdict": "allow", "status": 200}


def made(world, name, **changes):
    return SCENARIOS[name].build(replace(world, **changes))


def events(world, name, **changes):
    return list(Traffic([made(world, name, **changes)], world.start_s))


def first_text(event):
    turns = [turn for turn in event.line["body"]["messages"] if turn["role"] == "user"]
    return event.line["body"].get("system", "") + str(turns[0]["content"])


@pytest.mark.parametrize("name", MINE)
def test_a_small_scale_keeps_fifty_accounts_and_a_twentieth_is_a_twentieth(world, name):
    assert len(made(world, name, scale=0.0001).persons) == 50
    at_full = SCENARIOS[name].accounts
    assert len(made(world, name, scale=0.05).persons) == max(50, round(at_full * 0.05))


@pytest.mark.parametrize("name", MINE)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_accounts_send_what_the_table_says(world, name, seed):
    per_day = SCENARIOS[name].per_day
    days = 6.0 if per_day < 10 else 1.0 if per_day < 50 else 0.25
    sent = Counter(event.persona.account for event in events(world, name, days=days, seed=seed))
    a_day = sum(sent.values()) / 50 / days
    wanted = per_day
    if days < 1.0:  # fleets that rest at night do so later
        assert wanted * 0.8 < a_day < wanted * 1.3
    else:
        assert wanted * 0.85 < a_day < wanted * 1.15


@pytest.mark.parametrize("name", MINE)
def test_replay_reads_each_line_and_the_same_seed_gives_the_same_lines(world, name):
    days = 0.05 if SCENARIOS[name].per_day > 100 else 0.5
    first = [event.line for event in events(world, name, days=days)]
    assert len(first) > 50
    assert first == [event.line for event in events(world, name, days=days)]
    assert all(parse_dict(line).arrival().body for line in first)
    assert all(json.dumps(line) for line in first)


@pytest.mark.parametrize("name", MINE)
def test_ten_seeds_are_ten_operators(world, name):
    notes = {made(world, name, seed=seed).note for seed in range(10)}
    assert len(notes) >= 9


@pytest.mark.parametrize("name", [*MINE, "fixed-prompt", "low-and-slow"])
def test_without_relations_the_traffic_stays_and_the_directory_says_nothing(world, name):
    known, unknown = made(world, name), made(world, name, relations=False)
    cards = [person.account["links"].get("payment") for person in unknown.persons]
    paid = [card for card in cards if card is not None]
    assert len(set(paid)) == len(paid)
    domains = {person.account["links"]["email_domain"] for person in unknown.persons}
    assert domains & set(MAIL)
    opened = sorted(person.account["created_at"] for person in unknown.persons)
    assert opened[-1] - opened[0] > 200 * DAY_S
    short = {"length_s": 3000.0}
    lines = [
        [event.line for event in Traffic([replace(cast, **short)], world.start_s)]
        for cast in (known, unknown)
    ]
    assert lines[0] == lines[1]


def test_template_variants_are_all_different_and_alike(world):
    texts = [first_text(event) for event in events(world, "template-variants", days=2.0)]
    assert len(texts) > 800
    assert len(set(texts)) > 0.99 * len(texts)
    words = [set(text.lower().split()) for text in texts[:60]]
    alike = [
        len(one & other) / len(one | other)
        for one, other in zip(words[::2], words[1::2], strict=True)
    ]
    assert 0.1 < sum(alike) / len(alike) < 0.8


def test_template_variants_accounts_of_a_burst_act_in_the_same_minutes(world):
    cast = made(world, "template-variants", days=2.0)
    opened = {person.account["account"]: person.account["created_at"] for person in cast.persons}
    times = defaultdict(list)
    for event in Traffic([cast], world.start_s):
        times[event.persona.account].append(event.line["ts"])
    first = cast.persons[0].persona.account
    with_it = [name for name in opened if abs(opened[name] - opened[first]) < 7200]
    assert len(with_it) >= 10
    windows = {int((at_s - world.start_s) // 2400) for at_s in times[first]}
    near = {window + step for window in windows for step in (-1, 0, 1)}
    for name in with_it:
        assert {int((at_s - world.start_s) // 2400) for at_s in times[name]} <= near


def test_rubric_grader_has_twenty_to_a_card_that_take_turns_within_five_seconds(world):
    cast = made(world, "rubric-grader", scale=1.0, days=0.2)
    cards = Counter(person.account["links"]["payment"] for person in cast.persons)
    assert set(cards.values()) == {20}
    by_group = defaultdict(list)
    for event in Traffic([cast], world.start_s):
        by_group[first_card(event, cast)].append((event.line["ts"], event.persona.account))
    group = max(by_group.values(), key=len)
    starts = [at_s for at_s, _ in group]
    rounds = 1 + sum(later - sooner > 30 for sooner, later in pairwise(starts))
    assert 2 <= rounds < len(group) / 4


def first_card(event, cast):
    found = next(one for one in cast.persons if one.persona is event.persona)
    return found.account["links"]["payment"]


@pytest.mark.parametrize("seed", range(4))
def test_rubric_grader_sends_a_rubric_and_candidates(world, seed):
    for event in events(world, "rubric-grader", seed=seed):
        said = json.dumps(event.line["body"])
        assert "Answer A:" in said
        assert "1. " in said


@pytest.mark.parametrize(("name", "share"), list(zip(HYDRAS, (0.05, 0.10, 0.25), strict=True)))
def test_mixed_hydra_marks_its_share_of_extraction_and_nothing_in_the_line_tells(
    world, name, share
):
    found = events(world, name, days=3.0)
    marked = [event for event in found if event.extraction]
    assert len(marked) / len(found) == pytest.approx(share, rel=0.3)
    assert len({event.persona.account for event in marked}) > 40
    assert {frozenset(event.line) for event in marked} == {frozenset(found[0].line)}
    honest = [event for event in found if not event.extraction]
    assert len({event.line["body"]["model"] for event in honest}) == 3


def test_mixed_hydra_draws_its_share_with_the_seed(world):
    shares = {made(world, "mixed-hydra", seed=seed).note.split(" ")[0] for seed in range(12)}
    assert shares == {"5", "10", "25"}


def test_the_ids_of_extraction_stand_beside_the_truth(world, tmp_path):
    cast = made(world, "mixed-hydra-25", days=0.5)
    write_truth(tmp_path, [cast], world)
    write_traffic(tmp_path, Traffic([cast], world.start_s), lambda: None)
    marked = (tmp_path / "extraction.txt").read_text().splitlines()
    wanted = [
        event.line["id"] for event in events(world, "mixed-hydra-25", days=0.5) if event.extraction
    ]
    assert marked == wanted
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert truth["harvest_begins"] == {"mixed-hydra-25": world.start_s}
    pure = made(world, "small-and-fast", days=0.01)
    write_traffic(tmp_path, Traffic([pure], world.start_s), lambda: None)
    assert not (tmp_path / "extraction.txt").exists()


@pytest.mark.parametrize("seed", range(3))
def test_serve_and_harvest_leaves_in_two_countries_and_asks_for_the_top_model(world, seed):
    found = events(world, "serve-and-harvest", days=5.0, seed=seed)
    place_of = {network.host(0).rsplit(".", 2)[0]: network.country for network in networks.NETWORKS}
    places = {place_of[event.line["client_ip"].rsplit(".", 2)[0]] for event in found}
    assert len(places) == 2
    top = sum(event.line["body"]["model"] == "m-large" for event in found)
    assert top / len(found) == pytest.approx(0.95, abs=0.02)
    assert len({first_text(event) for event in found}) > 0.4 * len(found)


def test_serve_and_harvest_goes_on_with_a_conversation_through_another_account(world):
    signatures = defaultdict(set)
    for seed in range(4):
        for event in events(world, "serve-and-harvest", days=5.0, seed=seed):
            said = [turn for turn in event.line["body"]["messages"] if turn["role"] == "assistant"]
            for turn in said:
                if isinstance(turn["content"], list):
                    signature = turn["content"][0]["signature"]
                    signatures[signature].add((seed, event.persona.account))
    assert sum(len(accounts) > 1 for accounts in signatures.values()) > 20


@pytest.mark.parametrize("seed", range(4))
def test_pivot_moves_half_its_traffic_within_a_day_of_the_release(world, seed):
    cast = made(world, "pivot", days=4.0, seed=seed)
    for person in cast.persons:  # thinned out: the moves do not depend on the rate
        person.persona.pace = Pace(STEADY, 12.0, world.start_s, 0.0, person.persona.draw)
    found = list(Traffic([cast], world.start_s))
    release_s = world.start_s + 2 * DAY_S
    before = Counter(event.line["body"]["model"] for event in found if event.line["ts"] < release_s)
    assert set(before) == {"m-large"}
    after = [event for event in found if event.line["ts"] > release_s + DAY_S]
    moved = sum(event.line["body"]["model"] == NEW_MODEL for event in after)
    assert moved / len(after) == pytest.approx(0.48, abs=0.04)


def test_pivot_agents_call_tools_and_send_what_they_said(world):
    longest = 0
    for event in events(world, "pivot", days=0.05):
        body = event.line["body"]
        assert body["tools"]
        longest = max(longest, len(body["messages"]))
    assert longest > 10


def test_small_and_fast_has_reasoning_rewritten(world):
    found = events(world, "small-and-fast", days=0.05)
    traces = sum("Trace:" in json.dumps(event.line["body"]) for event in found)
    assert 0.25 < traces / len(found) < 0.75


@pytest.mark.parametrize("name", MINE)
def test_an_account_that_is_turned_away_is_replaced_within_the_hour(world, name):
    cast = made(world, name, days=4.0, scale=0.0001)
    heads = {person.persona.account for person in cast.persons}
    victim = cast.persons[3].persona.account
    traffic = Traffic([cast], world.start_s)
    last_s = None
    for event in traffic:
        account = event.persona.account
        traffic.react(event, REFUSED if account == victim else SERVED)
        if account == victim:
            last_s = event.line["ts"]
        elif account not in heads:
            assert account == cast.reserves[0]["account"]
            assert event.line["ts"] > last_s
            return
        if last_s and event.line["ts"] > last_s + 3 * DAY_S:
            break
    pytest.fail("no reserve came")


def test_an_account_that_is_only_told_to_wait_is_given_up_after_hours(world):
    cast = made(world, "small-and-fast", days=2.0)
    del cast.persons[5:]
    victim = cast.persons[0].persona.account
    traffic = Traffic([cast], world.start_s)
    times = []
    for event in traffic:
        mine = event.persona.account == victim
        traffic.react(event, TOLD_TO_WAIT if mine else SERVED)
        if mine:
            times.append(event.line["ts"])
    assert 3 * 3600 < times[-1] - times[0] < 38 * 3600
    assert len(times) > 50


def test_jobs_of_a_group_never_overlap_and_go_on_from_any_moment():
    rota = Rota("r", 1000.0, 5.0, 8 * 3600.0, 1200.0, together=False)
    begins = [rota.begins(2, job) for job in range(60)]
    assert all(later - sooner >= 1200.0 for sooner, later in pairwise(begins))
    assert rota.first_after(2, begins[30] + 1) == 31
    draw = Draw("lockstep")
    one = Lockstep(rota, 2, 4, 0.0)
    times = [one.next_at(draw) for _ in range(40)]
    assert times == sorted(times)
    assert all(begins[at // 4] <= time < begins[at // 4] + 1200.0 for at, time in enumerate(times))


def test_alternatives_do_not_nest_and_a_text_says_one_of_each():
    found = wording("{a|b} <number> {c|}.", {"number": ("1", "2")})
    draw = Draw("wording")
    said = {found.said(draw) for _ in range(200)}
    assert said == {f"{a} {n} {c}." for a in "ab" for n in "12" for c in ("c", "")}
    with pytest.raises(ValueError, match="within alternatives"):
        wording("{a|<number>}", {"number": ("1",)})
