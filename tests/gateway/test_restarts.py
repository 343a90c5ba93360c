from proxy.gateway.restarts import Pace, Restarts

PACE = Pace(steady_s=60, first_s=0.5, most_s=30, tries=8)


def test_the_first_restart_waits_for_nothing_and_each_after_it_twice_as_long_up_to_a_bound():
    restarts = Restarts(PACE)
    waits = [restarts.ended(5, served=True) for _ in range(10)]
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_worker_that_serves_is_never_given_up():
    restarts = Restarts(PACE)
    assert all(restarts.ended(1, served=True) is not None for _ in range(2000))


def test_a_worker_that_does_not_come_to_serve_is_given_up_after_so_many_starts():
    restarts = Restarts(PACE)
    waits = [restarts.ended(3600, served=False) for _ in range(8)]
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, None]


def test_whoever_served_for_long_has_a_clean_record_and_a_start_that_works_counts_for_patience():
    restarts = Restarts(PACE)
    for _ in range(7):
        restarts.ended(1, served=False)
    assert restarts.ended(1, served=True) == 30
    for _ in range(6):
        assert restarts.ended(1, served=False) == 30
    assert restarts.ended(60, served=True) == 0
