"""What a recording holds of a request in place of its text: the facts, and how they are read again.

The gateway writes them, replay reads them. A fact that was not known when it was recorded is
written as null, so that it is not taken for one that the recording lacks.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from msgspec import to_builtins
from msgspec.structs import asdict

from proxy.model.facts import CATALOGUE, Facts, FactType, FactValue
from proxy.model.trait import trait_of
from proxy.model.usage import Outcome
from proxy.model.verdict import RefusalKind
from proxy.pipeline.weigh import Weighed
from proxy.wire.credential import CREDENTIAL_HEADERS

# Facts that follow from others, from the policy set or from what was learned, and those that are
# told in fields of their own.
DERIVED = frozenset(
    {
        "request.surface",
        "request.model_group",
        "request.input_tokens",
        "request.expected_output_tokens",
    }
)
RECORDED = tuple(
    name
    for name, fact in CATALOGUE.items()
    if name.startswith(("request.", "client.")) and not fact.personal and name not in DERIVED
)
# Facts of the request and the client that a recording may hold; addresses, if somebody wants to.
TELLABLE = tuple(
    name for name in CATALOGUE if name.startswith(("request.", "client.")) and name not in DERIVED
)
# Headers whose values no recording has.
WITHHELD = CREDENTIAL_HEADERS | {"cookie", "proxy-authorization"}
ENDINGS = ("complete", "delivered_output_tokens", "forwarded", "answer_bytes", "error", "unknown")
PYTHON: Mapping[FactType, tuple[type, ...]] = {
    FactType.STRING: (str,),
    FactType.INT: (int,),
    FactType.DOUBLE: (int, float),
    FactType.BOOL: (bool,),
}


def recorded_facts(facts: Facts) -> dict[str, object]:
    """The facts that a recording keeps, null for what was not known; nothing personal."""
    return {name: facts.get(name) for name in RECORDED}


def read_facts(told: Mapping[str, object]) -> tuple[dict[str, FactValue], tuple[str, ...]]:
    """The facts that a recording tells, and the names of those that it does not tell of at all.

    Raises ValueError for a value of another type than the fact has.
    """
    known: dict[str, FactValue] = {}
    for name in TELLABLE:
        value = told.get(name)
        if value is None:
            continue
        kinds = PYTHON[CATALOGUE[name].type]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            msg = f"facts: {name} is a {CATALOGUE[name].type.value}, not {value!r}"
            raise ValueError(msg)
        assert isinstance(value, str | int | float | bool)
        known[name] = value
    told_apart = ("request.dialect",)  # which the path tells, where nothing else does
    lacking = [name for name in TELLABLE if name not in told and name not in told_apart]
    return known, tuple(lacking)


def key_id(fingerprint_key: bytes) -> str:
    """A name for the key of fingerprints, from which nobody learns the key."""
    return blake2b(b"", digest_size=4, key=fingerprint_key[:64], person=b"key-id").hexdigest()


def recorded_exchange(weighed: Weighed, key: str) -> dict[str, Any]:
    """A judged exchange as a recording has it: fingerprints and facts, no text, no address.

    `key` names the key of the fingerprints. Sketches and the answer come to it later.
    """
    line = _begun(weighed)
    asked = weighed.asked
    if asked is None:
        line["facts"] = {"request.dialect": weighed.dialect.value}
        return line
    line["fingerprints"] = {"key_id": key, "tokens": by_family(weighed.tokens)}
    line["facts"] = recorded_facts(weighed.facts)
    line["input_tokens_estimate"] = asked.input_tokens_estimate
    if asked.prompt.turns != 1:
        line["turns"] = asked.prompt.turns
    if asked.background:
        line["background"] = True
    return line


def captured_exchange(weighed: Weighed) -> dict[str, Any]:
    """A judged exchange as a capture has it, but for its body: whoever writes it puts that in.

    Of credentials only the names of their headers are there.
    """
    arrival = weighed.arrival
    line = _begun(weighed)
    if arrival.query:
        line["path"] = f"{arrival.path}?{arrival.query}"
    line["client_ip"] = arrival.client_ip
    line["headers"] = [
        [name, "" if name.lower() in WITHHELD else value] for name, value in arrival.headers
    ]
    if arrival.ja4:
        line["tls"] = {"ja4": arrival.ja4}
    return line


def by_family(tokens: Iterable[int]) -> dict[str, list[str]]:
    """Fingerprints as a recording writes them: 16 hex digits each, by family."""
    families: dict[str, list[str]] = {}
    for token in tokens:
        families.setdefault(trait_of(token).family.value, []).append(f"{token:016x}")
    return families


def recorded_response(outcome: Outcome, duration_s: float) -> dict[str, Any]:
    """How an answer ended; what is as usual is left out."""
    said: dict[str, Any] = {"status": outcome.status, "usage": None, "duration_s": duration_s}
    if (usage := outcome.usage) is not None:
        said["usage"] = {name: value for name, value in asdict(usage).items() if value}
    usual = Outcome(outcome.status, complete=True, usage=None)
    for name in ENDINGS:
        if (value := getattr(outcome, name)) != getattr(usual, name):
            said[name] = value
    return said


def _begun(weighed: Weighed) -> dict[str, Any]:
    """What every recording has of an exchange; times are cut to microseconds."""
    arrival, caller, refusal = weighed.arrival, weighed.caller, weighed.refusal
    line: dict[str, Any] = {
        "id": arrival.id,
        "ts": arrival.at_ns // 1_000 / 1_000_000,
        "method": arrival.method,
        "path": arrival.path,
    }
    if caller is not None and caller.key is not None:
        line["key"] = caller.key.id
    elif caller is not None:
        line["account"] = caller.account.account
    if weighed.batch is not None:
        line["batch"] = to_builtins(weighed.batch)
    if refusal is not None and weighed.surface is not None:
        problem: dict[str, Any] = {"kind": refusal.kind.value}
        if refusal.kind is not RefusalKind.BAD_REQUEST:  # whose words may quote the request
            problem["message"] = refusal.message
        if refusal.status is not None:
            problem["status"] = refusal.status
        line["problem"] = problem
    return line
