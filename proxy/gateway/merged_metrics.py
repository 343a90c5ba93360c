"""The metrics of all workers as one text: each sample gets the label `worker`, none is added up.

Sums over workers are the reader's (`sum without (worker) (…)`): he knows which gauges may be added,
and a worker that began anew is a counter that began anew. Works on the text that
`prometheus_client.generate_latest` makes (exposition format 0.0.4), which is quicker than parsing
it: a scrape must not hold up exchanges.
"""

from collections.abc import Iterator, Mapping

UP = """# HELP gauger_worker_up 1 for a worker that answers, 0 for one that does not.
# TYPE gauger_worker_up gauge
"""


def merged(texts: Mapping[int, bytes | None]) -> bytes:
    """One exposition of the workers' own, by number; None is a worker that did not answer."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for worker, text in sorted(texts.items()):
        for name, head, lines in _families((text or b"").decode()):
            heads.setdefault(name, head)
            samples.setdefault(name, []).extend(_labelled(line, worker) for line in lines)
    up = [f'gauger_worker_up{{worker="{n}"}} {int(texts[n] is not None)}' for n in sorted(texts)]
    parts = [UP.rstrip("\n"), *up]
    for name, head in heads.items():
        parts += [*head, *samples[name]]
    return "\n".join([*parts, ""]).encode()


def _families(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(name, its HELP and TYPE lines, its samples) of each family."""
    name, head, samples = "", list[str](), list[str]()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            if head:
                yield name, head, samples
            name, head, samples = line.split(" ", 3)[2], [line], []
        elif line.startswith("#"):
            head.append(line)
        elif line:
            samples.append(line)
    if head:
        yield name, head, samples


def _labelled(sample: str, worker: int) -> str:
    """A sample with one label more. Neither a blank nor a brace can be in a metric's name."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
