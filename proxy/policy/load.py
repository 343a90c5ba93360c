"""Policy files to one policy set, or every fault of all of them at once."""

import hashlib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import TypedDict

from proxy.model.exchange import SURFACE_NAMES, Dialect
from proxy.model.verdict import Durability, Mode, OnMissing, Unit, Verdict
from proxy.policy.checked import check
from proxy.policy.countries import COUNTRIES
from proxy.policy.match import Condition, Match, any_of, globbed, one_of
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import (
    FingerprintRule,
    GeographyRule,
    Limit,
    PolicySet,
    QuotaRule,
)
from proxy.policy.schema import (
    FingerprintSpec,
    GeographySpec,
    MatchSpec,
    PolicyFile,
    QuotaSpec,
    RuleSpec,
    ValuesOrList,
    duration_s,
)
from proxy.policy.yamlfile import Document, Path, parse

SUBJECTS = {"account": "account.id", "key": "account.key", "organization": "account.organization"}
SECTIONS = ("geography", "fingerprints", "quotas")


def load(directory: FilePath) -> PolicySet:
    """Compile every .yaml and .yml file in `directory`; ProblemsError names all faults."""
    return compile_texts(*read(directory))


def read(directory: FilePath) -> tuple[list[tuple[str, bytes]], list[Problem]]:
    """Names and texts of a directory's policy files, and which of them cannot be read.

    ProblemsError where there is no such directory, or no policy file in it.
    """
    if not directory.is_dir():
        message = "no such directory (policies are YAML files in a directory)"
        raise ProblemsError([Problem(str(directory), 0, 0, message)])
    try:
        files = sorted(path for path in directory.iterdir() if _is_policy(path))
    except OSError as error:
        problem = Problem(str(directory), 0, 0, f"cannot be read: {error.strerror}")
        raise ProblemsError([problem]) from error
    if not files:
        message = "no .yaml file in this directory, so there is no policy to apply"
        raise ProblemsError([Problem(str(directory), 0, 0, message)])
    texts: list[tuple[str, bytes]] = []
    problems: list[Problem] = []
    for path in files:
        if path.exists() and not path.is_file():
            problems.append(Problem(str(path), 0, 0, "cannot be read: not a regular file"))
            continue
        try:
            texts.append((str(path), path.read_bytes()))
        except OSError as error:
            problems.append(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}"))
    return texts, problems


def _is_policy(path: FilePath) -> bool:
    """Whether a file holds policies; those that begin with a dot are an editor's own."""
    return path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith(".")


def compile_texts(
    texts: Iterable[tuple[str, bytes]], problems: Iterable[Problem] = ()
) -> PolicySet:
    """Compile named YAML texts into one set; ProblemsError names all faults of all of them."""
    return _Compiler(list(texts), list(problems)).compile()


