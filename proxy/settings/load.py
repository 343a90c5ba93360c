"""gauger.yaml and the environment to checked settings.

The variable of `server: {listen: …}` is GAUGER_SERVER__LISTEN: the path in capitals, with two
underscores between its steps. Its value is read as YAML, so that lists and numbers work.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proxy.policy.checked import check
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.yamlfile import Document, parse
from proxy.policy.yamlfile import Path as Place
from proxy.settings.schema import Settings
from proxy.settings.schema_webhook import secret_bytes

PREFIX = "GAUGER_"
VARIABLES = ("credential_env", "password_env", "secret_env")  # settings that name a variable
# Variables that are not settings but credentials and the like may share the prefix.
RESERVED = frozenset(
    {"GAUGER_CONFIG", "GAUGER_ADMIN_TOKEN", "GAUGER_OPENAI_KEY", "GAUGER_ANTHROPIC_KEY"}
)
# Kubernetes announces services called gauger, gauger-admin and so on in variables such as
# GAUGER_ADMIN_SERVICE_HOST and GAUGER_PORT_8080_TCP_ADDR; settings have two underscores there.
KUBERNETES = re.compile(
    r"GAUGER_(?:[A-Z0-9]+_)*(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9]+)*|"
    r"PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)


def load(
    file: Path,
    environment: Mapping[str, str],
    *,
    upstreams: bool = True,
    detects: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings of a file under what the environment says; ProblemsError names every fault.

    With `upstreams` False nothing will be forwarded: their credentials need not be there, nor any
    others, unless it `detects`: then those of the store and the webhook must.
    `options` of the command line, by setting, win over both; None is one that was not given.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror} (name the file with --config)"
        raise ProblemsError([Problem(str(file), 0, 0, message)]) from error
    document = parse(str(file), text)
    _lay_over(document, environment)
    _lay_over_options(document, options or {})
    settings = check(Settings, document, {"base": file.resolve().parent}, _confidential)
    if settings is None:
        raise ProblemsError(document.problems)
    forwards = environment if upstreams else None
    _require(settings, document, forwards, environment if upstreams or detects else None)
    return settings


def _confidential(path: Place) -> bool:
    """Whether a credential may stand at a path by design or by mistake."""
    webhook = path[:2] == ("detector", "webhook")  # its URL may hold a secret in its path
    return webhook or path[0] in ("secrets", "upstreams", "admin", "store")


def _lay_over(document: Document, environment: Mapping[str, str]) -> None:
    """Put GAUGER_… variables over the file's values."""
    if document.data is None:
        document.data = {}
    if not isinstance(document.data, dict):
        return
    foreign = _credential_variables(document.data)
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in RESERVED or name in foreign:
            continue
        if KUBERNETES.fullmatch(name):
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        origin = f"environment variable {name}"
        section = _section(document.data, path[:-1])
        if section is None:
            message = f"there are no settings below {'.'.join(path[:-1])}"
            document.problems.append(Problem(origin, 0, 0, message))
            continue
        section[path[-1]] = _value(document, origin, path, environment[name])
        document.origins[path] = origin


def _lay_over_options(document: Document, options: Mapping[str, Any]) -> None:
    """Put options of the command line over all else."""
    for name, value in options.items():
        if value is not None and isinstance(document.data, dict):
            document.data[name] = value
            document.origins[name,] = f"option --{name}"


def _value(document: Document, origin: str, path: tuple[str, ...], text: str) -> Any:
    """The value of a variable. Keys of digits only are still keys, not numbers."""
    if path[0] == "secrets" and len(path) > 1:
        return text
    value = parse(origin, text.encode("utf-8", "surrogateescape"))
    document.problems.extend(value.problems)
    return value.data


def _section(data: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The mapping at a path, made where there is nothing; None where something else stands."""
    for step in path:
        if data.get(step) is None:
            data[step] = {}
        data = data[step]
        if not isinstance(data, dict):
            return None
    return data


def _credential_variables(data: dict[str, Any]) -> set[str]:
    """Names that the file gives for credentials: they are no settings, whatever their prefix."""
    below = [data]
    named = set()
    while below:
        section = below.pop()
        below += [value for value in section.values() if isinstance(value, dict)]
        named |= {str(section[key]) for key in VARIABLES if key in section}
    return named


def _require(
    settings: Settings,
    document: Document,
    environment: Mapping[str, str] | None,
    shared: Mapping[str, str] | None,
) -> None:
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
            problems.append(_unset(document, (*path, "credential_env"), upstream.credential_env))
    if shared is not None:
        problems += _passwords(settings, document, shared)
        problems += _webhook(settings, document, shared)
    for header in ("account_header", "ja4_header"):
        if getattr(settings, header) and not settings.trusted_peers:
            message = f"{header} needs trusted_peers: from anyone else the header is ignored"
            problems.append(document.problem((header,), message))
    if settings.workers > 1 and not _shares(settings):
        message = (
            f"{settings.workers} workers need a store that they share, or each would count for "
            "itself: add store: {redis: …}, or set workers: 1"
        )
        problems.append(document.problem(("workers",), message))
    redis = settings.store.redis
    apart = redis is not None and redis.max_replicas > settings.workers
    if apart and not settings.secrets.fingerprint_key:
        message = (
            "replicas on several machines must name counters alike, or each would count for "
            "itself: give all of them the same secrets.fingerprint_key (openssl rand -hex 32)"
        )
        problems.append(document.problem(("store", "redis", "max_replicas"), message))
    if problems:
        raise ProblemsError(problems)


def _passwords(
    settings: Settings, document: Document, environment: Mapping[str, str]
) -> Iterator[Problem]:
    """Passwords of the store that are not there."""
    redis = settings.store.redis
    path: Place = ("store", "redis")
    for section in (redis, redis and redis.sentinel):
        variable = section and section.password_env
        if variable and not environment.get(variable):
            yield _unset(document, (*path, "password_env"), variable)
        path = (*path, "sentinel")


def _webhook(
    settings: Settings, document: Document, environment: Mapping[str, str]
) -> Iterator[Problem]:
    """A webhook's secret that is not there, or too weak."""
    webhook = settings.detector.webhook
    if webhook is None:
        return
    path: Place = ("detector", "webhook", "secret_env")
    secret = environment.get(webhook.secret_env)
    if not secret:
        yield _unset(document, path, webhook.secret_env)
        return
    try:
        secret_bytes(secret)
    except ValueError as error:
        yield document.problem(path, str(error))


def _unset(document: Document, path: Place, name: str) -> Problem:
    # Somebody may have put the credential itself there.
    shown = f" {name}" if name == name.upper() else f" that {path[-1]} names"
    return document.problem(path, f"the environment variable{shown} is not set")


def _shares(settings: Settings) -> bool:
    """Whether several processes count together."""
    return settings.store.redis is not None


def state_directory(settings: Settings) -> Path:
    """The state directory, made if it is not there; ProblemsError where that fails."""
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = f"cannot be made: {error.strerror} (state_dir in the settings)"
        raise ProblemsError([Problem(str(settings.state_dir), 0, 0, message)]) from error
    return settings.state_dir
