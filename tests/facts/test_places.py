from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.facts import places as places_module
from proxy.facts.networks import Networks, packed
from proxy.facts.places import Anonymizers, Places, PlacesError

MAXMIND = {"country": {"iso_code": "SG", "names": {"en": "Singapore"}}}


def problems(*paths: object) -> tuple[str, ...]:
    with pytest.raises(PlacesError) as refused:
        Places.open(paths)
    return refused.value.problems


def test_country_and_asn_are_read_in_maxminds_layout(mmdb):
    places = Places.open(
        [
            mmdb("country.mmdb", {"203.0.113.0/24": MAXMIND, "2001:db8::/32": MAXMIND}),
            mmdb("asn.mmdb", {"203.0.113.0/25": {"autonomous_system_number": 64500}}),
        ]
    )

    assert places.country("203.0.113.7") == "SG"
    assert places.country("2001:db8::7") == "SG"
    assert places.country("::ffff:203.0.113.7") == "SG"
    assert places.asn("203.0.113.7") == 64500
    assert places.asn("203.0.113.200") is None
    assert places.country("198.51.100.1") is None
    places.close()


@pytest.mark.parametrize("asn", [64500, "64500", "AS64500", "as64500"])
def test_country_and_asn_are_read_in_the_flat_layout(mmdb, asn):
    places = Places.open([mmdb("a.mmdb", {"203.0.113.0/24": {"country_code": "no", "asn": asn}})])
    assert places.country("203.0.113.7") == "NO"
    assert places.asn("203.0.113.7") == 64500


@pytest.mark.parametrize(
    "record",
    [
        {"country": "SG", "asn": True},
        {"country": {"iso_code": 7}, "asn": "ASX"},
        {"country_code": "Singapore", "asn": -1},
        {"country_code": "", "asn": 1 << 40},
        {"country": {}, "country_code": "", "asn": 0},
        ["SG"],
        "SG",
    ],
)
def test_a_record_of_another_shape_is_unknown(mmdb, record):
    known = {"198.51.100.0/24": MAXMIND, "203.0.113.0/24": record}
    places = Places.open([mmdb("odd.mmdb", known)])
    assert places.country("203.0.113.7") is None
    assert places.asn("203.0.113.7") is None


def test_the_first_database_that_knows_an_address_wins(mmdb):
    first = mmdb("first.mmdb", {"203.0.113.0/25": MAXMIND})
    second = mmdb("second.mmdb", {"203.0.113.0/24": {"country_code": "NO"}})
    places = Places.open([first, second])
    assert places.country("203.0.113.7") == "SG"
    assert places.country("203.0.113.200") == "NO"


