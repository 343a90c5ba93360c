from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from proxy.gateway.merged_metrics import merged

ODD = 'a "quoted" {brace}, a \\ and a\nbreak'


def exposition(count: int) -> bytes:
    registry = CollectorRegistry()
    Counter("told", f"Help with {ODD}", ["what"], registry=registry).labels(ODD).inc(count)
    Counter("plain", "Without labels.", registry=registry).inc(count)
    Gauge("level", "A level.", registry=registry).set(count / 3)
    Histogram("took_seconds", "A time.", buckets=(0.1, 1), registry=registry).observe(count)
    return generate_latest(registry)


def samples(text: bytes) -> list[tuple[str, str, dict[str, str], float]]:
    families = text_string_to_metric_families(text.decode())
    return [(f.name, s.name, s.labels, s.value) for f in families for s in f.samples]


def in_order(sample: tuple[str, str, dict[str, str], float]) -> tuple[object, ...]:
    family, name, labels, value = sample
    return family, name, sorted(labels.items()), value


def test_each_sample_of_each_worker_is_there_with_its_label_and_nothing_is_added_up():
    texts = {0: exposition(1), 1: exposition(2)}
    expected = [
        (family, name, {**labels, "worker": str(worker)}, value)
        for worker, text in texts.items()
        for family, name, labels, value in samples(text)
    ]
    found = [one for one in samples(merged(texts)) if one[0] != "gauger_worker_up"]
    assert sorted(map(in_order, found)) == sorted(map(in_order, expected))


def test_a_family_comes_once_with_its_help_and_type():
    lines = merged({0: exposition(1), 1: exposition(2)}).decode().splitlines()
    heads = [line for line in lines if line.startswith("#")]
    assert len(heads) == len(set(heads))
    assert {"# TYPE told_total counter", "# TYPE took_seconds histogram"} <= set(heads)
    families = [f.name for f in text_string_to_metric_families("\n".join([*lines, ""]))]
    assert len(families) == len(set(families))


def test_a_worker_that_does_not_answer_is_told_so():
    up = {
        labels["worker"]: value
        for family, _, labels, value in samples(merged({0: None, 1: exposition(1)}))
        if family == "gauger_worker_up"
    }
    assert up == {"0": 0, "1": 1}
