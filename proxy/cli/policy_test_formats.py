"""Results of `gauger policy test` as text, as JSON and as JUnit's XML.

JUnit's format has no specification; this is the part that its readers agree on:
https://github.com/testmoapp/junitxml.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET  # it only writes here

from proxy.cli.policy_test_text import failure_text, report_text
from proxy.policy.problem import Problem
from proxy.trial.compare_case import Difference, Result
from proxy.trial.guard import Report
from proxy.trial.mutate import Mutant

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def report_as(how: str, report: Report, *, cover: bool = False) -> str:
    """The report in a format: text, json or junit.

    `cover` says that a rule which no case guards counts as a failure.
    """
    match how:
        case "json":
            return json.dumps(_json(report), indent=2, ensure_ascii=False) + "\n"
        case "junit":
            return _junit(report, cover=cover)
        case _:
            return report_text(report)


def problems_as(how: str, problems: Iterable[Problem]) -> str:
    """Faults for which no case could be run, in a format."""
    match how:
        case "json":
            rows = [
                {"file": p.file, "line": p.line, "column": p.column, "message": p.message}
                for p in problems
            ]
            return json.dumps({"problems": rows}, ensure_ascii=False)
        case "junit":
            return _junit_problems(list(problems)).rstrip()
        case _:
            return "\n".join(map(str, problems))


def _json(report: Report) -> dict[str, Any]:
    survivors = report.survivors
    return {
        "problems": [],
        "policy": report.policy.digest,
        "cases": [_case(result) for result in report.results],
        "unexercised": None if report.unexercised is None else list(report.unexercised),
        "mutants": report.tried,
        "unnoticed": None if survivors is None else [_mutant(mutant) for mutant in survivors],
    }


def _case(result: Result) -> dict[str, Any]:
    place = result.case.place
    return {
        "name": result.case.title,
        "file": place.file,
        "line": place.line,
        "passed": result.passed,
        "differences": [_difference(difference) for difference in result.differences],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "exchange": difference.step + 1,
        "what": difference.what,
        "wanted": difference.wanted,
        "came": difference.came,
    }


def _mutant(mutant: Mutant) -> dict[str, Any]:
    what = f"{mutant.what} {mutant.of}".strip()
    return {"rule": mutant.rule, "what": what, "write": mutant.write}


def _junit(report: Report, *, cover: bool) -> str:
    unguarded = list(_unguarded(report)) if cover else []
    suites = ET.Element("testsuites", name="gauger policy test")
    for file, group in groupby(report.results, key=lambda result: result.case.place.file):
        results = list(group)
        suite = _suite(suites, file, len(results), sum(not result.passed for result in results))
        for result in results:
            _junit_case(suite, file, result)
    if unguarded:
        suite = _suite(suites, "rules", len(unguarded), len(unguarded))
        for rule, what in unguarded:
            case = ET.SubElement(suite, "testcase", name=_xml(f"{rule}: {what}"), classname="rules")
            ET.SubElement(case, "failure", message=_xml(what), type="unguarded")
    return _written(suites)


def _unguarded(report: Report) -> Iterator[tuple[str, str]]:
    for rule in report.unexercised or ():
        yield rule, "no case exercises it"
    for mutant in report.survivors or ():
        what = f"{mutant.what} {mutant.of}".strip()
        yield mutant.rule, f"no case would notice if {what} (write: {mutant.write})"


def _suite(suites: ET.Element, name: str, tests: int, failures: int, errors: int = 0) -> ET.Element:
    counts = {"tests": tests, "failures": failures, "errors": errors}
    for key, count in counts.items():
        suites.set(key, str(int(suites.get(key, "0")) + count))
    numbers = {key: str(count) for key, count in counts.items()}
    return ET.SubElement(suites, "testsuite", {"name": _xml(name), **numbers})


def _junit_case(suite: ET.Element, file: str, result: Result) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        name=_xml(result.case.title),
        classname=_xml(file),
        file=_xml(file),
        line=str(result.case.place.line),
    )
    if not result.passed:
        first = result.differences[0]
        said = f"{first.what}: wanted {first.wanted}, came {first.came}"
        failure = ET.SubElement(case, "failure", message=_xml(said), type="difference")
        failure.text = _xml(failure_text(result))


def _junit_problems(problems: list[Problem]) -> str:
    suites = ET.Element("testsuites", name="gauger policy test")
    suite = _suite(suites, "files", 1, 0, errors=1)
    name = "Policies and cases can be read."
    case = ET.SubElement(suite, "testcase", name=name, classname="files")
    error = ET.SubElement(case, "error", message=_xml(problems[0].message), type="fault")
    error.text = _xml("\n".join(map(str, problems)))
    return _written(suites)


def _written(element: ET.Element) -> str:
    ET.indent(element)
    text = ET.tostring(element, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _xml(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("?", text)