def digest_of(texts: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over the files' base names and contents, in the order of their names."""
    digest = hashlib.sha256()
    for name, text in sorted((FilePath(name).name, text) for name, text in texts):
        digest.update(f"{len(name)}:{name}:{len(text)}:".encode())
        digest.update(text)
    return f"sha256:{digest.hexdigest()}"


class _Common(TypedDict):
    """The fields of `Rule`."""

    id: str
    match: Match
    mode: Mode
    on_missing: OnMissing
    message: str | None
    durability: Durability | None
    description: str


class _Compiler:
    """One load. Faults gather in `problems`; a rule with a fault is left out."""

    def __init__(self, texts: list[tuple[str, bytes]], problems: list[Problem]) -> None:
        self.texts = texts
        self.problems = problems
        self.lists: dict[str, tuple[str, ...]] = {}
        self.places: dict[str, Problem] = {}

    def compile(self) -> PolicySet:
        parsed: list[tuple[Document, PolicyFile]] = []
        for name, text in self.texts:
            document = parse(name, text)
            if document.data is None and not document.problems:
                message = "the file is empty: write rules, or remove it"
                document.problems.append(Problem(name, 0, 0, message))
            spec = check(PolicyFile, document)
            self.problems.extend(document.problems)
            if spec:
                parsed.append((document, spec))
        for document, spec in parsed:
            self._add_lists(document, spec)
        for document, spec in parsed:
            self._check_ids(document, spec)
        quotas = [
            self._quota(d, ("quotas", i), q) for d, f in parsed for i, q in enumerate(f.quotas)
        ]
        places = [
            self._geography(d, ("geography", i), g)
            for d, f in parsed
            for i, g in enumerate(f.geography)
        ]
        prints = [
            self._fingerprint(d, ("fingerprints", i), p)
            for d, f in parsed
            for i, p in enumerate(f.fingerprints)
        ]
        if self.problems:
            raise ProblemsError(self.problems)
        return PolicySet(
            digest=digest_of(self.texts),
            geography=tuple(places),
            fingerprints=tuple(prints),
            quotas=tuple(quotas),
            lists=self.lists,
            files=tuple(name for name, _ in self.texts),
        )

    def _add_lists(self, document: Document, spec: PolicyFile) -> None:
        for name, values in spec.lists.items():
            if name in self.lists:
                message = f'the list "{name}" is defined twice'
                self.problems.append(document.problem(("lists", name), message, at_key=True))
            self._filled(document, ("lists", name), values)
            self.lists[name] = tuple(values)

    def _check_ids(self, document: Document, spec: PolicyFile) -> None:
        for section in SECTIONS:
            rules: list[RuleSpec] = getattr(spec, section)
            for i, rule in enumerate(rules):
                place = document.problem((section, i, "id"), "")
                first = self.places.setdefault(rule.id, place)
                if first is not place:
                    message = f'the id "{rule.id}" is taken by {first.file}:{first.line}'
                    self.problems.append(document.problem((section, i, "id"), message))

    def _values(self, document: Document, path: Path, given: ValuesOrList) -> list[str]:
        """The strings meant by a list or by "$name" of one."""
        if isinstance(given, list):
            self._filled(document, path, given)
            return given
        name = given[1:]
        if not given.startswith("$"):
            message = f'write a list ([{given}]), or "$name" of an entry under lists'
            self.problems.append(document.problem(path, message))
        elif name not in self.lists:
            near = get_close_matches(name, self.lists, n=1)
            hint = f' (did you mean "${near[0]}"?)' if near else ""
            message = f'there is no list "{name}"{hint}'
            self.problems.append(document.problem(path, message))
        return list(self.lists.get(name, ()))

    def _filled(self, document: Document, path: Path, values: list[str]) -> None:
        """A list, or a value in it, that nothing can ever match would silence its rule."""
        if not values:
            message = "an empty list matches nothing: name values, or remove the key"
            self.problems.append(document.problem(path, message))
        for i, value in enumerate(values):
            if not value.strip():
                message = "an empty text matches nothing: name a value, or remove it"
                self.problems.append(document.problem((*path, i), message))

    def _match(self, document: Document, path: Path, spec: MatchSpec) -> Match:
        makers = {
            "surfaces": (one_of, "request.surface"),
            "dialects": (one_of, "request.dialect"),
            "tiers": (one_of, "account.tier"),
            "accounts": (one_of, "account.id"),
            "organizations": (one_of, "account.organization"),
            "labels": (any_of, "account.labels"),
            "models": (globbed, "request.model"),
            "ja4": (globbed, "client.ja4"),
        }
        conditions: list[Condition] = []
        for key, (make, fact) in makers.items():
            given: ValuesOrList | None = getattr(spec, key)
            if given is not None:
                where = (*path, "match", key)
                values = self._values(document, where, given)
                if key == "dialects":
                    self._known(document, where, values, [d.value for d in Dialect], "dialect")
                if key == "surfaces":
                    self._known(document, where, values, SURFACE_NAMES, "surface")
                conditions.append(make(fact, values))
        return Match(tuple(conditions))

    def _known(
        self, document: Document, path: Path, values: list[str], known: Iterable[str], what: str
    ) -> None:
        for i, value in enumerate(values):
            if value not in known:
                near = get_close_matches(value, known, n=1)
                hint = f' (did you mean "{near[0]}"?)' if near else ""
                message = f'"{value}" is not a {what}{hint}'
                self.problems.append(document.problem((*path, i), message))

    def _common(
        self, document: Document, path: Path, spec: RuleSpec, on_missing: OnMissing
    ) -> _Common:
        """What every rule has; `on_missing` is what its kind does where the file does not say."""
        return _Common(
            id=spec.id,
            match=self._match(document, path, spec.match),
            mode=Mode(spec.mode),
            on_missing=OnMissing(spec.on_missing) if spec.on_missing else on_missing,
            message=spec.message,
            durability=Durability[spec.durability.upper()] if spec.durability else None,
            description=spec.description,
        )

    def _quota(self, document: Document, path: Path, spec: QuotaSpec) -> QuotaRule:
        limits = tuple(
            Limit(unit, amount)
            for unit in Unit
            if (amount := getattr(spec.limit, unit.value)) is not None
        )
        if not limits:
            message = (
                "a quota needs at least one limit: requests, tokens, input_tokens, output_tokens"
            )
            self.problems.append(document.problem((*path, "limit"), message))
        return QuotaRule(
            **self._common(document, path, spec, OnMissing.APPLY),
            subject=SUBJECTS[spec.per],
            limits=limits,
            window_s=duration_s(spec.window),
            assume_output_tokens=spec.assume_output_tokens,
        )

    def _geography(self, document: Document, path: Path, spec: GeographySpec) -> GeographyRule:
        given = [k for k in ("deny_countries", "allow_countries") if getattr(spec, k) is not None]
        if len(given) != 1:
            message = "a geography rule needs either deny_countries or allow_countries"
            self.problems.append(document.problem(path, message))
        key = given[0] if given else "deny_countries"
        where = (*path, key)
        countries = self._values(document, where, getattr(spec, key) or ["XK"])
        self._known(document, where, countries, COUNTRIES, "country code (ISO 3166, two capitals)")
        if spec.legal and spec.durability not in (None, "before"):
            message = "a legal rule is recorded before anything leaves: use durability: before"
            self.problems.append(document.problem((*path, "durability"), message))
        common = self._common(document, path, spec, OnMissing.APPLY)
        if spec.legal:
            common["durability"] = Durability.BEFORE
        return GeographyRule(
            **common,
            countries=frozenset(countries),
            inverted=key == "allow_countries",
            legal=spec.legal,
        )

    def _fingerprint(
        self, document: Document, path: Path, spec: FingerprintSpec
    ) -> FingerprintRule:
        if spec.then == "deny" and not spec.reveals:
            message = (
                "deny tells the caller that he was recognized; "
                "use throttle, or accept that with reveals: true"
            )
            self.problems.append(document.problem((*path, "then"), message))
        if spec.message is not None and not spec.reveals:
            message = (
                "a refusal by fingerprint looks like the account's own limit; "
                "a message of its own needs reveals: true"
            )
            self.problems.append(document.problem((*path, "message"), message))
        return FingerprintRule(
            **self._common(document, path, spec, OnMissing.ABSTAIN),
            accounts=spec.template.accounts,
            within_s=duration_s(spec.template.within),
            verdict=Verdict.DENY if spec.then == "deny" else Verdict.THROTTLE,
        )
