"""One exchange from arrival to record: identify, weigh, decide, record, observe, settle.

The live gateway and replay call the same methods in the same order; between `weigh` and `decide`
they ask the store, and nothing here waits for anything. Parts that change while the process
runs (the directory, the policy set) are attributes that the owner replaces between two exchanges.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as replace_surface

from msgspec.structs import replace

from proxy.detect.sharing import TemplateSharing
from proxy.engine.judge import judge, refused
from proxy.engine.plan import plan
from proxy.engine.settle import settle, settle_batch
from proxy.facts.batch_sample import BatchSample
from proxy.facts.directory import Directory
from proxy.facts.fingerprints import fingerprints, prepare
from proxy.facts.network_traits import network_tokens
from proxy.facts.places import Anonymizers, Places
from proxy.facts.pseudonyms import Pseudonyms
from proxy.facts.relations import Relations
from proxy.model.account import AccountStatus, Caller
from proxy.model.batch import BatchCount, BatchUsage
from proxy.model.decision import Decision, Refusal, RuleOutcome
from proxy.model.exchange import (
    Arrival,
    Asked,
    BadRequest,
    BodyKind,
    Dialect,
    Headers,
    Prompt,
    Surface,
)
from proxy.model.facts import Facts, FactValue
from proxy.model.plan import Charge, Correction, Plan, Readings
from proxy.model.price import Price
from proxy.model.record import Record
from proxy.model.sighting import Described, SharingIndex, Sighting
from proxy.model.usage import Outcome
from proxy.model.verdict import Durability, Mode, RefusalKind, RuleKind, Verdict
from proxy.pipeline import records
from proxy.pipeline.borrowed import Borrowed
from proxy.pipeline.enactable import enactable
from proxy.pipeline.given import NOTHING_GIVEN, Given
from proxy.pipeline.learned import Learned
from proxy.pipeline.weigh import Lookups, Weighed, gather, place_of
from proxy.policy.candidates import CandidateIndex
from proxy.policy.match import wildcards
from proxy.policy.rules import UNNAMED_OUTPUT, PolicySet, QuotaRule
from proxy.store.tokens import Tokens
from proxy.wire.credential import credential
from proxy.wire.request import read
from proxy.wire.surfaces import dialect_of, find

NS_PER_S = 1_000_000_000
# What is known of the clusters of an account, and of an exchange that shows these fingerprints.
ClusterFacts = Callable[[Described, Sequence[int]], Mapping[str, FactValue]]
# Where sightings go, with the texts from which sketches are made.
Seen = Callable[[Described, Sighting, Prompt], None]
UNKNOWN_KEY = "The API key is missing or not valid."

# Gauger's own checks, by what they refuse; rules of the policy never carry these names.
CHECKS = {
    RefusalKind.AUTHENTICATION: "gauger.identity",
    RefusalKind.PERMISSION: "gauger.identity",
    RefusalKind.NOT_FOUND: "gauger.surface",
    RefusalKind.BAD_REQUEST: "gauger.request",
    RefusalKind.TOO_LARGE: "gauger.request",
    RefusalKind.TIMEOUT: "gauger.request",
    RefusalKind.OVERLOADED: "gauger.capacity",
}


# A path segment that every server reads alike: not empty, no dot segment, no encoded slash,
# backslash, dot, semicolon or percent sign, nor anything that is none of RFC 3986's characters.
_PLAIN_SEGMENT = re.compile(
    r"(?!\.{1,2}(?:/|$))"
    r"(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%(?!2[EeFf5]|5[Cc]|3[BbFf]|23|[01]|7[Ff])[0-9A-Fa-f]{2})+"
)


def no_clusters(_account: Described, _tokens: Sequence[int]) -> Mapping[str, FactValue]:
    """Where nothing says who is in which cluster, nothing is known."""
    return {}


def seen_by_nobody(_account: Described, _sighting: Sighting, _prompt: Prompt) -> None:
    """Where no detector runs."""


class Pipeline:
    """The parts that judge an exchange, put together."""

    def __init__(
        self,
        *,
        policy: PolicySet,
        directory: Directory,
        places: Places,
        anonymizers: Anonymizers,
        detector: TemplateSharing,
        pseudonyms: Pseudonyms,
        fingerprint_key: bytes,
        durability: Durability = Durability.BEFORE_ANSWER,
        open_paths: Sequence[str] = (),
        max_json_depth: int = 64,
    ) -> None:
        self.policy = policy
        self._candidates = CandidateIndex(policy)
        self.disarmed: frozenset[str] = frozenset()
        self.directory = directory
        self.places = places
        self.anonymizers = anonymizers
        self.detector = detector
        self.index: SharingIndex = detector.advance(0)
        self.clusters: ClusterFacts = no_clusters
        self.seen: Seen = seen_by_nobody
        self.traits = False  # whether records keep the fingerprints of what is seen
        self._relations = Relations(fingerprint_key)
        self.learned = Learned()
        self.borrowed = Borrowed()
        self.mark: records.MarkOf | None = Tokens(fingerprint_key).mark
        self._pseudonyms = pseudonyms
        self._fingerprint_key = fingerprint_key
        prepare()
        self._durability = durability
        self._opened = wildcards(open_paths)
        self._max_json_depth = max_json_depth

    @property
    def fingerprint_key(self) -> bytes:
        """The key of the fingerprints."""
        return self._fingerprint_key

    def adopt(self, policy: PolicySet) -> None:
        """Judge by another policy set from the next exchange on; counts and sightings stay.

        Where its fingerprint rules ask for other windows, the detector counts anew what it holds.
        """
        if policy.template_windows_s != self.policy.template_windows_s:
            self.detector = self.detector.with_windows(policy.template_windows_s)
        self.policy = policy
        self._candidates = CandidateIndex(policy)

    def surface(self, method: str, path: str, headers: Headers) -> Surface | None:
        """The surface that claims a path, or `open` for one that the configuration admits.

        A path that an upstream could read as another one (`/open/../v1/messages`) is not opened:
        what is behind it would be judged by the wrong rules.
        """
        found = find(method, path, headers)
        if found is None and self._opened(path) and not self._hides(method, path, headers):
            return Surface("open", dialect_of(path, headers), BodyKind.OPAQUE, generates=False)
        return found

    def _hides(self, method: str, path: str, headers: Headers) -> bool:
        plain = path.removesuffix("/") or "/"
        if plain != path and find(method, plain, headers) is not None:
            return True
        return plain != "/" and not all(map(_PLAIN_SEGMENT.fullmatch, plain.split("/")[1:]))

    def identify(
        self,
        headers: Headers,
        at_ns: int,
        *,
        named_account: str | None = None,
        named_key: str | None = None,
    ) -> Caller | Refusal:
        """Whose exchange it is; `named_…` come from a trusted peer or a recording."""
        if named_account is not None:
            caller = self.directory.by_account(named_account)
        elif named_key is not None:
            caller = self.directory.by_key_id(named_key)
        else:
            secret = credential(headers)
            if isinstance(secret, BadRequest):
                return _bad_request(secret)
            caller = self.directory.by_credential(secret) if secret else None
        if caller is None or (caller.account.created_at or 0) * NS_PER_S > at_ns:
            return Refusal(RefusalKind.AUTHENTICATION, UNKNOWN_KEY, should_retry=False)
        if caller.account.status is not AccountStatus.ACTIVE:
            message = f"This account is {caller.account.status.value}."
            return Refusal(RefusalKind.PERMISSION, message, should_retry=False)
        return caller

    def weigh(
        self,
        arrival: Arrival,
        surface: Surface | None,
        who: Caller | Refusal,
        problem: Refusal | None = None,
        batch: BatchCount | None = None,
        given: Given = NOTHING_GIVEN,
    ) -> Weighed:
        """Read the request, gather facts, and plan.

        `problem` is what the edge found wrong with the body (too large, too slow, not decodable),
        `batch` what the lines of a submitted batch ask for, `given` what was read before.
        """
        dialect = surface.dialect if surface else dialect_of(arrival.path, arrival.headers)
        if surface is None:
            message = f"Unknown path: {arrival.method} {_shown(arrival.path)}"
            return self._refused(
                arrival, surface, dialect, who, Refusal(RefusalKind.NOT_FOUND, message)
            )
        if isinstance(who, Refusal) or problem is not None:
            refusal = who if isinstance(who, Refusal) else problem
            return self._refused(arrival, surface, dialect, who, refusal)
        asked = self._read(arrival, surface) if given.asked is None else given.asked
        if isinstance(asked, BadRequest):
            return self._refused(arrival, surface, dialect, who, _bad_request(asked))
        charged, alone = surface, asked
        if batch is not None:
            asked, charged = self._of_batch(asked, batch), replace_surface(surface, generates=True)
        place = place_of(arrival.client_ip, self.places, self.anonymizers)
        key = self._fingerprint_key
        if given.tokens is None:
            tokens = fingerprints(arrival, alone, place, key)
        else:
            tokens = (*network_tokens(place, key), *given.tokens)
        if batch is not None:
            tokens = tuple(dict.fromkeys((*tokens, *batch.tokens)))
        lookups = Lookups(
            self.index.template_accounts,
            self.policy.model_group,
            self.clusters,
            self.learned.output_p95,
            self.learned.input_factor,
        )
        described = self._relations.of(who.account)
        facts = given.over(gather(arrival, charged, asked, who, described, tokens, place, lookups))
        wanted = self.plan(facts, arrival.at_ns, arrival.id)
        return Weighed(
            arrival,
            surface,
            dialect,
            asked,
            who,
            facts,
            tokens,
            wanted,
            self.index.version,
            batch=batch,
        )

    def _of_batch(self, asked: Asked, batch: BatchCount) -> Asked:
        """What all requests of a batch ask together; those without a bound what is expected."""
        unbounded = 0
        for part in batch.parts:
            expected = self.learned.output_p95(part.model or "", part.surface)
            unbounded += part.unbounded * (expected or UNNAMED_OUTPUT)
        return replace(
            asked,
            model=batch.model,
            requests=max(1, batch.requests),
            input_tokens_estimate=batch.input_tokens,
            max_output_tokens=batch.max_output_tokens + unbounded,
            prompt=Prompt(turns=max(1, asked.prompt.turns)),
        )

    def batch_sample(self) -> BatchSample:
        """What fingerprints the lines of one batch while they are counted."""
        return BatchSample(self._fingerprint_key)

    def plan(self, facts: Facts, at_ns: int, id_: str = "") -> Plan:
        """What the policy wants for an exchange with these facts at that time."""
        candidates = self._candidates.of(facts)
        return plan(candidates, facts, at_ns, self._durability, self.disarmed, id_)

    def decide(self, weighed: Weighed, readings: Readings) -> Decision:
        """The decision; a pure function of the weighed exchange and the readings.

        What it shows of limits also hangs on what the account was told before (`borrowed`).
        """
        if weighed.refusal is None:
            said = judge(self.policy, weighed.plan, readings, weighed.index, weighed.facts)
            account = str(weighed.facts["account.id"])
            said = self.borrowed.shown(account, said, weighed.arrival.at_ns)
            return enactable(weighed.surface, said)
        outcome = RuleOutcome(
            rule=CHECKS.get(weighed.refusal.kind, "gauger.request"),
            kind=RuleKind.BUILTIN,
            mode=Mode.ENFORCE,
            verdict=Verdict.DENY,
            why=weighed.refusal.kind.value,
        )
        return refused(self.policy, weighed.plan, outcome, weighed.refusal)

    def decision_record(self, weighed: Weighed, readings: Readings, decision: Decision) -> Record:
        """The audit entry of a decision."""
        traits = weighed.tokens if self.traits and _is_seen(weighed) else None
        return records.decision_record(
            weighed, readings, decision, self._pseudonyms.of, self.policy.reads, self.mark, traits
        )

    def observe(self, weighed: Weighed, decision: Decision, position: int) -> None:
        """Show the exchange to the detector, once it has its place in the log."""
        if weighed.caller is None or weighed.asked is None:
            return
        key, asked = weighed.caller.key, weighed.asked
        sighting = Sighting(
            position=position,
            at_ns=weighed.arrival.at_ns,
            account=weighed.caller.account.account,
            tokens=weighed.tokens,
            served=not decision.verdict.refuses,
            turns=asked.prompt.turns,
            input_tokens=asked.input_tokens_estimate,
            requests=asked.requests,
            honeypot=key is not None and key.honeypot,
        )
        self.detector.observe(sighting)
        if _is_seen(weighed):
            self.seen(self._relations.of(weighed.caller.account), sighting, asked.prompt)

    def advance(self, now_ns: int) -> None:
        """Let the detector take the steps that are due, and look things up in what it found."""
        self.index = self.detector.advance(now_ns)

    def settle(
        self, weighed: Weighed, readings: Readings, outcome: Outcome
    ) -> tuple[Correction, ...]:
        """Corrections of what was reserved; none where nothing was taken."""
        if not (weighed.surface and weighed.surface.generates):
            # Fetching a stored answer reports its usage again; it was charged when it was made.
            outcome = replace(outcome, usage=None, delivered_output_tokens=0)
        elif weighed.asked is not None and weighed.asked.background:
            # It goes on without its caller, who can fetch the answer later.
            outcome = replace(outcome, unknown=True)
        self._learn(weighed, outcome)
        return settle(weighed.plan, readings, outcome) if readings.taken else ()

    def _learn(self, weighed: Weighed, outcome: Outcome) -> None:
        """Learn how long a model's answers are, and how far the estimate of its input is off."""
        asked, usage = weighed.asked, outcome.usage
        answered = outcome.complete and outcome.status == 200 and usage is not None
        if not answered or asked is None or asked.model is None or asked.requests > 1:
            return
        assert usage is not None
        assert weighed.surface is not None
        name, estimate = weighed.surface.name, asked.input_tokens_estimate
        if asked.choices > 1:  # what is learned is of one answer
            usage = replace(usage, output_tokens=usage.output_tokens // asked.choices)
        reserved = weighed.plan.output_tokens // asked.choices
        self.learned.observe(asked.model, name, estimate, reserved, usage)

    def settle_batch(
        self, wanted: Plan, readings: Readings, used: BatchUsage
    ) -> tuple[Correction, ...]:
        """Corrections of what a batch reserved to what its results say that it used."""

        def price(charge: Charge, model: str | None) -> Price:
            rule = self.policy.by_id.get(charge.rule)
            # An answer may name a dated version that no entry knows by this name.
            named = rule.prices.named(model, wanted.at_ns) if isinstance(rule, QuotaRule) else None
            price = named or charge.price
            assert price is not None
            return price

        return settle_batch(wanted, readings, used, price)

    def completion_record(
        self, weighed: Weighed, outcome: Outcome, corrections: tuple[Correction, ...], at_ns: int
    ) -> Record:
        """The audit entry of how a forwarded exchange ended."""
        return records.completion_record(weighed, outcome, corrections, at_ns)

    def _read(self, arrival: Arrival, surface: Surface) -> Asked | BadRequest:
        if surface.body is not BodyKind.JSON:
            return Asked()
        return read(surface, arrival.body or b"", max_depth=self._max_json_depth)

    def _refused(
        self,
        arrival: Arrival,
        surface: Surface | None,
        dialect: Dialect,
        who: Caller | Refusal,
        refusal: Refusal | None,
    ) -> Weighed:
        caller = None if isinstance(who, Refusal) else who
        facts: Facts = {"request.surface": surface.name} if surface else {}
        if caller is not None:
            facts = {**facts, "account.id": caller.account.account}
        empty = Plan(at_ns=arrival.at_ns, take=False, durability=self._durability)
        return Weighed(
            arrival, surface, dialect, None, caller, facts, (), empty, self.index.version, refusal
        )


def _is_seen(weighed: Weighed) -> bool:
    """Whether the detector is shown an exchange: of a known caller, generating, or a batch."""
    if weighed.caller is None or weighed.asked is None or weighed.surface is None:
        return False
    return weighed.surface.generates or weighed.batch is not None


def _bad_request(bad: BadRequest) -> Refusal:
    kind = RefusalKind.TOO_LARGE if bad.status == 413 else RefusalKind.BAD_REQUEST
    return Refusal(kind, bad.message, param=bad.param, status=bad.status, should_retry=False)


def _shown(path: str) -> str:
    """A path as an error message may repeat it: short, printable."""
    text = "".join(c if c.isprintable() else "?" for c in path)
    return text if len(text) <= 120 else text[:119] + "…"
