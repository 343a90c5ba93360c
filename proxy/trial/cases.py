"""Files of cases to cases that can be run, or every fault of all of them at once."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from proxy.policy.checked import check
from proxy.policy.load import compile_texts, is_policy_file, read
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet
from proxy.policy.yamlfile import Document, parse
from proxy.trial.case import Case, World
from proxy.trial.case_facts import read_facts
from proxy.trial.case_reader import Above, CaseReader
from proxy.trial.case_schema import CaseFile
from proxy.trial.case_world import read_world
from proxy.trial.spot import Spot

TESTS = "tests"  # the directory of cases, below that of the policies


def load_set(directory: FilePath) -> tuple[PolicySet, tuple[Case, ...]]:
    """The policy set of a directory, and the cases beside it; ProblemsError names all faults."""
    problems: list[Problem] = []
    policy: PolicySet | None = None
    try:
        policy = compile_texts(*read(directory))
    except ProblemsError as error:
        problems.extend(error.problems)
    cases = read_cases(_texts(directory, problems), policy, problems)
    if problems or policy is None:
        raise ProblemsError(problems)
    return policy, cases


def read_cases(
    texts: list[tuple[str, bytes]], policy: PolicySet | None, problems: list[Problem]
) -> tuple[Case, ...]:
    """The cases of these texts. Without a policy set only their form is checked."""
    cases: list[Case] = []
    for name, text in texts:
        document = parse(name, text)
        if document.data is None and not document.problems:
            document.problems.append(Problem(name, 0, 0, "the file is empty: write cases"))
        spec = check(CaseFile, document)
        if spec is not None and policy is not None:
            cases.extend(_cases(document, spec, policy))
        problems.extend(document.problems)
    return tuple(cases)


def _texts(directory: FilePath, problems: list[Problem]) -> list[tuple[str, bytes]]:
    """Names and texts of the files of cases below a directory of policies."""
    tests = directory / TESTS
    if not directory.is_dir():
        return []  # reading the policies has said so
    if not tests.is_dir():
        problems.append(Problem(str(tests), 0, 0, "no such directory, so there is no case to run"))
        return []
    files = sorted(filter(is_policy_file, tests.iterdir()))
    if not files:
        problems.append(Problem(str(tests), 0, 0, "no .yaml file here, so there is no case to run"))
    texts: list[tuple[str, bytes]] = []
    for path in files:
        try:
            texts.append((str(path), path.read_bytes()))
        except OSError as error:
            problems.append(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}"))
    return texts


def _cases(document: Document, spec: CaseFile, policy: PolicySet) -> Iterator[Case]:
    spot = Spot(document)
    defaults = spot.at("defaults")
    facts = read_facts(spec.defaults.facts or {}, policy.template_windows_s, defaults.at("facts"))
    world = read_world(spec.defaults, World(), defaults)
    if spec.defaults.exchange is not None and spec.defaults.exchange.expect is not None:
        defaults.at("exchange", "expect").key_fault("each case says itself what it expects")
    above = Above(policy, spec.defaults, facts, world)
    if not spec.cases:
        spot.at("cases").fault("an empty list: write cases")
    names: dict[str, int] = {}
    for i, case in enumerate(spec.cases):
        here = spot.at("cases", i)
        place = document.problem((*here.path, "name"), "")
        first = names.setdefault(case.name, place.line)
        if first != place.line:
            here.at("name").fault(f"the case on line {first} has this name: say how they differ")
        yield from CaseReader(above, case, here, place).cases()
