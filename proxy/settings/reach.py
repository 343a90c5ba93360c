"""Settings of a store to how it is reached; passwords come from the environment here, and stay."""

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.schema_store import Redis, Sentinel, Tls
from proxy.store.redis.connect import Reach, Sentinels, User, tls_context

PORT = 6379


def reach(redis: Redis, environment: Mapping[str, str]) -> Reach:
    """How the configured store is reached.

    Raises ProblemsError for certificates that cannot be read. That the variables are set was
    checked when the settings were loaded.
    """
    user = _user(redis.username, redis.password_env, environment)
    tls = None
    if redis.tls is not None or (redis.url or "").startswith("rediss://"):
        tls = _context(redis.tls or Tls())
    if redis.sentinel is not None:
        return Reach(sentinels=_sentinels(redis.sentinel, environment), user=user, tls=tls)
    parts = urlsplit(redis.url or "")
    if parts.scheme == "unix":
        return Reach(path=parts.path, user=user)
    return Reach(
        address=(parts.hostname or "", parts.port or PORT),
        cluster=redis.cluster,
        database=int(parts.path.strip("/") or 0),
        user=user,
        tls=tls,
    )


def _sentinels(sentinel: Sentinel, environment: Mapping[str, str]) -> Sentinels:
    nodes = [node.rpartition(":") for node in sentinel.nodes]
    user = _user(sentinel.username, sentinel.password_env, environment)
    return Sentinels(
        sentinel.service, tuple([(host.strip("[]"), int(port)) for host, _, port in nodes]), user
    )


def _user(name: str | None, variable: str | None, environment: Mapping[str, str]) -> User:
    return User(name, environment[variable] if variable else None)


def _context(tls: Tls) -> ssl.SSLContext:
    files = [tls.ca_file, tls.cert_file, tls.key_file]
    try:
        return tls_context(*[None if file is None else str(file) for file in files])
    except OSError as error:  # which an SSLError is too
        named = ", ".join(str(file) for file in files if file is not None)
        message = (
            f"a certificate or key cannot be used: {error.strerror or error} (store.redis.tls)"
        )
        raise ProblemsError([Problem(named, 0, 0, message)]) from error
