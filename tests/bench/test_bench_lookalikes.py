"""Look-alikes share what such people share, and the base world joins strangers by accident."""

from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from bench.campaigns import base, exits, harnesses, society
from bench.campaigns.draw import Draw
from bench.campaigns.pace import DAY_S, Pace, Season, is_weekend, profile, weibull_shape
from bench.campaigns.persona import MODELS
from bench.campaigns.scenarios import (
    SCENARIOS,
    classroom,
    evaluation_team,
    hackathon,
    migration,
    tutorial,
)
from bench.campaigns.stage import Job
from bench.campaigns.stream import Traffic
from bench.campaigns.ties import ties
from bench.campaigns.world import NEW_MODEL, START_S, World


def cast_of(world, name, **changed):
    return SCENARIOS[name].build(replace(world, **changed))


def lines_of(world, cast, limit=None):
    found = []
    for event in Traffic([cast], world.start_s):
        found.append((event.persona.account, event.line))
        if len(found) == limit:
            break
    return found


def linked(cast, name):
    return Counter(person.account["links"].get(name) for person in cast.persons)


def system_of(line):
    body = line["body"]
    first = body["messages"][0]
    return body.get("system", first["content"] if first["role"] == "system" else "")


# Look-alikes


def test_readers_of_a_tutorial_share_its_code_and_are_light_users(world):
    cast = cast_of(world, "tutorial", scale=0.02, days=4.0)
    lines = lines_of(world, cast)
    assert len({str(line["body"].keys()) for _, line in lines}) <= 2  # streamed or not
    assert {line["body"]["model"] for _, line in lines} <= {"m-mid", NEW_MODEL}
    assert {line["tls"]["ja4"] for _, line in lines} == {tutorial.CLIENT.ja4}
    sent = Counter(account for account, _ in lines)
    assert max(sent.values()) / 4 < 20
    prompts = Counter(line["body"]["messages"][-1]["content"] for _, line in lines)
    assert sum(count for _, count in prompts.most_common(tutorial.EXAMPLES)) > len(lines) / 3


def test_readers_of_a_tutorial_sign_up_by_its_link_once_it_is_out(world):
    cast = cast_of(world, "tutorial", scale=0.1)
    published_s = world.start_s - DAY_S * tutorial.PUBLISHED_DAYS_AGO
    after = [person for person in cast.persons if person.account["created_at"] >= published_s]
    assert len(after) / len(cast.persons) == pytest.approx(tutorial.NEW, abs=0.1)
    (_, most), *_ = linked(cast, "referrer").most_common(1)
    assert most > len(cast.persons) / 2


def test_a_class_shares_address_card_template_and_one_lesson(world):
    cast = cast_of(world, "classroom", scale=0.2, days=2.0)
    lines = lines_of(world, cast)
    times = [line["ts"] for _, line in lines]
    assert max(times) - min(times) <= classroom.LESSON_S
    assert len({line["client_ip"] for _, line in lines}) == 1
    for name in ("payment", "email_domain", "signup_ip"):
        assert list(linked(cast, name).values()) == [len(cast.persons)]
    assert {person.account["organization"] for person in cast.persons} == {None}
    assert len(lines) / len(cast.persons) == pytest.approx(classroom.EACH, rel=0.3)


