import pytest

from proxy.facts.relations import MAX_CACHED, MAX_LINKS, Relations, describe
from proxy.model.account import Account, Owner

KEY = b"k" * 32


def account(name: str = "acc-1", **fields) -> Account:
    return Account(account=name, keys=(), **fields)


def owned_by(name: str, *owners: Owner) -> Owner:
    return Owner(name, 0.6, None, owners)


def links(**values: str) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for name, token in describe(account(links=values), KEY).links:
        found.setdefault(name, set()).add(token)
    return found


def test_accounts_that_share_a_value_share_its_token():
    one, other = links(payment="pay-1", device="d-1"), links(payment="pay-1", device="d-2")
    assert one["payment"] == other["payment"]
    assert one["device"] != other["device"]


def test_one_value_under_two_names_has_two_tokens():
    found = links(payment="same", device="same")
    assert found["payment"].isdisjoint(found["device"])


def test_another_key_gives_other_tokens_and_no_value_is_in_what_is_handed_on():
    one = account(links={"payment": "pay-secret"}, owners=(owned_by("Holding A"),))
    described = describe(one, KEY)
    assert described.links != describe(one, b"j" * 32).links
    assert "secret" not in repr(described)
    assert "Holding" not in repr(described)


def test_a_signup_address_also_names_its_network():
    one, other = links(signup_ip="198.51.100.4"), links(signup_ip="198.51.100.9")
    assert one["signup_ip"] != other["signup_ip"]
    assert one["signup_ip/24"] == other["signup_ip/24"]
    assert links(signup_ip="::ffff:198.51.100.4") == one
    assert links(signup_ip=" 198.51.100.4 ") == one


def test_a_hash_in_place_of_a_signup_address_has_no_network():
    assert set(links(signup_ip="9f86d081884c7d65")) == {"signup_ip"}


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("email_domain", "mail.example", " Mail.EXAMPLE. "),
        ("email", "ann@mail.example", "Ann@Mail.example"),
        ("phone_prefix", "+65 91", "+6591"),
        ("payment", "pay-1", " pay-1"),
    ],
)
def test_ways_to_write_one_value_are_one(name, one, other):
    assert links(**{name: one}) == links(**{name: other})


def test_a_value_that_may_be_a_hash_is_compared_letter_by_letter():
    assert links(payment="aB3x") != links(payment="ab3x")


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_value_joins_nobody(value):
    assert links(payment=value, signup_ip=value, email_domain=value) == {}


def test_all_owners_and_their_owners_are_links():
    deep = owned_by("Holding A", owned_by("Group B"), owned_by("holding  a"))
    mine, other = account(owners=(deep,)), account("acc-2", owners=(owned_by("GROUP B"),))
    found = {token for name, token in describe(mine, KEY).links if name == "owner"}
    assert len(found) == 2
    assert {token for _, token in describe(other, KEY).links} < found


def test_no_account_has_more_links_than_are_looked_at():
    many = account(
        links={f"l{number}": "v" for number in range(10_000)},
        owners=tuple(owned_by(f"o{number}") for number in range(10_000)),
    )
    assert len(describe(many, KEY).links) <= 2 * MAX_LINKS + 1


def test_what_the_directory_says_in_the_clear_is_handed_on():
    one = account(
        organization="org-1", created_at=7.0, tier="free", verified=False, billing_country="SG",
        country="DE",
    )  # fmt: skip
    described = describe(one, KEY)
    assert (described.account, described.created_at, described.tier) == ("acc-1", 7.0, "free")
    assert (described.verified, described.billing_country, described.country) == (False, "SG", "DE")
    other = describe(account("acc-2", organization="org-1"), KEY)
    assert described.organization == other.organization is not None
    assert describe(account(organization=""), KEY).organization is None


def test_an_account_is_described_once_until_its_line_changes():
    relations = Relations(KEY)
    first = relations.of(account(tier="free"))
    assert relations.of(account(tier="free")) is first
    changed = relations.of(account(tier="build"))
    assert changed.tier == "build"
    assert relations.of(account(tier="build")) is changed


def test_a_flood_of_accounts_does_not_fill_the_memory():
    relations = Relations(KEY)
    first = relations.of(account("acc-first"))
    for number in range(MAX_CACHED):
        relations.of(account(f"acc-{number}"))
    again = relations.of(account("acc-first"))
    assert again == first
    assert again is not first
