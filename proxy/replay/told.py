"""A recorded exchange made ready for the pipeline, whether its text was recorded or not.

Where fingerprints and facts stand in a recording in place of body, headers and address, the request
is put together from them. What they do not tell is lacking: rules are judged without it, and the
summary counts how often one would have asked.
"""

from typing import Any

from msgspec import Struct

from proxy.model.batch import BatchCount
from proxy.model.decision import Refusal
from proxy.model.exchange import Arrival, Asked, Dialect, Prompt
from proxy.model.facts import FactValue
from proxy.model.trait import CODE_MASK, SKETCHED, Trait
from proxy.pipeline.given import NOTHING_GIVEN, Given
from proxy.pipeline.recorded import read_facts
from proxy.replay.traffic import RecordedExchange, TrafficError, parse_dict

MAX_TOKEN = (1 << 64) - 1
FINGERPRINTS = ("fingerprint.system", "fingerprint.template", "fingerprint.template_accounts")
ESTIMATE = "request.input_tokens"
# Which dialect a path has that both know, where the headers were not recorded.
SPEAKS_ANTHROPIC = (("anthropic-version", ""),)
CODES = frozenset(Trait)


class Prepared(Struct, frozen=True, gc=False):
    """An exchange as it goes to the pipeline. `sketched` is None where its text is still there."""

    recorded: RecordedExchange
    arrival: Arrival
    given: Given = NOTHING_GIVEN
    sketched: tuple[int, ...] | None = None
    problem: Refusal | None = None
    batch: BatchCount | None = None


def prepare(recorded: RecordedExchange) -> Prepared:
    """An exchange ready for the pipeline. ValueError for facts or fingerprints that are none."""
    problem = recorded.problem.refusal() if recorded.problem else None
    arrival = recorded.arrival()
    if not recorded.told:
        return Prepared(recorded, arrival, problem=problem, batch=recorded.batch)
    facts, lacking = read_facts(recorded.facts or {})
    if recorded.input_tokens_estimate is None:
        lacking = (*lacking, ESTIMATE)
    tokens: tuple[int, ...] = ()
    if recorded.fingerprints is None:
        lacking = (*lacking, *FINGERPRINTS)
    else:
        tokens = _tokens(recorded.fingerprints.tokens)
    return Prepared(
        recorded,
        _told_arrival(arrival, facts),
        Given(
            _asked(recorded, facts),
            tuple([token for token in tokens if token & CODE_MASK not in SKETCHED]),
            {name: value for name, value in facts.items() if name.startswith("client.")},
            lacking,
        ),
        tuple([token for token in tokens if token & CODE_MASK in SKETCHED]),
        problem,
        recorded.batch,
    )


def _told_arrival(arrival: Arrival, facts: dict[str, FactValue]) -> Arrival:
    anthropic = facts.get("request.dialect") == Dialect.ANTHROPIC
    ja4, size = facts.get("client.ja4"), facts.get("request.body_bytes", 0)
    return Arrival(
        id=arrival.id,
        at_ns=arrival.at_ns,
        method=arrival.method,
        path=arrival.path,
        query=arrival.query,
        headers=arrival.headers or (SPEAKS_ANTHROPIC if anthropic else ()),
        client_ip=arrival.client_ip,
        body_bytes=size if isinstance(size, int) else 0,
        ja4=arrival.ja4 or (str(ja4) if ja4 else None),
        named_account=arrival.named_account,
        named_key=arrival.named_key,
    )


def _asked(recorded: RecordedExchange, facts: dict[str, FactValue]) -> Asked:
    """What the request asked for, as far as the facts tell."""

    def number(name: str, missing: int) -> int:
        value = facts.get(name, missing)
        return value if isinstance(value, int) else missing

    bounded = "request.max_tokens" in facts
    return Asked(
        model=str(facts.get("request.model") or "") or None,
        stream=bool(facts.get("request.stream")),
        max_output_tokens=number("request.max_tokens", 0) if bounded else None,
        choices=number("request.choices", 1),
        input_tokens_estimate=recorded.input_tokens_estimate or 0,
        requests=number("request.requests", 1),
        background=recorded.background,
        prompt=Prompt(turns=1 if recorded.turns is None else recorded.turns),
    )


def _tokens(by_family: dict[str, list[str]]) -> tuple[int, ...]:
    """The tokens of all families. Those of traits that this version does not know are left out."""
    found = []
    for texts in by_family.values():
        for text in texts:
            token = int(text, 16)  # ValueError says what is wrong
            if not 0 <= token <= MAX_TOKEN:
                msg = f"fingerprints: {text} has more than 64 bits"
                raise ValueError(msg)
            if token & CODE_MASK in CODES:
                found.append(token)
    return tuple(found)


Line = dict[str, Any] | RecordedExchange | Prepared


def prepared_from(line: Line) -> Prepared:
    """An exchange ready for the pipeline, in whatever form it comes. TrafficError."""
    if isinstance(line, Prepared):
        return line
    try:
        return prepare(line if isinstance(line, RecordedExchange) else parse_dict(line))
    except ValueError as error:
        raise TrafficError(str(error)) from error
