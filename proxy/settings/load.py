"""gauger.yaml and the environment to checked settings.

The variable of `server: {listen: …}` is GAUGER_SERVER__LISTEN: the path in capitals, with two
underscores between its steps. Its value is read as YAML, so that lists and numbers work.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.policy.checked import check
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.yamlfile import Document, parse
from proxy.settings.schema import Settings

PREFIX = "GAUGER_"
# Variables that are not settings but credentials and the like may share the prefix.
RESERVED = frozenset({"GAUGER_CONFIG", "GAUGER_OPENAI_KEY", "GAUGER_ANTHROPIC_KEY"})
# Kubernetes announces a service called gauger in variables such as GAUGER_PORT_8080_TCP.
KUBERNETES = ("GAUGER_SERVICE_", "GAUGER_PORT")


def load(file: Path, environment: Mapping[str, str], *, upstreams: bool = True) -> Settings:
    """Settings of a file under what the environment says; ProblemsError names every fault.

    With `upstreams` False nothing will be forwarded: their credentials need not be there.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror} (name the file with --config)"
        raise ProblemsError([Problem(str(file), 0, 0, message)]) from error
    document = parse(str(file), text)
    _lay_over(document, environment)
    settings = check(Settings, document, {"base": file.resolve().parent})
    if settings is None:
        raise ProblemsError(document.problems)
    _require(settings, document, environment if upstreams else None)
    return settings


def _lay_over(document: Document, environment: Mapping[str, str]) -> None:
    """Put GAUGER_… variables over the file's values."""
    if document.data is None:
        document.data = {}
    if not isinstance(document.data, dict):
        return
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in RESERVED or name.startswith(KUBERNETES):
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        origin = f"environment variable {name}"
        value = parse(origin, environment[name].encode("utf-8", "surrogateescape"))
        document.problems.extend(value.problems)
        target: Any = document.data
        for step in path[:-1]:
            target = target.setdefault(step, {}) if isinstance(target, dict) else None
        if isinstance(target, dict):
            # Keys of digits only are still keys, not numbers.
            text = environment[name] if path[0] == "secrets" else value.data
            target[path[-1]] = text
            document.origins[path] = origin


def _require(settings: Settings, document: Document, environment: Mapping[str, str] | None) -> None:
    """Faults that hang on more than one setting, and on credentials where there is a need."""
    problems: list[Problem] = []
    for dialect in ("openai", "anthropic"):
        upstream = getattr(settings.upstreams, dialect)
        path = ("upstreams", dialect)
        if upstream is None or upstream.credential == "pass" or environment is None:
            continue
        if not upstream.credential_env:
            message = (
                "the upstream needs credential_env (the environment variable that holds its "
                "credential), or credential: pass"
            )
            problems.append(document.problem(path, message))
        elif not environment.get(upstream.credential_env):
            message = f"the environment variable {upstream.credential_env} is not set"
            problems.append(document.problem((*path, "credential_env"), message))
    if settings.account_header and not settings.trusted_peers:
        message = "account_header needs trusted_peers: from anyone else the header is ignored"
        problems.append(document.problem(("account_header",), message))
    if problems:
        raise ProblemsError(problems)


def state_directory(settings: Settings) -> Path:
    """The state directory, made if it is not there; ProblemsError where that fails."""
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = f"cannot be made: {error.strerror} (state_dir in the settings)"
        raise ProblemsError([Problem(str(settings.state_dir), 0, 0, message)]) from error
    return settings.state_dir
