"""The demo tells the gateway's own metrics in one line."""

from proxy.demo.metrics import told

TEXT = """
# TYPE gauger_exchanges_total counter
gauger_exchanges_total{surface="messages",verdict="allow"} 5.0
gauger_exchanges_total{surface="responses",verdict="allow"} 2.0
gauger_exchanges_total{surface="messages",verdict="deny"} 1.0
# TYPE gauger_added_latency_seconds histogram
gauger_added_latency_seconds_bucket{le="+Inf"} 4.0
gauger_added_latency_seconds_count 4.0
gauger_added_latency_seconds_sum 0.006
"""


def test_exchanges_are_summed_by_verdict_and_the_added_latency_is_averaged():
    assert told(TEXT) == "8 exchanges (7 allow, 1 deny), 1.5 ms added on average"


def test_a_gateway_that_has_seen_nothing_is_told_too():
    assert told("") == "no exchanges yet"
