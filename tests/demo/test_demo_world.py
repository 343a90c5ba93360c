"""The files that the demo writes are what the gateway reads."""

from pathlib import Path

import pytest

from proxy.demo.run import policies
from proxy.demo.traffic import POPULAR, QUESTIONS, TEMPLATE, WORDS
from proxy.demo.world import ACCOUNTS, HYDRA, ISLANDER, ORDINARY, Places, write
from proxy.facts.directory import Directory
from proxy.facts.places import Places as Geography
from proxy.facts.skeleton import skeleton
from proxy.policy.load import load as load_policy
from proxy.settings.load import load as load_settings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path, policies(), "127.0.0.1:1", "127.0.0.1:2")
    write(made, "http://127.0.0.1:3")
    return made


def test_the_settings_load_with_the_environment_that_goes_with_them(places: Places):
    settings = load_settings(places.config, places.environment)
    assert settings.audit_directory == places.audit
    assert settings.secrets.pseudonym_key.get_secret_value() == places.pseudonym_key


def test_every_account_is_known_by_its_key(places: Places):
    directory = Directory.from_file(places.directory / "accounts.jsonl")
    assert len(directory) == len(ACCOUNTS) == len({party.key for party in ACCOUNTS})
    for party in ACCOUNTS:
        caller = directory.by_credential(party.key)
        assert caller is not None
        assert (caller.account.account, caller.account.tier) == (party.account, party.tier)


def test_every_address_is_in_the_country_of_its_party(places: Places):
    geography = Geography.open([places.directory / "country.mmdb"])
    for party in ACCOUNTS:
        assert geography.country(party.address) == party.country
    assert geography.country("192.0.2.1") is None
    assert len({party.address for party in ACCOUNTS}) == len(ACCOUNTS)


def test_only_the_islander_lives_where_the_large_model_may_not_go():
    (rule,) = load_policy(policies()).geography
    assert [party for party in ACCOUNTS if rule.refuses(party.country)] == [ISLANDER]


def test_the_hydra_is_more_than_the_fingerprint_rule_needs_and_ordinary_accounts_are_fewer():
    (rule,) = load_policy(policies()).fingerprints
    assert len(ORDINARY) < rule.accounts < len(HYDRA)


def test_the_hydras_prompts_have_one_template_and_those_of_ordinary_accounts_their_own():
    one, other = (
        skeleton(TEMPLATE.format(n=number, question=question))
        for number, question in enumerate(QUESTIONS[:2])
    )
    assert one == other != ""
    own = [skeleton(text.format(n=3)) for text in WORDS.values()]
    assert len({*own, one}) == len(own) + 1


def test_the_popular_prompt_is_a_template_that_ordinary_accounts_share():
    assert skeleton(POPULAR.format(words="one")) == skeleton(POPULAR.format(words="another")) != ""
