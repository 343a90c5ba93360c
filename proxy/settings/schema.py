"""The shape of gauger.yaml. Every setting is also an environment variable (see `load`)."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from proxy.facts.address import ForwardedHeader
from proxy.settings.schema_store import Store
from proxy.settings.schema_webhook import Webhook
from proxy.settings.section import Count, FilePath, Seconds, Section, Variable


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        msg = f'"{value}" is not an address to listen on (write host:port, such as 127.0.0.1:8080)'
        raise ValueError(msg)
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        msg = f'"{value}" is not a network (write 10.0.0.0/8, 2001:db8::/32 or an address)'
        raise ValueError(msg) from None
    return value


def _upstream_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        right = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        right = False
    if not right or any(c in "?#" or c <= " " for c in value):
        msg = "is not a base URL (write https://host or https://host/prefix)"
        raise ValueError(msg)
    if "@" in parts.netloc:
        msg = "a credential does not belong in the URL: use credential_env"
        raise ValueError(msg)
    return value.rstrip("/")


def _path_pattern(value: str) -> str:
    if not value.startswith("/"):
        msg = f'"{value}" is not a path (write /v1/something, with * and ? as wildcards)'
        raise ValueError(msg)
    return value


def _sha256(value: str) -> str:
    if len(value) != 64 or any(c not in "0123456789abcdef" for c in value):
        msg = "write the SHA-256 of the token, 64 lower-case hex digits (gauger key hash makes it)"
        raise ValueError(msg)
    return value


def _key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text) < 32 or any(c not in "0123456789abcdefABCDEF" for c in text) or len(text) % 2:
        msg = "write at least 16 random bytes in hex (openssl rand -hex 32 makes them)"
        raise ValueError(msg)
    return value


Listen = Annotated[StrictStr, AfterValidator(_listen)]
HexKey = Annotated[SecretStr, AfterValidator(_key), Field(strict=False)]


class Server(Section):
    """The listener that callers reach, and what it takes from them."""

    listen: Listen = "127.0.0.1:8080"
    max_header_bytes: Count = 32_768
    max_body_bytes: Count = 33_554_432
    max_json_depth: Annotated[StrictInt, Field(gt=0, le=512)] = 64
    max_connections: Count = 10_000
    max_streams: Count = 5_000
    max_delayed: Count | None = Field(
        None, description="Exchanges delayed at once; default: a tenth of max_streams."
    )
    max_delays_per_s: Count = 100
    header_timeout_s: Seconds = 15.0
    body_timeout_s: Seconds = 60.0
    keepalive_s: Seconds = 75.0
    drain_s: Seconds = 30.0
    public_url: Annotated[StrictStr, AfterValidator(_upstream_url)] | None = Field(
        None, description="How callers reach the gateway, where a TLS terminator stands before it."
    )

    @field_validator("max_delayed")
    @classmethod
    def _leaves_room(cls, value: int | None, info: ValidationInfo) -> int | None:
        most = info.data.get("max_streams")
        if value is not None and most is not None and value >= most:
            msg = f"must be less than max_streams ({most}), or delays crowd out everybody else"
            raise ValueError(msg)
        return value

    @property
    def delayed_at_once(self) -> int:
        """How many exchanges may be delayed at once."""
        return self.max_delayed or max(1, self.max_streams // 10)


class Principal(Section):
    """Somebody who may act through the admin listener."""

    name: StrictStr
    role: Literal["viewer", "operator"]
    token_sha256: Annotated[StrictStr, AfterValidator(_sha256)]


class Admin(Section):
    """The listener for health, metrics and actions; keep it off public networks."""

    listen: Listen = "127.0.0.1:9090"
    principals: list[Principal] = Field(default_factory=list)
    capture: StrictBool = Field(
        False,
        description="Whether operators may record what callers write, their headers and addresses "
        "(gauger record --capture).",
    )


class Upstream(Section):
    """One model API. `credential: pass` hands the caller's own credential on."""

    url: Annotated[StrictStr, AfterValidator(_upstream_url)]
    credential: Literal["replace", "pass"] = "replace"
    credential_env: Variable | None = Field(
        None, description="Environment variable that holds the credential to put in."
    )
    connect_timeout_s: Seconds = 5.0
    first_byte_timeout_s: Seconds = 600.0
    idle_timeout_s: Seconds = 300.0
    max_connections: Count = 10_000


