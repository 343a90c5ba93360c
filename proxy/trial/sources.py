"""The exchange that is to be explained: of a recording, of the audit log, or bare facts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxy.audit.errors import AuditDamaged
from proxy.audit.read import Entry, entries
from proxy.audit.workers import logs_in
from proxy.facts.pseudonyms import Pseudonyms
from proxy.model.verdict import Durability
from proxy.policy.load import load
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet
from proxy.replay.inputs import settings_of
from proxy.replay.judged import Judged
from proxy.replay.session import Session
from proxy.replay.traffic import RecordedExchange, TrafficError, parse_line, read_traffic
from proxy.settings.schema import Settings
from proxy.settings.secrets import configured, ensured
from proxy.trial.again import Again, judge_again
from proxy.trial.bare import judged_facts
from proxy.trial.explain import explain
from proxy.trial.explanation import Explanation
from proxy.trial.recorded import recorded
from proxy.trial.sets import archived, named_set
from proxy.trial.who import accounts_in, identified


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a recording is replayed with: settings, and what replaces parts of them."""

    config: Path
    accounts: Path | None = None
    geo: list[Path] = field(default_factory=list)
    anonymizers: Path | None = None
    skip_bad: bool = False


@dataclass(frozen=True, slots=True)
class FromRecord:
    """A decision of the audit log: its account where that can be told, and how it ended."""

    again: Again
    account: str | None
    completion: Entry | None


def explain_recording(
    inputs: Inputs,
    traffic: Path,
    exchange: str | None,
    policies: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Judged, Explanation]:
    """An exchange of a recording, after all that came before it: its counts stand as they stood.

    Without an id the recording must hold one exchange; TrafficError where it has none of this id.
    `policies` names a directory, or the digest of an archived set, instead of the configured ones.
    """
    policy = named_set(policies, settings_of(inputs.config)) if policies else None
    places = inputs.geo, inputs.anonymizers
    with Session(inputs.config, inputs.accounts, *places, policy=policy) as session:
        judged = _judged(session, _read(inputs, traffic, progress), traffic, exchange)
        return judged, _explained(session, judged)


def explain_record(
    config: Path, exchange: str, environment: Mapping[str, str] | None = None
) -> FromRecord:
    """A decision of the audit log, judged again by the archived set that its record names."""
    settings = settings_of(config, environment=environment)
    decision, completion = _records(settings, exchange)
    policy = archived(str(decision.fields["policy"]), settings)
    again, account = judged_record(policy, settings, decision)
    return FromRecord(again, account, completion)


def judged_record(
    policy: PolicySet, settings: Settings, decision: Entry
) -> tuple[Again, str | None]:
    """A decision record judged again, and its account where that can be told."""
    names = _pseudonyms(settings)
    accounts = accounts_in(settings.accounts)
    pseudonym = names.of if names else None
    known, withheld = identified(decision.fields, policy, pseudonym, accounts)
    record = recorded(decision, known, withheld)
    again = judge_again(policy, record, Durability[settings.audit.durability.upper()])
    return again, known.get("account.id")


def explain_facts(directory: Path, facts: Path, now_ns: int) -> Explanation:
    """What the policies of a directory say of bare facts."""
    policy = load(directory)
    said = judged_facts(policy, facts, now_ns)
    weighed = said.weighed
    at_ns = weighed.arrival.at_ns
    known = {**weighed.facts, "request.dialect": weighed.dialect.value}
    return explain(policy, known, weighed.plan, said.readings, said.decision, at_ns)


def _explained(session: Session, judged: Judged) -> Explanation:
    weighed = judged.weighed
    facts = {**weighed.facts, "request.dialect": weighed.dialect.value}
    at_ns = weighed.arrival.at_ns
    plan, readings = weighed.plan, judged.readings
    return explain(session.policy, facts, plan, readings, judged.decision, at_ns)


def _read(
    inputs: Inputs, traffic: Path, progress: Callable[[int, int], None] | None
) -> Iterator[RecordedExchange]:
    """The exchanges of a recording, or of a .json file that is one."""
    if traffic.suffix == ".json":
        yield _single(traffic)
        return
    judged = 0

    def at_byte(position: int) -> None:
        if progress:
            progress(position, judged)

    skip_bad: Callable[[str], None] | None = (lambda _: None) if inputs.skip_bad else None
    for exchange in read_traffic(traffic, skip_bad=skip_bad, progress=at_byte):
        yield exchange
        judged += 1


def _single(file: Path) -> RecordedExchange:
    try:
        return parse_line(file.read_bytes())
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}"
        raise TrafficError(msg) from error
    except ValueError as error:
        msg = f"{file}: {error}"
        raise TrafficError(msg) from error


def _judged(
    session: Session, exchanges: Iterator[RecordedExchange], traffic: Path, exchange: str | None
) -> Judged:
    first: Judged | None = None
    for recorded_exchange in exchanges:
        if exchange is None and first is not None:
            msg = (
                f"{traffic}: holds more than one exchange: say which, such as "
                f"--id {first.recorded.id}"
            )
            raise TrafficError(msg)
        judged = session.judge(recorded_exchange)
        if judged.recorded.id == exchange:
            return judged
        first = first or judged
    if exchange is not None:
        msg = f'{traffic}: there is no exchange "{exchange}" in it'
        raise TrafficError(msg)
    if first is None:
        msg = f"{traffic}: there is no exchange in it"
        raise TrafficError(msg)
    return first


def _records(settings: Settings, exchange: str) -> tuple[Entry, Entry | None]:
    """The records of an exchange: its decision, and how it ended, if it has."""
    directory = settings.audit_directory
    try:
        found = _found(directory, exchange)
    except OSError as error:
        message = f"cannot be read: {error.strerror} (the audit log)"
        raise ProblemsError([Problem(str(directory), 0, 0, message)]) from error
    decision = found.get("decision")
    if decision is None:
        message = f'the audit log has no decision on an exchange "{exchange}"'
        raise ProblemsError([Problem(str(directory), 0, 0, message)])
    if "verdict" not in decision.fields or "policy" not in decision.fields:
        msg = f"{directory}: the record of {exchange} says neither verdict nor policy"
        raise AuditDamaged(msg)
    return decision, found.get("completion")


def _found(directory: Path, exchange: str) -> dict[str, Entry]:
    """An exchange's records by type: all of them are in the log of one worker."""
    for log in logs_in(directory):
        found = {e.type: e for e in entries(log, exchange=exchange) if e.type in _WANTED}
        if found:
            return found
    return {}


_WANTED = ("decision", "completion")


def _pseudonyms(settings: Settings) -> Pseudonyms | None:
    """The names that the gateway gives; None where its key is not here. Makes no key."""
    kept = settings.state_dir / "keys.json"
    keys = ensured(settings) if kept.exists() else configured(settings)
    return Pseudonyms(keys.pseudonym) if keys else None
