import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.pseudonyms import Pseudonyms

KEY = b"0123456789abcdef"


def test_the_same_value_has_the_same_name_of_16_hex_digits():
    name = Pseudonyms(KEY).of("account", "acc-1")
    assert name == Pseudonyms(KEY).of("account", "acc-1")
    assert len(bytes.fromhex(name)) == 8
    assert "acc" not in name


def test_another_key_kind_or_value_gives_another_name():
    names = Pseudonyms(KEY)
    assert len(
        {
            names.of("account", "acc-1"),
            names.of("account", "acc-2"),
            names.of("key", "acc-1"),
            names.of("accoun", "tacc-1"),
            Pseudonyms(b"another key, 16+").of("account", "acc-1"),
        }
    ) == 5  # fmt: skip


def test_a_key_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Pseudonyms(b"short")


@given(st.text(), st.text())
def test_any_text_has_a_pseudonym(one, other):
    names = Pseudonyms(KEY)
    assert (names.of("x", one) == names.of("x", other)) == (one == other)
