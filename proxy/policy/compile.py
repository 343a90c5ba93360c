"""Checked specifications to compiled rules: one load of policy files."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from proxy.model.decision import NOTHING_MODIFIED, Modifiers
from proxy.model.facts import CATALOGUE
from proxy.model.plan import NEVER_NS
from proxy.model.verdict import (
    Durability,
    Mode,
    OnMissing,
    OnUnavailable,
    Severity,
    Verdict,
)
from proxy.policy.checked import check
from proxy.policy.compile_match import COUNTRY_CODE, MatchCompiler
from proxy.policy.compile_quota import Seen, price_entry, quota_fields
from proxy.policy.countries import COUNTRIES
from proxy.policy.match import Keyed, Match
from proxy.policy.partial import SECTIONS, ids_of, list_names, readable
from proxy.policy.prices import Entry, Prices
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.reveals import giving_away
from proxy.policy.rules import (
    AccessRule,
    ExceptionRule,
    FingerprintRule,
    Fuse,
    GeographyRule,
    PolicySet,
    QuotaRule,
)
from proxy.policy.schema import (
    AccessSpec,
    ActionSpec,
    ExceptionSpec,
    FingerprintSpec,
    GeographySpec,
    ModifySpec,
    PolicyFile,
)
from proxy.policy.schema_quota import PriceSpec, QuotaSpec
from proxy.policy.schema_rule import RuleSpec
from proxy.policy.schema_texts import duration_s, instant_ns
from proxy.policy.yamlfile import Document, Path, parse

LONGEST_DELAY_S = 60
NOT_STATIC = "a subject is named by static facts: what the store reads is known only after"

Made = TypeVar("Made")


class Compiler:
    """One load. Faults gather in `problems`; if there is one there is no set."""

    def __init__(self, texts: list[tuple[str, bytes]], problems: list[Problem]) -> None:
        self.texts = texts
        self.problems = problems
        self.places: dict[str, tuple[str, int, int]] = {}

    def compile(self, digest: str) -> PolicySet:
        """The set that the texts say; ProblemsError with every fault of all of them."""
        parsed = list(self._parsed())
        lists = self._lists(parsed)
        self.complete = len(parsed) == len(self.texts)
        self.matches = MatchCompiler(lists, self.problems, complete=self.complete)
        for document, spec in parsed:
            for name, values in spec.lists.items():
                self.matches.lists_filled(document, name, values)
            self._check_ids(document, spec)
        self.model_groups = self._model_groups(parsed)
        self.prices = Prices(tuple(self._each(parsed, "prices", self._price)))
        self.quotas = {
            rule.id: rule for _, spec in parsed for rule in spec.quotas if rule is not None
        }
        self.ids = frozenset[str]().union(*(ids_of(document) for document, _ in parsed))
        priced = any(spec.prices for _, spec in parsed)
        self.seen = Seen(self.ids, priced, self.complete)
        made: dict[str, tuple[Any, ...]] = {
            section: tuple(self._each(parsed, section, make))
            for section, make in self._makers().items()
        }
        for document, spec in parsed:
            self._check_exempt(document, spec, made)
        if self.problems:
            raise ProblemsError(self.problems)
        return PolicySet(
            digest=digest,
            lists=lists,
            model_groups=self.model_groups,
            files=tuple(name for name, _ in self.texts),
            places=self.places,
            sources=tuple(parsed),
            **made,
        )

    def _makers(self) -> dict[str, Callable[[Document, Path, Any], object]]:
        return {
            "exceptions": self._exception,
            "geography": self._geography,
            "access": self._access,
            "fingerprints": self._fingerprint,
            "quotas": self._quota,
        }

    def _parsed(self) -> Iterator[tuple[Document, PolicyFile]]:
        for name, text in self.texts:
            document = parse(name, text)
            if document.data is None and not document.problems:
                message = "the file is empty: write rules, or remove it"
                document.problems.append(Problem(name, 0, 0, message))
            legible = not document.problems
            spec = check(PolicyFile, document, empty=False)
            self.problems.extend(document.problems)
            if spec is None and legible:
                spec = readable(document)
            if spec:
                yield document, spec

    def _lists(self, parsed: list[tuple[Document, PolicyFile]]) -> dict[str, tuple[str, ...]]:
        lists: dict[str, tuple[str, ...]] = {}
        first: dict[str, Problem] = {}
        for document, spec in parsed:
            for name, values in spec.lists.items():
                here = document.problem(("lists", name), "", at_key=True)
                before = first.setdefault(name, here)
                if before is not here:
                    message = f'the list "{name}" is defined already by {before.file}:{before.line}'
                    self.problems.append(document.problem(("lists", name), message, at_key=True))
                lists[name] = tuple(values)
        wrong = frozenset[str]().union(*(list_names(document) for document, _ in parsed))
        return dict.fromkeys(sorted(wrong - lists.keys()), ()) | lists

    def _model_groups(
        self, parsed: list[tuple[Document, PolicyFile]]
    ) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {}
        for document, spec in parsed:
            for name, models in spec.model_groups.items():
                path: Path = ("model_groups", name)
                if name in groups:
                    message = f'the group "{name}" is defined twice'
                    self.problems.append(document.problem(path, message, at_key=True))
                groups[name] = tuple(self.matches.values(document, path, models))
        return groups

    def _price(self, document: Document, path: Path, spec: PriceSpec) -> Entry:
        if spec.not_before and spec.until and instant_ns(spec.not_before) >= instant_ns(spec.until):
            self._fault(document, (*path, "until"), "the prices end before they begin")
        models = self.matches.values(document, (*path, "models"), spec.models)
        return price_entry(spec, models)

    def _each(
        self,
        parsed: list[tuple[Document, PolicyFile]],
        section: str,
        make: Callable[[Document, Path, Any], Made],
    ) -> Iterator[Made]:
        for document, spec in parsed:
            for i, rule in enumerate(getattr(spec, section)):
                if rule is not None:
                    yield make(document, (section, i), rule)

    def _check_ids(self, document: Document, spec: PolicyFile) -> None:
        written = [
            (document.problem((section, i, "id"), ""), rule.id)
            for section in SECTIONS
            for i, rule in enumerate(getattr(spec, section))
            if rule is not None
        ]
        for here, id_ in sorted(written):
            place = (here.file, here.line, here.column)
            first = self.places.get(id_)
            if first is None:
                self.places[id_] = place
            else:  # of an alias at the same place, for it is the same text
                message = f'the id "{id_}" is taken by {first[0]}:{first[1]}'
                self.problems.append(Problem(*place, message))

    def _fault(self, document: Document, path: Path, message: str) -> None:
        self.problems.append(document.problem(path, message))

    # What every rule has

    def _common(
        self, document: Document, path: Path, spec: RuleSpec, on_missing: OnMissing
    ) -> dict[str, Any]:
        """The fields of `Rule`; `on_missing` is what its kind does where the file does not say.

        One that recognizes callers abstains then: most accounts are in no cluster.
        """
        match = self.matches.match(document, (*path, "match"), spec.match)
        recognizes = any(CATALOGUE[fact].recognizes for fact in match.facts)
        default = OnMissing.ABSTAIN if recognizes else on_missing
        missing = OnMissing(spec.on_missing) if spec.on_missing else default
        legal = bool(getattr(spec, "legal", False))
        self._check_dates(document, path, spec)
        self._check_legal(document, path, spec, legal)
        durability = Durability[spec.durability.upper()] if spec.durability else None
        return {
            "id": spec.id,
            "match": match,
            "mode": Mode(spec.mode),
            "on_missing": missing,
            "on_error": OnMissing(spec.on_error) if spec.on_error else missing,
            "on_unavailable": OnUnavailable(spec.on_unavailable or "allow"),
            "message": spec.message,
            "reason": spec.reason,
            "durability": Durability.BEFORE if legal else durability,
            "description": spec.description,
            "rollout": None if spec.rollout in (None, 100) else spec.rollout / 100,
            "not_before_ns": instant_ns(spec.not_before) if spec.not_before else 0,
            "expires_ns": instant_ns(spec.expires) if spec.expires else NEVER_NS,
            "severity": Severity(spec.severity or "informational"),
            "labels": tuple(spec.labels),
            "fuse": Fuse(spec.fuse.accounts, duration_s(spec.fuse.within)) if spec.fuse else None,
            "legal": legal,
            "reveals": spec.reveals,
            "recognizes": recognizes,
            "pending": any(CATALOGUE[fact].reading for fact in match.facts),
        }

    def _check_dates(self, document: Document, path: Path, spec: RuleSpec) -> None:
        if not (spec.not_before and spec.expires):
            return
        if instant_ns(spec.not_before) >= instant_ns(spec.expires):
            message = "the rule expires before it begins: it would never work"
            self._fault(document, (*path, "expires"), message)

    def _check_legal(self, document: Document, path: Path, spec: RuleSpec, legal: bool) -> None:
        if legal and spec.durability not in (None, "before"):
            message = "a legal rule is recorded before anything leaves: use durability: before"
            self._fault(document, (*path, "durability"), message)
        if legal and spec.fuse:
            message = "a legal rule has no fuse: it must not stop acting by itself"
            self._fault(document, (*path, "fuse"), message)

    def _no_readings(self, document: Document, path: Path, match: Match, kind: str) -> None:
        """A match over reading facts cannot select what is charged, nor what is settled before."""
        for fact in sorted(match.facts):
            if CATALOGUE[fact].reading:
                message = (
                    f"{fact} is known only after the store was asked, so {kind} cannot match it; "
                    "an access rule can"
                )
                self._fault(document, (*path, "match"), message)

    def _needs_no_store(self, document: Document, path: Path, spec: RuleSpec) -> None:
        if spec.on_unavailable:
            message = "this rule never asks the store: remove on_unavailable"
            self._fault(document, (*path, "on_unavailable"), message)

    def _reveals(
        self, document: Document, path: Path, spec: RuleSpec, common: dict[str, Any]
    ) -> None:
        """What gives a recognized caller away needs `reveals: true`."""
        if spec.reveals and not common["recognizes"]:
            message = "this rule recognizes nobody, so it reveals nothing: remove the key"
            self._fault(document, (*path, "reveals"), message)
        if common["recognizes"] and not spec.reveals:
            selects = any(CATALOGUE[fact].recognizes for fact in common["match"].facts)
            for key, message in giving_away(spec, selects=selects):
                self._fault(document, (*path, key), message)

    def _check_exempt(
        self, document: Document, spec: PolicyFile, made: dict[str, tuple[Any, ...]]
    ) -> None:
        """An exception that recognizes callers lifts only what rests on recognizing them too.

        What else it lifted (a limit that answers show, a refusal) would tell them.
        """
        open_to_all = {
            rule.id for name in SECTIONS[1:] for rule in made[name] if not rule.recognizes
        }
        exceptions = {rule.id: rule for rule in made["exceptions"]}
        for i, written in enumerate(spec.exceptions):
            facts = exceptions[written.id].match.facts if written is not None else frozenset()
            fact = next((fact for fact in sorted(facts) if CATALOGUE[fact].recognizes), None)
            for j, name in enumerate(written.rules if fact else ()):
                if name in open_to_all:
                    message = (
                        f"{name} recognizes nobody: if it did not act because of {fact}, that "
                        "would tell the caller that he was recognized; name accounts instead"
                    )
                    self._fault(document, ("exceptions", i, "rules", j), message)

    # Rules by kind

    def _quota(self, document: Document, path: Path, spec: QuotaSpec) -> QuotaRule:
        common = self._common(document, path, spec, OnMissing.APPLY)

        def fault(below: Path, message: str) -> None:
            self._fault(document, (*path, *below), message)

        def subject(text: str) -> Keyed | None:
            return self.matches.subject(document, (*path, "per", "cel"), text)

        own = quota_fields(spec, self.quotas, self.prices, subject, fault, self.seen)
        by = own["by"].facts if own["by"] else ()
        if "cluster" in own["per"] or any(CATALOGUE[fact].recognizes for fact in by):
            common["recognizes"] = True
            common["on_missing"] = OnMissing(spec.on_missing or "abstain")
        self._no_readings(document, path, common["match"], "a quota")
        if any(CATALOGUE[fact].reading for fact in by):
            self._fault(document, (*path, "per", "cel"), NOT_STATIC)
        self._reveals(document, path, spec, common)
        return QuotaRule(**common, **own)

    def _geography(self, document: Document, path: Path, spec: GeographySpec) -> GeographyRule:
        given = [k for k in ("deny_countries", "allow_countries") if getattr(spec, k) is not None]
        if len(given) != 1:
            message = "a geography rule needs either deny_countries or allow_countries"
            self._fault(document, path, message)
        key = given[0] if given else "deny_countries"
        where = (*path, key)
        written = getattr(spec, key) if given else ["XK"]
        countries = self.matches.values(document, where, written)
        self.matches.known(document, where, written, countries, COUNTRIES, COUNTRY_CODE)
        common = self._common(document, path, spec, OnMissing.APPLY)
        self._no_readings(document, path, common["match"], "a geography rule")
        self._needs_no_store(document, path, spec)
        self._reveals(document, path, spec, common)
        return GeographyRule(
            **common, countries=frozenset(countries), inverted=key == "allow_countries"
        )

    def _access(self, document: Document, path: Path, spec: AccessSpec) -> AccessRule:
        common = self._common(document, path, spec, OnMissing.APPLY)
        if not common["pending"]:
            self._needs_no_store(document, path, spec)
        elif spec.on_unavailable == "local":
            message = "local is for quotas: this rule counts nothing; write deny or allow"
            self._fault(document, (*path, "on_unavailable"), message)
        if spec.then is None and spec.modify is None:
            message = "an access rule needs `then` (deny, throttle, step_up, delay) or `modify`"
            self._fault(document, path, message)
        if spec.retry_after and spec.then != "throttle":
            message = "retry_after is told to throttled callers only: use then: throttle, or remove"
            self._fault(document, (*path, "retry_after"), message)
        elif spec.retry_after and common["recognizes"]:
            message = "a recognized caller is told the reset of his own limit: remove retry_after"
            self._fault(document, (*path, "retry_after"), message)
        self._reveals(document, path, spec, common)
        return AccessRule(
            **common,
            **self._action(document, path, spec),
            retry_after_s=duration_s(spec.retry_after or "60s"),
        )

    def _fingerprint(
        self, document: Document, path: Path, spec: FingerprintSpec
    ) -> FingerprintRule:
        common = self._common(document, path, spec, OnMissing.ABSTAIN)
        common["recognizes"] = True
        self._no_readings(document, path, common["match"], "a fingerprint rule")
        self._needs_no_store(document, path, spec)
        self._reveals(document, path, spec, common)
        action = self._action(document, path, spec)
        if spec.then is None and spec.modify is None:
            action["verdict"] = Verdict.THROTTLE
        return FingerprintRule(
            **common,
            **action,
            accounts=spec.template.accounts,
            within_s=duration_s(spec.template.within),
        )

    def _action(self, document: Document, path: Path, spec: ActionSpec) -> dict[str, Any]:
        """The fields of `ActingRule`."""
        delays = spec.then == "delay"
        delay_s = duration_s(spec.delay) if spec.delay else 0
        if delays and not spec.delay:
            self._fault(document, (*path, "then"), "say how long: delay: 2s")
        if spec.delay and not delays:
            self._fault(document, (*path, "delay"), "delay works with then: delay only")
        if delay_s > LONGEST_DELAY_S:
            message = f"a delay is at most {LONGEST_DELAY_S}s"
            self._fault(document, (*path, "delay"), message)
        if spec.modify and spec.then not in (None, "delay"):
            message = f"a request that is refused (then: {spec.then}) is not modified: choose one"
            self._fault(document, (*path, "modify"), message)
        modifiers = _modifiers(spec.modify) if spec.modify else NOTHING_MODIFIED
        if spec.modify and not modifiers:
            message = "name what is modified: strip, reroute, max_tokens or cut_after"
            self._fault(document, (*path, "modify"), message)
        return {
            "verdict": Verdict[spec.then.upper()] if spec.then else Verdict.ALLOW,
            "delay_s": float(delay_s),
            "modifiers": modifiers,
        }

    def _exception(self, document: Document, path: Path, spec: ExceptionSpec) -> ExceptionRule:
        conditions = self.matches.match(document, (*path, "match"), spec.match).conditions
        self._no_readings(document, path, Match(conditions), "an exception")
        if spec.accounts is not None:
            accounts = self.matches.table(document, (*path, "accounts"), "accounts", spec.accounts)
            conditions = (accounts, *conditions)
        if not conditions and not spec.match.model_fields_set:
            message = "an exception for everybody: name accounts, or give a match"
            self._fault(document, path, message)
        if not spec.rules:
            self._fault(document, (*path, "rules"), "name the rules that do not act")
        if self.complete:
            where = (*path, "rules")
            self.matches.known(
                document, where, spec.rules, spec.rules, self.ids, "rule of this set"
            )
        return ExceptionRule(
            id=spec.id,
            rules=frozenset(spec.rules),
            match=Match(conditions),
            granted_by=spec.granted_by,
            reason=spec.reason,
            expires_ns=instant_ns(spec.until),
            description=spec.description,
        )


def _modifiers(spec: ModifySpec) -> Modifiers:
    return Modifiers(
        strip=tuple(sorted(set(spec.strip))),
        reroute=spec.reroute,
        max_tokens=spec.max_tokens,
        cut_after=spec.cut_after,
    )
