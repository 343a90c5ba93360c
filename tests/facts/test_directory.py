import gzip
import json
import os
import stat
from hashlib import sha256

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts import directory as directory_module
from proxy.facts.build_directory import build_index
from proxy.facts.directory import Directory, DirectoryError, hash_key
from proxy.model.account import Account, AccountStatus, Caller, Key, Owner


def directory_of(*accounts: object) -> Directory:
    return Directory.from_lines(json.dumps(account) for account in accounts)


def refusal(*lines: object) -> tuple[str, ...]:
    with pytest.raises(DirectoryError) as refused:
        Directory.from_lines(x if isinstance(x, str | bytes) else json.dumps(x) for x in lines)
    return refused.value.problems


def test_a_caller_is_found_by_key_by_key_id_and_by_account(account):
    directory = directory_of(account(1), account(2, tier="build"))

    by_key = directory.by_credential("sk-2")

    assert by_key == Caller(
        Account("acc-2", (Key("k-2", hash_key("sk-2")),), tier="build"),
        Key("k-2", hash_key("sk-2")),
    )
    assert directory.by_key_id("k-2") == by_key
    assert directory.by_account("acc-2") == Caller(by_key.account, None)
    assert directory.by_credential("sk-2") is by_key
    assert len(directory) == 2


@pytest.mark.parametrize("secret", ["", "sk-3", "SK-1", "sk-1 ", "\ud800", "sk-1\0", "a" * 100_000])
def test_a_key_that_is_nobodys_finds_nobody(account, secret):
    assert directory_of(account(1)).by_credential(secret) is None


def test_ids_that_are_nobodys_find_nobody(account):
    directory = directory_of(account(1))
    assert directory.by_account("acc-2") is None
    assert directory.by_account("\ud800") is None
    assert directory.by_key_id("acc-1") is None


def test_a_key_in_bytes_that_are_not_utf_8_is_hashed_as_it_came():
    secret = b"sk-\xff\xfe"
    line = {"account": "a", "keys": [{"id": "k", "sha256": sha256(secret).hexdigest()}]}
    assert directory_of(line).by_credential(secret.decode(errors="surrogateescape"))


def test_every_field_of_a_line_is_read():
    line = {
        "account": "acc-17",
        "organization": "org-4",
        "keys": [{"id": "k-17", "sha256": "AB" * 32, "honeypot": True}],
        "tier": "build",
        "status": "suspended",
        "created_at": 1774000000,
        "country": "SG",
        "billing_country": "NO",
        "verified": False,
        "labels": ["research-program"],
        "owners": [{"name": "A", "share": 0.6, "owners": [{"name": "B", "share": 1}]}],
        "links": {"payment": "pay-9f2", "phone_prefix": "+65 91"},
        "limits": {"free-day": {"requests": 500, "cost": 12.5, "concurrent": 3}},
        "unheard_of": {"x": 1},
    }

    caller = directory_of(line).by_key_id("k-17")

    assert caller == Caller(
        Account(
            account="acc-17",
            keys=(Key("k-17", "ab" * 32, honeypot=True),),
            organization="org-4",
            tier="build",
            status=AccountStatus.SUSPENDED,
            created_at=1774000000,
            country="SG",
            billing_country="NO",
            verified=False,
            labels=("research-program",),
            owners=(Owner("A", 0.6, owners=(Owner("B", 1.0),)),),
            links={"payment": "pay-9f2", "phone_prefix": "+65 91"},
            limits={"free-day": {"requests": 500, "cost": 12.5, "concurrent": 3}},
        ),
        Key("k-17", "ab" * 32, honeypot=True),
    )


