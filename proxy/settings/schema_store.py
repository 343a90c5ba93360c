"""Where counters are kept: in this process, or in a Redis or Valkey that processes share."""

from collections.abc import Iterator
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from proxy.settings.section import FilePath, Section, Variable


def _redis_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if "@" in parts.netloc:
        msg = "a credential does not belong in the URL: use username and password_env"
        raise ValueError(msg)
    at = parts.path.strip("/")
    named = bool(parts.hostname) and (not at or (at.isascii() and at.isdigit()))
    socket = parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
    if any(c in "?#" or c <= " " for c in value) or not (
        socket or (named and parts.scheme in ("redis", "rediss"))
    ):
        msg = (
            "is not the URL of a server (write redis://host:6379, rediss://host:6379 for TLS, "
            "with /3 behind it for database 3, or unix:///path/of/its/socket)"
        )
        raise ValueError(msg)
    return value


def _node(value: str) -> str:
    host, _, port = value.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not host or "@" in host or not 0 < number <= 65535:
        msg = "is not an address (write host:port, such as sentinel-1:26379)"
        raise ValueError(msg)
    return value


def _prefix(value: str) -> str:
    if not 0 < len(value) <= 32 or not all(
        c.isascii() and (c.isalnum() or c in "_.-") for c in value
    ):
        msg = "write 1 to 32 letters, digits, points, dashes or underscores"
        raise ValueError(msg)
    return value


class Tls(Section):
    """Certificates in PEM. Without `ca_file` the system's authorities are trusted."""

    ca_file: FilePath | None = None
    cert_file: FilePath | None = Field(None, description="The client's own certificate.")
    key_file: FilePath | None = Field(None, description="Its key, where cert_file has none.")

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.key_file and not self.cert_file:
            msg = "key_file needs cert_file, the certificate that it is the key of"
            raise ValueError(msg)
        return self


class Sentinel(Section):
    """Sentinels, who name the master of a service."""

    service: Annotated[StrictStr, Field(min_length=1)]
    nodes: Annotated[list[Annotated[StrictStr, AfterValidator(_node)]], Field(min_length=1)]
    username: StrictStr | None = Field(None, description="Of the Sentinels themselves.")
    password_env: Variable | None = None


class Redis(Section):
    """A Redis (7.0 or later) or Valkey. Passwords are read from environment variables."""

    url: Annotated[StrictStr, AfterValidator(_redis_url)] | None = None
    cluster: StrictBool = Field(False, description="Whether `url` is a node of a cluster.")
    sentinel: Sentinel | None = None
    username: StrictStr | None = None
    password_env: Variable | None = Field(
        None, description="Environment variable that holds the password."
    )
    tls: Tls | None = None
    timeout_ms: Annotated[float, Field(ge=1, le=1000)] = Field(
        15.0, description="The most that asking it may add to an exchange."
    )
    lease_s: Annotated[float, Field(ge=3, le=3600)] = Field(
        60.0, description="How long a process that died holds what it had reserved."
    )
    max_replicas: Annotated[StrictInt, Field(ge=1, le=10_000)] = Field(
        1, description="Processes that share the limits, where none has counted them yet."
    )
    prefix: Annotated[StrictStr, AfterValidator(_prefix)] = "gauger"

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for wrong, message in self._faults():
            if wrong:
                raise ValueError(message)
        return self

    def _faults(self) -> Iterator[tuple[object, str]]:
        url = self.url or ""
        tcp = url.startswith(("redis://", "rediss://"))
        yield (
            (self.url is None) == (self.sentinel is None),
            "write either url or sentinel: one of them says where the server is",
        )
        yield (
            self.cluster and not tcp,
            "cluster needs the url of one of its nodes, redis:// or rediss://",
        )
        yield (
            self.cluster and urlsplit(url).path.strip("/0"),
            "a cluster has database 0 only: leave the number out of url",
        )
        yield (
            self.tls and self.url and not url.startswith("rediss://"),
            "tls needs a url that begins with rediss://",
        )
        yield (
            self.username and not self.password_env,
            "username needs password_env, the environment variable of its password",
        )
        yield (
            self.sentinel and self.sentinel.username and not self.sentinel.password_env,
            "sentinel.username needs sentinel.password_env",
        )


class Store(Section):
    """Where counters are kept; without `redis`, in the memory of this one process."""

    redis: Redis | None = None
