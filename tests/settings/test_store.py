"""Settings of a shared store, and what they come to."""

from pathlib import Path

import pytest

from bench.servers.certificates import Certificates
from proxy.policy.problem import ProblemsError
from proxy.settings.load import load
from proxy.settings.reach import reach
from proxy.store.redis.connect import Reach, Sentinels, User

LEAST = "policies: policies\nstate_dir: var\n"


@pytest.fixture
def loaded(tmp_path: Path):
    def of(redis: str, environment: dict[str, str] | None = None, more: str = ""):
        file = tmp_path / "gauger.yaml"
        file.write_text(f"{LEAST}{more}store: {{redis: {{{redis}}}}}\n")
        return load(file, environment or {}).store.redis

    return of


def test_a_server_with_an_acl_user_and_a_database(loaded):
    environment = {"GAUGER_REDIS_PASSWORD": "s3cr3t"}
    redis = loaded(
        "url: redis://h/3, username: u, password_env: GAUGER_REDIS_PASSWORD", environment
    )
    assert reach(redis, environment) == Reach(
        address=("h", 6379), database=3, user=User("u", "s3cr3t")
    )
    assert (redis.timeout_ms, redis.lease_s, redis.max_replicas, redis.prefix) == (
        15,
        60,
        1,
        "gauger",
    )


def test_a_cluster_a_socket_and_sentinels(loaded):
    assert reach(loaded("url: 'redis://[::1]:7000', cluster: true"), {}) == Reach(
        address=("::1", 7000), cluster=True
    )
    assert reach(loaded("url: unix:///run/redis.sock"), {}) == Reach(path="/run/redis.sock")
    environment = {"A": "of the server", "B": "of the sentinels"}
    sentinels = "{service: s, nodes: ['a:1', '[::1]:2'], username: w, password_env: B}"
    told = reach(loaded(f"sentinel: {sentinels}, password_env: A", environment), environment)
    assert told == Reach(
        sentinels=Sentinels("s", (("a", 1), ("::1", 2)), User("w", "of the sentinels")),
        user=User(None, "of the server"),
    )


def test_certificates(loaded, store_certificates: Certificates, tmp_path: Path):
    own = store_certificates
    files = f"{{ca_file: {own.authority}, cert_file: {own.client}}}"
    assert reach(loaded(f"url: rediss://h, tls: {files}"), {}).tls is not None
    assert reach(loaded("url: rediss://h"), {}).tls is not None
    assert reach(loaded("url: redis://h"), {}).tls is None
    missing = loaded("url: rediss://h, tls: {ca_file: none.pem}")
    with pytest.raises(ProblemsError, match=r"none\.pem: a certificate or key cannot be used: No"):
        reach(missing, {})
    (tmp_path / "none.pem").write_text("nothing")
    with pytest.raises(ProblemsError, match="cannot be used"):
        reach(missing, {})


@pytest.mark.parametrize(
    ("redis", "message"),
    [
        ("", "write either url or sentinel"),
        ("url: redis://h, sentinel: {service: s, nodes: ['h:1']}", "write either url or sentinel"),
        ("url: 'redis://me:s3cr3t@h'", "use username and password_env"),
        ("url: 'redis://s3cr3t@h'", "use username and password_env"),
        ("url: 'http://h'", "is not the URL of a server"),
        ("url: 'redis://'", "is not the URL of a server"),
        ("url: 'redis://h:x'", "is not the URL of a server"),
        ("url: 'redis://h/three'", "is not the URL of a server"),
        ("url: 'redis://h?db=3'", "is not the URL of a server"),
        ("url: 'unix://'", "is not the URL of a server"),
        ("url: redis://h/2, cluster: true", "a cluster has database 0 only"),
        ("url: unix:///s, cluster: true", "cluster needs the url of one of its nodes"),
        (
            "sentinel: {service: s, nodes: ['h:1']}, cluster: true",
            "cluster needs the url of one of its nodes",
        ),
        ("url: redis://h, tls: {}", "tls needs a url that begins with rediss://"),
        ("url: rediss://h, tls: {key_file: k}", "key_file needs cert_file"),
        ("url: redis://h, username: u", "username needs password_env"),
        ("url: redis://h, password_env: NOPE", "the environment variable NOPE is not set"),
        ("url: redis://h, password_env: s3cr3t", "variable that password_env names is not set"),
        ("url: redis://h, password_env: s3cr3t-", "write the name of an environment variable"),
        (
            "sentinel: {service: s, nodes: ['h:1'], password_env: NOPE}",
            "the environment variable NOPE is not set",
        ),
        (
            "sentinel: {service: s, nodes: ['h:1'], username: u}",
            "sentinel.username needs sentinel.password_env",
        ),
        ("sentinel: {service: s, nodes: [h]}", "is not an address (write host:port"),
        ("sentinel: {service: s, nodes: ['me:s3cr3t@h:1']}", "is not an address (write host:port"),
        ("sentinel: {service: s, nodes: ['h:99999']}", "is not an address (write host:port"),
        ("sentinel: {service: s, nodes: []}", "nodes"),
        ("url: redis://h, prefix: 'a{b'", "write 1 to 32 letters, digits"),
        ("url: redis://h, timeout_ms: 0", "timeout_ms"),
        ("url: redis://h, lease_s: 1", "lease_s"),
        ("url: redis://h, max_replicas: 2", "the same secrets.fingerprint_key"),
        ("url: redis://h, hots: x", 'unknown key "hots"'),
    ],
)
def test_each_fault_says_what_to_do_and_quotes_no_credential(loaded, redis: str, message: str):
    with pytest.raises(ProblemsError) as told:
        loaded(redis)
    assert message in str(told.value)
    assert "gauger.yaml:3:" in str(told.value)
    assert "s3cr3t" not in str(told.value)


def test_replicas_that_share_a_key_count_together(loaded):
    key = f"secrets: {{fingerprint_key: '{'00' * 16}'}}\n"
    assert loaded("url: redis://h, max_replicas: 9", more=key).max_replicas == 9
    assert loaded("url: redis://h, max_replicas: 4", more="workers: 4\n").max_replicas == 4