def test_an_account_may_have_many_keys_or_none(account):
    many = account(1)
    many["keys"].append({"id": "k-1b", "sha256": hash_key("sk-1b"), "honeypot": True})
    directory = directory_of(many, {"account": "acc-2", "keys": []})

    assert directory.by_credential("sk-1b").key == Key("k-1b", hash_key("sk-1b"), honeypot=True)
    assert directory.by_credential("sk-1").key.id == "k-1"
    assert directory.by_account("acc-2").account.keys == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"account": 7}, "account: Expected `str`, got `int`; correct the line"),
        ({"account": ""}, "account is empty; give each account its own id"),
        ({"keys": {}}, 'got `object`; give a list of {"id": …, "sha256": …}'),
        ({"keys": [{"id": "k"}]}, "sha256 is missing; correct the line"),
        ({"keys": [{"id": "", "sha256": "a" * 64}]}, "keys[0].id is empty"),
        ({"status": "actve"}, 'unknown value "actve" (did you mean "active"?); use one of: active'),
        ({"created_at": "2026-03-20"}, "created_at: Expected `float | null`, got `str`; give Unix"),
        ({"created_at": 1774000000000}, "created_at: 1774000000000; give Unix seconds"),
        ({"created_at": -1}, "created_at: -1; give Unix seconds as a number"),
        ({"owners": [{"name": "A", "share": 60}]}, 'share of "A" is 60; give a number from 0 to 1'),
        ({"owners": [{"name": "A", "share": -0.1}]}, 'share of "A" is -0.1'),
        ({"links": {"payment": 5}}, "links[]: Expected `str`, got `int`"),
        ({"labels": "x"}, "labels: Expected `array`, got `str`"),
        ({"limits": []}, "limits: Expected `object`, got `array`; give amounts by rule and unit"),
        ({"limits": {"day": 5}}, 'Expected `object`, got `int`; give amounts by rule and unit: {"'),
        ({"limits": {"day": {}}}, 'limits: nothing stands under "day"; give amounts by rule and'),
        (
            {"limits": {"day": {"request": 5}}},
            'limits: "day" has the unknown unit "request" (did you mean "requests"?); use one of: ',
        ),
        ({"limits": {"day": {"requests": "5"}}}, "Expected `float`, got `str`; give amounts by"),
        (
            {"limits": {"day": {"requests": 1.5}}},
            'limits: requests of "day" is 1.5; give a whole number above 0',
        ),
        ({"limits": {"day": {"tokens": 0}}}, "is 0; give a whole number above 0"),
        ({"limits": {"day": {"tokens": 1e300}}}, "is 1e+300; give a whole number above 0"),
        ({"limits": {"day": {"cost": -1}}}, "is -1; give an amount above 0, to six decimals"),
        ({"limits": {"day": {"cost": 0.0000001}}}, "is 1e-07; give an amount above 0, to six"),
        ({"limits": {"day": {"cost": 1e300}}}, "is 1e+300; give an amount above 0, to six"),
    ],
)
def test_a_bad_field_is_told_with_file_line_place_and_remedy(account, fields, message):
    (problem,) = refusal(account(1), account(2, **fields))
    assert problem.startswith("accounts.jsonl:2: ")
    assert message in problem


@pytest.mark.parametrize("missing", ["account", "keys"])
def test_a_missing_field_is_named(account, missing):
    line = account(1)
    del line[missing]
    assert f"accounts.jsonl:1: {missing} is missing; " in refusal(line)[0]


@pytest.mark.parametrize("wrong", ["sk-live-secret", "a" * 63, "g" * 64, "a" * 64 + "\n"])
def test_a_bad_hash_is_told_without_repeating_it(wrong):
    (problem,) = refusal({"account": "a", "keys": [{"id": "k", "sha256": wrong}]})
    assert problem == (
        "accounts.jsonl:1: keys[0].sha256 is not 64 hex digits; "
        "put the SHA-256 of the bare key there"
    )


@pytest.mark.parametrize(
    "line", ["{", "[]", "nonsense", b"\xff\xfe", '{"account": "a"} {"account": "b"}', "[" * 100_000]
)
def test_a_line_that_is_no_json_object_is_told(account, line):
    (problem,) = refusal(account(1), line)
    assert problem.startswith("accounts.jsonl:2: ")


def test_owners_nested_without_end_are_told(account):
    owner: dict[str, object] = {"name": "A", "share": 1}
    for _ in range(40):
        owner = {"name": "A", "share": 1, "owners": [owner]}
    assert refusal(account(1, owners=[owner])) == (
        "accounts.jsonl:1: owners: more than 32 levels; flatten them",
    )


def test_what_has_two_owners_is_told_with_both_lines(account):
    same_account, same_key, same_id = account(1), account(3), account(4)
    same_account["keys"] = []
    same_key["keys"][0]["sha256"] = hash_key("sk-1").upper()
    same_id["keys"][0]["id"] = "k-1"

    assert refusal(account(1), same_account, same_key, same_id) == (
        "accounts.jsonl:2: the account is on line 1 too; keep one line for each account",
        "accounts.jsonl:3: a key belongs to the account on line 1 too; each key has one owner",
        "accounts.jsonl:4: a key's id is used on line 1 too; give each key its own id",
    )


