from proxy.store.breaker import Breaker, Tolerance

FIVE = Tolerance(consecutive=5, span_s=0.03)


def test_it_opens_after_so_many_failures_in_a_row_over_some_time():
    breaker = Breaker(FIVE)
    opened = [breaker.failed(at_s) for at_s in (0, 0.015, 0.015, 0.030, 0.045)]
    assert opened == [False] * 4 + [True]
    assert (breaker.open, breaker.since_s, breaker.opened) == (True, 0.045, 1)


def test_many_calls_that_fail_in_one_moment_are_one_event():
    breaker = Breaker(FIVE)
    assert not any(breaker.failed(1.0) for _ in range(40))


def test_a_success_between_failures_begins_the_row_anew():
    breaker = Breaker(FIVE)
    for at_s in range(4):
        breaker.failed(at_s)
    breaker.succeeded(4)
    assert not any(breaker.failed(at_s) for at_s in range(5, 9))
    assert breaker.failed(9)


def test_it_opens_when_half_of_many_recent_calls_failed():
    breaker = Breaker(Tolerance(of=20, rate=0.5, consecutive=1000))
    opened = []
    for number in range(20):
        if number % 2:
            opened.append(breaker.failed(number / 10))
        else:
            breaker.succeeded(number / 10)
    assert opened == [False] * 9 + [True]


def test_failures_of_long_ago_do_not_count():
    breaker = Breaker(Tolerance(of=20, rate=0.5, consecutive=1000, recent_s=5))
    for _ in range(19):
        breaker.failed(0)
    assert not breaker.failed(10.1)


def test_what_comes_late_while_it_is_open_neither_opens_nor_closes_it():
    breaker = Breaker()
    assert breaker.trip(1)
    breaker.succeeded(2)
    assert not breaker.failed(3)
    assert not breaker.trip(4)
    assert (breaker.open, breaker.since_s, breaker.opened) == (True, 1, 1)


def test_closing_forgets_earlier_failures():
    breaker = Breaker(FIVE)
    for at_s in range(5):
        breaker.failed(at_s)
    breaker.close(6)
    assert not breaker.failed(7)
    assert not breaker.open


def test_probes_come_less_often_and_never_all_at_once():
    breaker = Breaker(Tolerance(probe_s=0.2, probe_at_most_s=1.0))
    assert [round(breaker.probe_in_s(0), 3) for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert breaker.probe_in_s(1) == 0.5
    breaker.trip(0)
    assert breaker.probe_in_s(0) == 0.2
