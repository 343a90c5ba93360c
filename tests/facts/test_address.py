import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.address import (
    MAX_ENTRIES,
    ForwardedHeader,
    TrustedPeers,
    canonical,
    client_address,
)

TRUSTED = TrustedPeers(["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7"])


def seen(*headers: tuple[str, str], peer: str = "10.0.0.1", trusted: TrustedPeers = TRUSTED):
    return client_address(peer, headers, trusted)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded"])
def test_a_header_from_a_peer_that_is_not_trusted_is_ignored(name):
    value = "for=198.51.100.1" if name == "Forwarded" else "198.51.100.1"
    assert seen((name, value), peer="203.0.113.9") == "203.0.113.9"
    assert seen((name, value), trusted=TrustedPeers([])) == "10.0.0.1"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("1.1.1.1, 198.51.100.1, 10.0.0.2,10.0.0.3", "198.51.100.1"),
        ("198.51.100.1:4711, 192.0.2.7", "198.51.100.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]:4711, [2001:db8:ffff::5]", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("", "10.0.0.1"),
        (" , ", "10.0.0.1"),
        ("198.51.100.1,", "10.0.0.1"),
        ("198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("198.51.100.1, garbage", "10.0.0.1"),
        ("198.51.100.1, 10.0.0.999", "10.0.0.1"),
        ("198.51.100.1, 010.0.0.2", "10.0.0.1"),
        ("198.51.100.1, fe80::1%eth0", "10.0.0.1"),
        ("198.51.100.1, [10.0.0.2]:1", "10.0.0.1"),
        ("198.51.100.1, [2001:db8::1", "10.0.0.1"),
        ("198.51.100.1, 10.0.0.2:port", "10.0.0.1"),
        ("198.51.100.1, \u0661\u0660.0.0.2", "10.0.0.1"),
    ],
)
def test_x_forwarded_for_is_believed_from_the_right_as_far_as_trusted_peers_wrote_it(
    value, address
):
    assert seen(("x-forwarded-for", value)) == address


def test_several_fields_are_one_list_in_their_order():
    headers = [("X-Forwarded-For", "1.1.1.1"), ("Host", "x"), ("x-forwarded-FOR", "198.51.100.1")]
    assert seen(*headers, ("X-Forwarded-For", "10.0.0.2")) == "198.51.100.1"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ("For=198.51.100.1;proto=https;by=203.0.113.43", "198.51.100.1"),
        ("for=1.1.1.1, for=198.51.100.1, for=10.0.0.2", "198.51.100.1"),
        ('for="198.51.100.1:4711"', "198.51.100.1"),
        ('proto=http;for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ('for="[2001:db8:cafe::17]:_port"', "2001:db8:cafe::17"),
        ("for=198.51.100.1, for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("for=198.51.100.1, for=unknown", "10.0.0.1"),
        ("for=198.51.100.1, proto=https", "10.0.0.1"),
        ("for=198.51.100.1, for=10.0.0.2;for=10.0.0.3", "10.0.0.1"),
        ('for=", for=198.51.100.1', "198.51.100.1"),
        ('for="1.1.1.1, for=198.51.100.1', "198.51.100.1"),
        ('for="a,b";x="c,d", for=198.51.100.1;x="e,f"', "198.51.100.1"),
        ('for=198.51.100.1, for="10.0.0.2', "10.0.0.1"),
        ('for=198.51.100.1, for="10.0.0.\\2"', "10.0.0.1"),
        ("for=", "10.0.0.1"),
        (";;;", "10.0.0.1"),
    ],
)
def test_forwarded_is_believed_from_the_right_as_far_as_trusted_peers_wrote_it(value, address):
    assert seen(("Forwarded", value)) == address


def test_two_headers_that_agree_are_believed():
    headers = ("Forwarded", "for=1.1.1.1, for=198.51.100.1"), ("X-Forwarded-For", "198.51.100.1")
    assert seen(*headers) == "198.51.100.1"


def test_where_two_headers_disagree_no_address_is_known():
    headers = ("Forwarded", "for=198.51.100.1"), ("X-Forwarded-For", "203.0.113.5")
    assert seen(*headers) is None
    assert seen(("Forwarded", "garbage"), headers[1]) is None


@pytest.mark.parametrize(
    ("header", "address"),
    [(ForwardedHeader.FORWARDED, "198.51.100.1"), (ForwardedHeader.X_FORWARDED_FOR, "203.0.113.5")],
)
def test_the_header_that_the_operator_names_is_the_only_one_read(header, address):
    trusted = TrustedPeers(["10.0.0.0/8"], header=header)
    headers = ("Forwarded", "for=198.51.100.1"), ("X-Forwarded-For", "203.0.113.5")
    assert seen(*headers, trusted=trusted) == address
    other = headers[header is ForwardedHeader.FORWARDED]
    assert seen(other, trusted=trusted) == "10.0.0.1"


@pytest.mark.parametrize("form", ["{}", "for={}"])
def test_a_list_without_end_is_read_only_so_far(form):
    name = "X-Forwarded-For" if form == "{}" else "Forwarded"
    entries = ["198.51.100.1"] + ["10.0.0.2"] * MAX_ENTRIES
    value = ",".join(map(form.format, entries))
    assert seen((name, value)) == "10.0.0.2"
    assert seen((name, ",".join(map(form.format, entries[:-1])))) == "198.51.100.1"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_the_peers_own_address_is_written_in_one_form(peer, address):
    assert canonical(peer) == address
    assert seen(peer=peer) == address


def test_trusted_peers_may_be_written_as_mapped_addresses():
    trusted = TrustedPeers(["::ffff:10.0.0.0/104"])
    assert "10.1.2.3" in trusted
    assert "11.1.2.3" not in trusted
    assert "::1" not in TrustedPeers(["0.0.0.0/0"])


@pytest.mark.parametrize("cidr", ["10.0.0.1/8", "example.com", "10.0.0.0/33"])
def test_a_trusted_peer_that_is_no_network_is_named(cidr):
    with pytest.raises(ValueError, match=rf"{cidr}"):
        TrustedPeers([cidr])


HOSTILE = st.text(alphabet='for=",;:[]_ \\.%0123456789abfx\té', max_size=80)


@given(HOSTILE, st.sampled_from(["Forwarded", "X-Forwarded-For"]))
def test_no_header_makes_it_fail_or_hides_what_a_trusted_proxy_appended(client_part, name):
    appended = "for=198.51.100.1" if name == "Forwarded" else "198.51.100.1"
    assert seen((name, client_part)) is not None
    assert seen((name, f"{client_part}, {appended}")) == "198.51.100.1"
    assert seen((name, client_part), (name, appended)) == "198.51.100.1"