@pytest.mark.parametrize(
    "ip",
    ["10.1.2.3", "127.0.0.1", "192.168.1.1", "172.31.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0",
     "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "garbage", ""],
)  # fmt: skip
def test_private_and_local_addresses_and_garbage_have_no_place(mmdb, ip):
    everywhere = mmdb("all.mmdb", {"0.0.0.0/0": MAXMIND, "::/1": MAXMIND, "8000::/1": MAXMIND})
    places = Places.open([everywhere])
    assert places.country(ip) is None
    assert places.asn(ip) is None
    assert places.country("8.8.8.8") == "SG"


def test_an_ipv6_address_is_unknown_to_a_database_of_ipv4(mmdb):
    places = Places.open([mmdb("four.mmdb", {"203.0.113.0/24": MAXMIND}, ip_version=4)])
    assert places.country("2001:db8::7") is None
    assert places.country("::ffff:203.0.113.7") == "SG"
    assert places.damage is None


def test_without_databases_every_place_is_unknown():
    assert Places.open([]).country("8.8.8.8") is None


def test_every_file_that_is_no_use_is_named_with_a_remedy(mmdb, tmp_path):
    (tmp_path / "empty.mmdb").write_bytes(b"")
    (tmp_path / "text.mmdb").write_text("not a database")
    other = mmdb("speeds.mmdb", {"203.0.113.0/24": {"connection_type": "Cellular"}})
    good = mmdb("good.mmdb", {"203.0.113.0/24": MAXMIND})
    names = ["missing.mmdb", "empty.mmdb", "text.mmdb", "."]

    told = problems(good, *(tmp_path / name for name in names), other)

    assert len(told) == 5
    for name, problem in zip([*names, "speeds.mmdb"], told, strict=True):
        assert problem.startswith(f"{tmp_path / name}: ")
    assert "cannot be opened: No such file or directory" in told[0]
    assert "not a readable MMDB file" in told[2]
    assert "holds neither countries nor systems; use a country or an ASN database" in told[4]


def test_a_database_cut_short_is_refused_or_knows_nothing(mmdb):
    path = mmdb("cut.mmdb", {f"203.0.{i}.0/24": MAXMIND for i in range(100)})
    whole = path.read_bytes()
    for length in (len(whole) // 4, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:length])
        assert problems(path)[0].startswith(f"{path}: ")


def test_damage_that_shows_only_in_a_look_up_makes_the_place_unknown_and_is_told(mmdb, monkeypatch):
    monkeypatch.setattr(places_module, "PROBED_RECORDS", 1)
    records = {f"11.{i}.0.0/16": {"country_code": f"S{chr(65 + i)}"} for i in range(26)}
    path = mmdb("damaged.mmdb", records, ip_version=4)
    path.write_bytes(path.read_bytes().replace(b"BSZ", b"\xe1SZ"))  # a string becomes a map
    places = Places.open([path])

    assert places.country("11.0.0.1") == "SA"
    assert places.damage is None
    assert places.country("11.25.0.1") is None
    assert places.damage.startswith(f"{path}: damaged, found at a look-up: ")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_file_that_is_cut_short_never_makes_it_fail_otherwise(mmdb, share):
    records = {f"11.{i}.0.0/16": {"country_code": f"S{chr(65 + i)}"} for i in range(26)}
    path = mmdb("rotten.mmdb", records, ip_version=4)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    found: set[str | None] = set()
    with suppress(PlacesError):
        places = Places.open([path])
        found = {places.country(f"11.{i}.0.1") for i in range(26)}
        places.close()
    assert all(country is None or len(country) == 2 for country in found)


@pytest.fixture
def anonymizers(tmp_path):
    def load(text: str) -> Anonymizers:
        path = tmp_path / "list.txt"
        path.write_text(text, encoding="utf-8")
        return Anonymizers.load(path)

    return load


def test_the_most_specific_entry_says_the_kind(anonymizers):
    found = anonymizers(
        "# exits\n"
        "203.0.113.0/24\thosting\n"
        "203.0.113.128/25\tvpn   # a range of it\n"
        "203.0.113.200\ttor\n"
        "2001:db8::/32\tproxy\n"
        "2001:db8:1::/48\tresidential_proxy\n"
        "\n"
        "AS64500\tvpn\n"
        "64501\thosting\n"
    )

    assert found.kind("203.0.113.1", None) == "hosting"
    assert found.kind("203.0.113.129", 64500) == "vpn"
    assert found.kind("203.0.113.200", None) == "tor"
    assert found.kind("::ffff:203.0.113.200", None) == "tor"
    assert found.kind("2001:db8::1", None) == "proxy"
    assert found.kind("2001:db8:1::1", None) == "residential_proxy"
    assert found.kind("198.51.100.1", 64500) == "vpn"
    assert found.kind("198.51.100.1", 64501) == "hosting"
    assert found.kind("198.51.100.1", 64502) == "none"
    assert found.kind("198.51.100.1", None) is None  # its system may be on the list
    assert found.kind("garbage", None) is None
    assert Anonymizers.empty().kind("203.0.113.1", 64500) is None


def test_every_bad_line_is_told_by_number(anonymizers, tmp_path):
    with pytest.raises(PlacesError) as refused:
        anonymizers(
            "203.0.113.0/24\tvpn\n203.0.113.1/24\tvpn\nexample.com\tvpn\n198.51.100.0/24\tvnp\n"
            "198.51.100.0/24\n203.0.113.0/24\ttor\nAS64500 vpn\nAS64500 tor\n203.0.113.0/24 vpn\n"
        )
    name = tmp_path / "list.txt"
    told = refused.value.problems
    assert [problem.removeprefix(f"{name}:").split(":")[0] for problem in told] == list("234568")
    assert "203.0.113.1/24 has host bits set; write a network such as 192.0.2.0/24" in told[0]
    assert 'unknown kind "vnp"; use one of: vpn, tor, hosting, proxy, residential_proxy' in told[2]
    assert "write one network and one kind on a line" in told[3]
    assert '"203.0.113.0/24" is listed as vpn already' in told[4]


def test_only_the_first_bad_lines_are_told(anonymizers):
    with pytest.raises(PlacesError) as refused:
        anonymizers("?\n" * 50)
    assert len(refused.value.problems) == 21
    assert refused.value.problems[-1].endswith("and 30 more bad lines")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_list_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "list.txt"
    if content:
        path.write_bytes(content)
    with pytest.raises(PlacesError, match=r"list\.txt: cannot be read as text"):
        Anonymizers.load(path)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 32)), max_size=20),
    st.integers(0, (1 << 32) - 1),
)
def test_a_network_look_up_finds_the_longest_prefix(entries, address):
    networks, wanted = Networks(), None
    for number, prefix in entries:
        base = number >> (32 - prefix) << (32 - prefix)
        text = ".".join(str(base >> shift & 255) for shift in (24, 16, 8, 0))
        networks.add(f"{text}/{prefix}", f"{text}/{prefix}")
        if address >> (32 - prefix) == base >> (32 - prefix):
            wanted = max(wanted or (0, ""), (prefix, f"{text}/{prefix}"))
    ip = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
    assert packed(ip) == (32, address)
    assert networks.find(ip) == (wanted[1] if wanted else None)
