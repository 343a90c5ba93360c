import re

import pytest

from proxy.model.plan import NEVER_NS
from proxy.store.redis.names import Names, parent_slot
from tests.store.plans import KEY, T0_S, charge, lifetime

NAMES = Names(KEY, "gauger")


def test_a_key_has_its_slot_in_braces_its_counter_and_the_end_of_its_window():
    key = NAMES.charge(charge("c", slot="s"))
    assert re.fullmatch(r"\{gauger:[\w-]{16}\}:[\w-]{16}:[0-9a-f]+", key)
    assert int(key.rpartition(":")[2], 16) == (T0_S + 60) * 1000
    assert NAMES.charge(lifetime("c", slot="s")) + ":" in key


def test_names_hang_on_the_key_and_the_prefix():
    one = charge()
    others = [Names(b"another key", "gauger"), Names(KEY, "prod")]
    assert len({names.charge(one) for names in [NAMES, *others]}) == 3
    assert Names(KEY * 9, "gauger").charge(one)


def test_a_name_that_is_no_text_of_unicode_has_a_key_too():
    assert NAMES.charge(charge("\ud800", slot="\ud800"))


@pytest.mark.parametrize(
    ("slot", "counter", "parent", "wants"),
    [
        ("cluster=a", "r|cost|cluster=a|fixed:day", "r|cost|cluster=bb|fixed:day", "cluster=bb"),
        ("cluster=a", "r|cost|cluster=a&model=m|x", "r|cost|cluster=b&model=m|x", "cluster=b"),
        ("cluster=a", "r|cost|cluster=a", "r|cost|cluster=b", "cluster=b"),
        ("elsewhere", "r|cost|cluster=a|x", "r|cost|cluster=b|x", "elsewhere"),
        ("", "a", "b", ""),
    ],
)
def test_a_parent_lies_in_the_slot_that_its_name_tells(slot, counter, parent, wants):
    child = charge(counter, slot=slot, inherits=(parent,), ends_ns=NEVER_NS)
    assert parent_slot(child, parent) == wants
    assert NAMES.parent(child, parent).startswith(NAMES.slot(wants))
    assert NAMES.parent(child, parent) == NAMES.charge(charge(parent, slot=wants, ends_ns=NEVER_NS))