def test_one_key_twice_in_an_account_is_told(account):
    line = account(1)
    line["keys"].append({"id": "k-other", "sha256": line["keys"][0]["sha256"]})
    assert refusal(line) == ("accounts.jsonl:1: keys[1] is listed twice; leave one of the two",)


def test_every_bad_line_is_told_up_to_twenty(account):
    problems = refusal(*["{"] * 30, account(1), *["["] * 5)
    assert [problem.split(": ")[0] for problem in problems] == [
        *(f"accounts.jsonl:{number}" for number in range(1, 21)),
        "accounts.jsonl",
    ]
    assert problems[-1] == "accounts.jsonl: and 15 more bad lines"


def test_blank_lines_and_a_byte_order_mark_are_passed_over(account, tmp_path):
    path = tmp_path / "accounts.jsonl"
    path.write_text("\ufeff" + json.dumps(account(1)) + "\n\n  \n" + json.dumps(account(2)))
    assert len(Directory.from_file(path)) == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DirectoryError, match=r"nowhere\.jsonl: cannot be read: .*No such file"):
        Directory.from_file(tmp_path / "nowhere.jsonl")


def test_an_empty_directory_knows_nobody():
    directory = Directory.empty()
    assert directory.by_credential("sk-1") is None
    assert len(directory) == 0


def test_an_account_can_be_added_while_others_are_looked_up(account, write_accounts, tmp_path):
    index = tmp_path / "index.sqlite"
    build_index(write_accounts(account(1)), index)
    directory = Directory.open(index)
    assert directory.by_credential("sk-2") is None

    directory.add(account(2, tier="new"))

    assert directory.by_credential("sk-2").account.tier == "new"
    assert directory.by_credential("sk-1").account.account == "acc-1"
    assert len(directory) == 2
    assert Directory.open(index).by_credential("sk-2") is None


def test_an_account_that_is_added_again_is_replaced_with_its_keys(account):
    directory = directory_of(account(1), account(2))
    assert directory.by_credential("sk-1")
    for number in (8, 9):
        directory.add({**account(number), "account": "acc-1"})

    assert directory.by_credential("sk-1") is None
    assert directory.by_key_id("k-8") is None
    assert directory.by_credential("sk-9").account.account == "acc-1"
    assert directory.by_account("acc-1").account.keys[0].id == "k-9"
    assert len(directory) == 2


@pytest.mark.parametrize("changes", [{"sha256": hash_key("sk-1")}, {"id": "k-1"}])
def test_an_account_with_a_key_of_another_is_not_added(account, changes):
    directory = directory_of(account(1))
    new = account(2)
    new["keys"][0].update(changes)

    with pytest.raises(DirectoryError, match='is of account "acc-1" already'):
        directory.add(new)
    assert directory.by_account("acc-2") is None


@pytest.mark.parametrize(
    "bad", [{}, {"account": "a"}, {"account": "a", "keys": [{1, 2}, object()]}]
)
def test_an_account_that_is_not_in_order_is_not_added(bad):
    with pytest.raises(DirectoryError, match="new account: "):
        Directory.empty().add(bad)


def test_cached_callers_are_bounded_and_the_first_is_found_again(account, monkeypatch):
    monkeypatch.setattr(directory_module, "CACHED_CALLERS", 3)
    directory = directory_of(*map(account, range(10)))
    first = directory.by_credential("sk-0")
    for number in range(10):
        assert directory.by_credential(f"sk-{number}").account.account == f"acc-{number}"
    again = directory.by_credential("sk-0")
    assert again == first
    assert again is not first


def test_an_index_is_written_whole_readable_by_its_owner_alone(account, write_accounts, tmp_path):
    source = write_accounts(account(1), account(2))
    index = tmp_path / "state" / "index.sqlite"

    report = build_index(source, index)

    assert (report.accounts, report.keys, report.problems) == (2, 2, ())
    assert report.sha256 == sha256(source.read_bytes()).hexdigest()
    assert stat.S_IMODE(index.stat().st_mode) == 0o600
    assert sorted(path.name for path in index.parent.iterdir()) == [
        "index.sqlite",
        "index.sqlite.lock",
    ]


def test_a_bad_file_leaves_the_index_and_its_readers_as_they_were(
    account, write_accounts, tmp_path
):
    index = tmp_path / "index.sqlite"
    build_index(write_accounts(account(1)), index)
    before = index.read_bytes()
    source = write_accounts(account(1), account(2), "{")

    report = build_index(source, index)

    assert len(report.problems) == 1
    assert report.problems[0].startswith(f"{source}:3: not JSON")
    assert index.read_bytes() == before
    assert Directory.open(index).by_credential("sk-1")


