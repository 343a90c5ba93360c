"""A file with what is known of one exchange, to that exchange judged: a case without a name.

The keys are those of a case (`at`, `facts`, `counters`, `exchange` …); a file that names nothing
but facts needs no key above them.
"""

from pathlib import Path

from proxy.policy.checked import check
from proxy.policy.ending import utc_text
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet
from proxy.policy.yamlfile import Document, parse
from proxy.trial.case import Case, World
from proxy.trial.case_reader import Above, CaseReader
from proxy.trial.case_schema import CaseSpec, DefaultsSpec
from proxy.trial.expect_schema import ExpectSpec
from proxy.trial.run_cases import Trial
from proxy.trial.spot import Spot
from proxy.trial.told import Said


class BareSpec(CaseSpec):
    """What is known of one exchange. Whatever is expected of it is not looked at."""

    name: str = "facts"
    expect: ExpectSpec | None = ExpectSpec(verdict="allow")


def judged_facts(policy: PolicySet, file: Path, now_ns: int) -> Said:
    """The exchange that the file describes, judged by the set, at `now_ns` if it does not say when.

    ProblemsError names every fault of the file.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ProblemsError([Problem(str(file), 0, 0, message)]) from error
    document = parse(str(file), text)
    ran = Trial(policy).run(_case(policy, document, now_ns))
    for rule, unit in ran.uncounted:
        message = f"{rule} counts no {unit.value} of this exchange: remove it"
        document.problems.append(document.problem(("counters", rule, unit.value), message))
    if document.problems:
        raise ProblemsError(document.problems)
    return ran.every[-1]


def _case(policy: PolicySet, document: Document, now_ns: int) -> Case:
    if document.data is None and not document.problems:
        message = "the file is empty: write facts, such as account.tier: free"
        document.problems.append(Problem(document.file, 0, 0, message))
    _wrap(document)
    spec = check(BareSpec, document)
    cases: list[Case] = []
    if spec is not None:
        dated = spec if spec.at else spec.model_copy(update={"at": utc_text(now_ns)})
        spot = Spot(document)
        place = document.problem((), "")
        above = Above(policy, DefaultsSpec(), {}, World())
        if spec.for_each is not None:
            spot.at("for_each").key_fault("one exchange is explained: give each fact one value")
        cases.extend(CaseReader(above, dated, spot, place).cases())
    if document.problems:
        raise ProblemsError(document.problems)
    return cases[0]


def _wrap(document: Document) -> None:
    """Put `facts` above a mapping of nothing but facts."""
    data = document.data
    if not isinstance(data, dict) or not data or not all("." in key for key in data):
        return
    document.data = {"facts": data}
    document.places = {("facts", *path): place for path, place in document.places.items()}
    document.keys = {("facts", *path): place for path, place in document.keys.items()}
