from proxy.model.exchange import Prompt
from proxy.model.sighting import Described, Sighting
from proxy.model.trait import SKETCHED, Trait, trait_of
from proxy.store.memory import MemoryStore
from proxy.wire.batch_lines import count_requests

PATH = "/v1/messages/batches"


def body(count: int) -> dict[str, object]:
    def entry(number: int) -> dict[str, object]:
        text = f"Explain step by step why the thing called {'x' * number} is as it is around here"
        turns = [{"role": "user", "content": text}]
        params = {"model": "m-small", "max_tokens": 9, "messages": turns}
        return {"custom_id": str(number), "params": params}

    return {"requests": [entry(number) for number in range(count)]}


def seen(desk, count: int) -> tuple[Sighting, Prompt]:
    """What the detector is shown of a batch."""
    found: list[tuple[Sighting, Prompt]] = []

    def see(_account: Described, sighting: Sighting, prompt: Prompt) -> None:
        found.append((sighting, prompt))

    made = desk("quotas: []\n")
    made.pipeline.seen = see
    arrival = made.arrival(path=PATH, body=body(count))
    surface = made.pipeline.surface("POST", PATH, arrival.headers)
    batch = count_requests(arrival.body, made.pipeline.batch_sample())
    weighed = made.pipeline.weigh(arrival, surface, made.who(arrival), batch=batch)
    readings = MemoryStore().take(weighed.plan)
    made.pipeline.observe(weighed, made.pipeline.decide(weighed, readings), 1)
    assert weighed.facts["fingerprint.template"]
    return found[0]


def test_a_batch_is_seen_as_so_many_requests_with_the_fingerprints_of_its_lines(desk):
    sighting, prompt = seen(desk, 40)
    kinds = [trait_of(token) for token in sighting.tokens]
    assert sighting.requests == 40
    assert kinds.count(Trait.EXACT) == 32
    assert {Trait.HEADERS, Trait.ADDRESS, Trait.MODEL, Trait.TEMPLATE, Trait.ASKS} <= {*kinds}
    assert Trait.SHINGLE in kinds
    assert prompt == Prompt(turns=1)  # sketches were made of the lines, and not of one alone


def test_a_line_alone_and_the_same_line_in_a_batch_have_the_same_fingerprints(desk):
    sighting, _ = seen(desk, 3)
    made = desk("quotas: []\n")
    alone = body(3)["requests"][1]["params"]
    made.send(path="/v1/messages", body=alone)
    tokens = {t for t in made.weighed.tokens if trait_of(t) not in SKETCHED}
    assert tokens <= {*sighting.tokens}
