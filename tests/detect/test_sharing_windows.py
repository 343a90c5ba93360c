from proxy.detect.sharing import TemplateSharing
from proxy.model.sighting import Sighting
from tests.detect.conftest import template

S = 1_000_000_000


def seen_by(accounts: int, windows_s: frozenset[int]) -> TemplateSharing:
    sharing = TemplateSharing(windows_s, 5.0, 0.0)
    for number in range(accounts):
        sharing.observe(Sighting(number, number * S, f"a{number}", (template("t"),), True))
    sharing.advance(10 * S)
    return sharing


def test_other_windows_count_what_was_seen_from_the_next_step_on():
    other = seen_by(4, frozenset({60})).with_windows(frozenset({60, 600}))
    other.observe(Sighting(9, 12 * S, "a9", (template("t"),), True))
    assert other.advance(15 * S).template_accounts(template("t")) == {60: 5, 600: 5}
    assert other.advance(90 * S).template_accounts(template("t")) == {60: 0, 600: 5}


def test_without_windows_nothing_is_counted_and_they_may_come_back():
    none = seen_by(4, frozenset({60})).with_windows(frozenset())
    none.observe(Sighting(9, 12 * S, "a9", (template("t"),), True))
    assert none.advance(15 * S).template_accounts(template("t")) == {}
    again = none.with_windows(frozenset({60}))
    again.observe(Sighting(10, 16 * S, "a1", (template("t"),), True))
    again.observe(Sighting(11, 17 * S, "a2", (template("t"),), True))
    assert again.advance(20 * S).template_accounts(template("t")) == {60: 2}