class Upstreams(Section):
    """The model API behind each dialect; a dialect without one is not served."""

    openai: Upstream | None = None
    anthropic: Upstream | None = None


class Geo(Section):
    """Where addresses are: any MMDB files, and a list of anonymizers."""

    databases: list[FilePath] = Field(default_factory=list)
    anonymizers: FilePath | None = None


class Linking(Section):
    """How accounts are linked into clusters; the defaults are those that are measured."""

    step_s: Annotated[StrictInt, Field(gt=0, le=86_400)] = Field(
        900, description="Seconds between two looks at all that was seen."
    )
    delay_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        5.0, description="How long after a step what it found takes effect."
    )
    horizon_s: Annotated[StrictInt, Field(ge=86_400)] = Field(
        1_209_600, description="What was not seen for so long is forgotten."
    )
    reference_age_s: Annotated[StrictInt, Field(ge=0)] = Field(
        2_592_000,
        description="How old an account must be to say what is usual among unrelated accounts.",
    )
    lag_s: Annotated[StrictInt, Field(ge=0)] = Field(
        86_400, description="How old what is usual must be, so that a surge cannot vote on itself."
    )
    max_accounts: Count = Field(4_000_000, description="Accounts that are kept in mind.")
    max_pairs: Count = Field(40_000_000, description="Pairs of trait and account kept in mind.")


class Detector(Section):
    """When the detector steps, and how long after that what it found takes effect."""

    enabled: StrictBool = Field(
        True, description="Whether accounts are looked at for being run by one hand."
    )
    step_s: Seconds = 5.0
    delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    linking: Linking = Linking()
    webhook: Webhook | None = Field(None, description="Who is told of clusters.")


class Audit(Section):
    """The log of decisions."""

    directory: FilePath | None = Field(None, description="Default: audit below state_dir.")
    durability: Literal["before", "before_answer", "async"] = Field(
        "before_answer", description="For rules that name none."
    )
    on_failure: Literal["refuse", "serve"] = Field(
        "refuse", description="What happens to new requests while the log cannot be written."
    )
    group_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        2.0, description="Least time between two writes of the log, in milliseconds."
    )
    segment_bytes: Annotated[StrictInt, Field(ge=65_536, le=2**40)] = 268_435_456


class Batches(Section):
    """Batches of requests."""

    unknown_files: Literal["refuse", "allow"] = Field(
        "refuse",
        description="What happens to a batch whose file nobody saw being uploaded: allow charges "
        "it as one request.",
    )


class Secrets(Section):
    """Keys of fingerprints and pseudonyms, in hex. Better by environment than in the file."""

    fingerprint_key: HexKey | None = None
    pseudonym_key: HexKey | None = None


class Settings(Section):
    """gauger.yaml. Relative paths are relative to the file."""

    policies: FilePath
    accounts: FilePath | None = None
    clusters: FilePath | None = Field(
        None, description="Which accounts are in which cluster, as people found out."
    )
    state_dir: FilePath
    server: Server = Server()
    admin: Admin = Admin()
    upstreams: Upstreams = Upstreams()
    trusted_peers: list[Annotated[StrictStr, AfterValidator(_network)]] = Field(
        default_factory=list, description="CIDRs whose forwarding headers are believed."
    )
    forwarded_header: Annotated[ForwardedHeader, Field(strict=False)] = Field(
        ForwardedHeader.EITHER, description="Which of their headers the trusted peers write."
    )
    account_header: StrictStr | None = Field(
        None, description="Header in which a trusted peer names the account."
    )
    ja4_header: StrictStr | None = Field(
        None, description="Header in which a trusted peer gives the JA4 of the TLS client."
    )
    open_paths: list[Annotated[StrictStr, AfterValidator(_path_pattern)]] = Field(
        default_factory=list, description="Paths let through that no surface claims (* and ?)."
    )
    workers: Annotated[StrictInt, Field(ge=1, le=64)] = Field(
        1, description="Serving processes on this machine; more than one need a shared store."
    )
    geo: Geo = Geo()
    detector: Detector = Detector()
    audit: Audit = Audit()
    batches: Batches = Batches()
    store: Store = Store()
    secrets: Secrets = Secrets()

    @property
    def audit_directory(self) -> Path:
        """Where the audit log is."""
        return self.audit.directory or self.state_dir / "audit"