def test_a_reader_of_the_old_index_keeps_it_when_a_new_one_is_put_in_place(
    account, write_accounts, tmp_path
):
    index = tmp_path / "index.sqlite"
    build_index(write_accounts(account(1)), index)
    old = Directory.open(index)
    build_index(write_accounts(account(2)), index)

    assert old.by_credential("sk-1")
    assert old.by_credential("sk-2") is None
    assert Directory.open(index).by_credential("sk-2")


def test_an_index_of_the_same_file_is_not_built_again(account, write_accounts, tmp_path):
    source, index = write_accounts(account(1)), tmp_path / "index.sqlite"
    first = build_index(source, index)
    inode = index.stat().st_ino

    assert build_index(source, index) == first
    assert index.stat().st_ino == inode


def test_a_half_written_index_of_a_builder_that_died_is_swept_away(
    account, write_accounts, tmp_path
):
    index = tmp_path / "index.sqlite"
    (tmp_path / "index.sqlite.building").write_bytes(b"half of an index")

    assert build_index(write_accounts(account(1)), index).problems == ()
    assert not (tmp_path / "index.sqlite.building").exists()


def test_an_empty_file_is_not_taken_up(account, write_accounts, tmp_path):
    index = tmp_path / "index.sqlite"
    build_index(write_accounts(account(1)), index)

    (problem,) = build_index(write_accounts(), index).problems

    assert problem.endswith("holds no account; an empty file is not taken up")
    assert Directory.open(index).by_credential("sk-1")


def test_a_line_longer_than_the_limit_is_told_and_the_next_line_keeps_its_number(
    account, write_accounts, tmp_path
):
    long = account(1, links={"x": "y" * (3 << 20)})

    problems = build_index(write_accounts(long, account(2), "{"), tmp_path / "i").problems

    assert "accounts.jsonl:1: longer than 1048576 bytes" in problems[0]
    assert "accounts.jsonl:3: not JSON" in problems[1]
    assert len(problems) == 2


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "cut.jsonl.gz", "bad.jsonl.zst"])
def test_a_file_that_cannot_be_read_whole_is_told(tmp_path, name):
    (tmp_path / "cut.jsonl.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03cut")
    (tmp_path / "bad.jsonl.zst").write_bytes(b"not zstandard at all")

    (problem,) = build_index(tmp_path / name, tmp_path / "index.sqlite").problems

    assert problem.startswith(f"{tmp_path / name}: cannot be read or indexed: ")
    assert not (tmp_path / "index.sqlite").exists()


def test_a_place_where_no_index_can_be_written_is_told(account, write_accounts, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (problem,) = build_index(write_accounts(account(1)), tmp_path / "file" / "index").problems
    assert "cannot be read or indexed" in problem


def test_compressed_files_are_read_as_they_are(account, write_accounts, tmp_path):
    text = write_accounts(account(1), account(2)).read_bytes()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(text))

    for name in ("a.jsonl.gz", "a.jsonl.zst"):
        assert build_index(tmp_path / name, tmp_path / f"{name}.index").accounts == 2
        assert len(Directory.from_file(tmp_path / name)) == 2


@pytest.mark.parametrize("content", [b"", b"not a database", None])
def test_what_is_no_index_of_ours_is_not_opened(tmp_path, content):
    index = tmp_path / "index.sqlite"
    if content is not None:
        index.write_bytes(content)
    with pytest.raises(DirectoryError, match=r"index\.sqlite: "):
        Directory.open(index)


def test_an_index_that_is_damaged_later_is_told_at_the_look_up(account, write_accounts, tmp_path):
    index = tmp_path / "index.sqlite"
    build_index(write_accounts(*map(account, range(3_000))), index)
    damaged = bytearray(index.read_bytes())
    damaged[8_192:] = os.urandom(len(damaged) - 8_192)
    index.write_bytes(damaged)

    directory = Directory.open(index)
    with pytest.raises(DirectoryError, match="account index cannot be read"):
        directory.by_credential("sk-1")


@given(st.text())
def test_any_text_may_be_asked_for(text):
    directory = directory_of({"account": "a", "keys": [{"id": "k", "sha256": hash_key("s")}]})
    assert directory.by_credential(text) is None or text == "s"
    assert directory.by_account(text) is None or text == "a"
    assert directory.by_key_id(text) is None or text == "k"
