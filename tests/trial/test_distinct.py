from hypothesis import given
from hypothesis import strategies as st

from proxy.trial.distinct import Count, Distinct


@given(texts=st.lists(st.text(max_size=3), max_size=60))
def test_up_to_the_bound_the_count_is_exact(texts):
    distinct = Distinct(60)
    for text in texts:
        distinct.add(text)
    assert distinct.count() == Count(len(set(texts)), exact=True)


def test_above_the_bound_it_is_an_estimate_and_says_so():
    distinct = Distinct(1024)
    for i in range(50_000):
        distinct.add(f"account-{i % 20_000}")
    count = distinct.count()
    assert not count.exact
    assert abs(count.value - 20_000) < 2_000  # three standard errors
    assert str(count).startswith("about ")


def test_memory_is_bounded_and_the_order_does_not_matter():
    one, other = Distinct(64), Distinct(64)
    for i in range(5_000):
        one.add(str(i))
        other.add(str(4_999 - i))
    assert one.count() == other.count()
    assert len(one._kept) == len(one._heap) == 64


def test_at_the_bound_itself_the_count_is_still_exact():
    distinct = Distinct(3)
    for text in ("a", "b", "c", "a", "b"):
        distinct.add(text)
    assert distinct.count() == Count(3)
    distinct.add("d")
    assert not distinct.count().exact