def test_the_labelling_customer_is_one_declared_organization_around_the_clock(world):
    cast = cast_of(world, "labelling-customer", scale=0.1, days=1.0)
    assert len({person.account["organization"] for person in cast.persons}) == 1
    lines = lines_of(world, cast)
    hours = Counter(int(line["ts"] % DAY_S // 3600) for _, line in lines)
    assert len(hours) == 24
    assert max(hours.values()) < 1.4 * min(hours.values())
    assert all("Rubric:" in line["body"]["messages"][0]["content"] for _, line in lines)


def test_one_account_may_have_sixty_keys_and_uses_them_all(world):
    cast = cast_of(world, "labelling-keys", scale=0.05, days=0.2)
    (person,) = cast.persons
    assert len(person.account["keys"]) == 60
    assert len({key["id"] for key in person.account["keys"]}) == 60
    used = {str(dict(line["headers"])["Authorization"]) for _, line in lines_of(world, cast)}
    assert len(used) == 60


def test_the_evaluation_team_sends_whole_sets_and_moves_on_release_day(world):
    cast = cast_of(world, "evaluation-team", days=0.6)
    one = cast.persons[1].persona.account
    moved_s = world.start_s + 0.3 * DAY_S + evaluation_team.MOVES_WITHIN_S
    asked, models = [], defaultdict(set)
    for account, line in lines_of(world, cast):
        models[line["ts"] >= moved_s].add(line["body"]["model"])
        if account == one:
            asked.append(line["body"]["messages"][0]["content"])
    assert models == {False: {"m-large", NEW_MODEL}, True: {NEW_MODEL}}
    rows = len(world.corpus.evals[1])
    # As complete as the set is: nothing is left out, and every pass is like the first.
    passes = asked[:rows], asked[rows : 2 * rows]
    assert len(set(passes[0])) == len(set(world.corpus.evals[1]))
    same = passes[0] == passes[1]
    assert same


def test_an_aggregator_names_its_end_users(world):
    cast = cast_of(world, "aggregator", scale=0.02, days=3.0)
    lines = lines_of(world, cast)
    users = Counter(line["body"]["user"] for _, line in lines)
    assert len(cast.persons) == 1
    assert len(users) > 60
    assert len({line["body"]["messages"][-1]["content"] for _, line in lines}) > len(lines) / 3


def test_the_explainability_team_asks_for_reasoning_from_one_organization(world):
    cast = cast_of(world, "explainability-team")
    assert len({person.account["organization"] for person in cast.persons}) == 1
    texts = [line["body"]["messages"][0]["content"] for _, line in lines_of(world, cast, 300)]
    assert all("reason" in text or "chain of thought" in text for text in texts)


def test_firms_that_migrate_send_at_full_rate_from_their_first_day(world):
    cast = cast_of(world, "migration", scale=0.5, days=1.5)
    opened = {person.persona.account: person.account["created_at"] for person in cast.persons}
    first_day, first = Counter(), {}
    for account, line in lines_of(world, cast):
        first.setdefault(account, line["ts"])
        first_day[account] += line["ts"] < opened[account] + DAY_S
    early = [name for name, at in opened.items() if at < world.start_s + DAY_S / 2]
    assert early
    for name in early:
        assert first[name] - opened[name] < DAY_S / 4
        assert first_day[name] > migration.PER_DAY / 6
    assert max(linked(cast, "payment").values()) == 1


def test_a_hackathon_is_one_hall_one_voucher_and_one_kit(world):
    cast = cast_of(world, "hackathon", scale=0.1, days=3.0)
    lines = lines_of(world, cast)
    assert len({line["client_ip"] for _, line in lines}) == hackathon.EXITS
    assert all(system_of(line).startswith(hackathon.SYSTEM) for _, line in lines)
    assert list(linked(cast, "voucher").values()) == [len(cast.persons)]
    assert set(linked(cast, "payment")) == {None}
    opened = [person.account["created_at"] for person in cast.persons]
    assert max(opened) - min(opened) <= hackathon.SIGNING_UP_S
    assert max(line["ts"] for _, line in lines) - min(opened) <= hackathon.LASTS_S


def test_shops_of_a_franchise_share_software_and_closing_time_and_nothing_they_pay_with(world):
    cast = cast_of(world, "franchise", scale=0.1, days=1.0)
    lines = lines_of(world, cast)
    assert len({system_of(line) for _, line in lines}) == 1
    busiest = Counter(int(line["ts"] // 3600) for _, line in lines).most_common(1)[0][1]
    assert busiest > len(lines) / 5
    assert max(linked(cast, "payment").values()) == 1
    assert len({person.account["organization"] for person in cast.persons}) == len(cast.persons)
    assert len({line["client_ip"] for _, line in lines}) > len(cast.persons) / 2


# The base world


@pytest.fixture(scope="module")
def crowd(own_corpus, own_traces):
    world = World(5, 0.05, 2.0, own_corpus, own_traces)
    return world, base.build(world, length_s=2 * DAY_S, exchanges=20_000)


@pytest.fixture(scope="module")
def crowd_lines(crowd):
    world, cast = crowd
    return lines_of(world, cast)


def test_honest_accounts_share_cards_and_devices_in_small_groups(crowd):
    _, cast = crowd
    groups = ties(len(cast.persons), START_S, Draw("ties"))
    at_home = [tie for tie in groups.values() if tie.organization == ""]
    assert 0.02 < len(at_home) / len(cast.persons) < 0.06
    for name in ("payment", "device"):
        counts = linked(cast, name)
        shared = sum(n for value, n in counts.items() if value and 1 < n <= 6)
        assert 0.01 < shared / len(cast.persons) < 0.06


def test_half_of_the_accounts_declare_no_organization_and_firms_declare_one(crowd):
    _, cast = crowd
    counts = Counter(person.account["organization"] for person in cast.persons)
    assert 0.4 < counts[None] / len(cast.persons) < 0.6
    firms = [count for name, count in counts.items() if name and count > 1]
    assert len(firms) > 10
    assert sum(firms) / len(cast.persons) < 0.1


def test_accounts_are_opened_all_the_time_and_none_sends_before(crowd, crowd_lines):
    world, cast = crowd
    opened = {person.persona.account: person.account["created_at"] for person in cast.persons}
    new = {name for name, at in opened.items() if at >= world.start_s}
    assert 0.0005 < len(new) / len(opened) < 0.03
    lines = crowd_lines
    assert all(opened[account] < line["ts"] for account, line in lines)
    assert new & {account for account, _ in lines}


def test_strangers_share_exits_programs_and_prompts(crowd_lines):
    by_address, by_system, by_prompt = defaultdict(set), defaultdict(set), defaultdict(set)
    for account, line in crowd_lines:
        by_address[line["client_ip"]].add(account)
        by_system[system_of(line)].add(account)
        by_prompt[line["body"]["messages"][-1]["content"]].add(account)
    by_system.pop("")
    most = max(map(len, by_address.values()))
    assert most > 15
    assert sorted(map(len, by_system.values()))[-5] > 10
    assert sum(len(accounts) > 8 for accounts in by_prompt.values()) > 20


def test_the_crowd_sends_as_much_as_it_is_asked_to_from_the_first_day_on(crowd, crowd_lines):
    world, _ = crowd
    assert len(crowd_lines) == pytest.approx(20_000, rel=0.2)
    days = Counter(int((line["ts"] - world.start_s) // DAY_S) for _, line in crowd_lines)
    assert days[0] == pytest.approx(days[1], rel=0.25)


def test_a_seed_gives_the_same_crowd(world):
    first, second = (base.build(world, length_s=DAY_S, exchanges=200) for _ in range(2))
    assert [one.account for one in first.persons] == [one.account for one in second.persons]
    same = lines_of(world, first) == lines_of(world, second)  # too long for a diff
    assert same


@pytest.mark.parametrize("harness", harnesses.HARNESSES, ids=lambda one: one.name)
def test_every_program_asks_something_in_its_own_form(harness, own_corpus):
    draw = Draw("harness", harness.name)
    asked = [harnesses.task(harness, own_corpus, draw).ask(draw) for _ in range(20)]
    assert all(ask.turns[-1].strip() for ask in asked)
    assert not any("{" + slot + "}" in ask.turns[-1] + ask.system for ask in asked
                   for slot in ("task", "context", "own"))  # fmt: skip
    assert len({ask.turns for ask in asked}) > 1


def test_sign_ups_grow_rest_at_week_ends_and_rush_after_adverts():
    draw = Draw("calendar")
    days = Counter()
    for _ in range(20_000):
        at_s = society.calendar(START_S, 5 * DAY_S).moment(draw, "DE")
        assert at_s < START_S + 5 * DAY_S
        days[int(at_s // DAY_S)] += 1
    usual = [day for day in days if society.advertised(day) == 1.0]
    quiet = [days[day] for day in usual if is_weekend(day * DAY_S)]
    busy = [days[day] for day in usual if not is_weekend(day * DAY_S)]
    assert sum(quiet) / len(quiet) < 0.75 * sum(busy) / len(busy)
    rushes = [days[day] for day in days if society.advertised(day) > 1.0]
    assert sum(rushes) / len(rushes) > 2.0 * sum(busy) / len(busy)


def test_a_home_keeps_its_address_for_a_lease_and_shares_the_carriers():
    draw = Draw("home")
    home = exits.Home(17, "DE", DAY_S)
    seen = {home.at(1000.0 + second, draw) for second in range(0, 3600, 10)}
    carriers = set(exits.carrier("DE"))
    assert len(seen - carriers) == 1
    assert seen & carriers
    later = {home.at(30 * DAY_S + second, draw) for second in range(0, 3600, 10)}
    assert seen - carriers != later - carriers


def test_a_season_rests_at_week_ends_and_ends():
    shape = profile("flat", 600.0, [1.0] * 144, 0.9, 1.0)
    draw = Draw("season")
    season = Season(Pace(shape, 100.0, START_S, 0.0, draw), until_s=START_S + 14 * DAY_S,
                    weekend=0.0)  # fmt: skip
    times = []
    while (at_s := season.next_at(draw)) < float("inf"):
        times.append(at_s)
    assert max(times) < START_S + 14 * DAY_S
    assert not any(map(is_weekend, times))
    assert len(times) > 800


@pytest.mark.parametrize("variation", [0.4, 1.0, 2.5])
def test_what_is_left_of_a_gap_has_the_mean_of_renewal_theory(variation):
    draw, shape = Draw("residual", variation), weibull_shape(variation)
    left = [draw.residual(shape) for _ in range(20_000)]
    assert sum(left) / len(left) == pytest.approx((1 + variation**2) / 2, rel=0.1)


def test_the_background_is_as_large_as_the_largest_campaign_in_the_same_time(tmp_path):
    job = Job("classroom", 1, 0.05, None, 1.0, None, tmp_path, tmp_path)
    assert job.unrelated() == SCENARIOS["fixed-prompt"].exchanges(0.05, 2.0)
    long = replace(job, scenario="low-and-slow")
    assert long.unrelated() == SCENARIOS["low-and-slow"].exchanges(0.05, None)


def test_models_of_unrelated_accounts_are_the_published_ones(crowd_lines):
    models = {line["body"]["model"] for _, line in crowd_lines}
    assert models <= {*MODELS, NEW_MODEL}
