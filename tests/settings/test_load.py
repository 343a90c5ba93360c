import re
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import BaseModel

from proxy.policy.problem import ProblemsError
from proxy.settings.load import load, state_directory
from proxy.settings.schema import Settings
from proxy.settings.secrets import Keys, configured, ensured

DOCS = Path(__file__).parents[2] / "docs"
LEAST = "policies: policies\nstate_dir: var\n"


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "gauger.yaml"
        file.write_text(text)
        return file

    return write


def faults(file: Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load(file, environment or {})
    return [line.replace(str(file), "gauger.yaml") for line in str(caught.value).splitlines()]


def test_paths_are_relative_to_the_file(written, tmp_path: Path):
    settings = load(written(LEAST), {})
    assert settings.policies == tmp_path / "policies"
    assert settings.audit_directory == tmp_path / "var" / "audit"


def test_the_environment_wins_and_its_values_are_yaml(written):
    environment = {
        "GAUGER_SERVER__LISTEN": "0.0.0.0:1",
        "GAUGER_TRUSTED_PEERS": "[10.0.0.0/8, 192.168.0.0/16]",
        "GAUGER_SERVER__DRAIN_S": "2.5",
        "PATH": "/bin",
    }
    settings = load(written(LEAST + "server: {listen: 127.0.0.1:2}\n"), environment)
    assert settings.server.listen == "0.0.0.0:1"
    assert settings.server.drain_s == 2.5
    assert settings.trusted_peers == ["10.0.0.0/8", "192.168.0.0/16"]


def test_variables_that_kubernetes_makes_for_a_service_of_our_name_are_left_alone(written):
    load(written(LEAST), {"GAUGER_SERVICE_HOST": "10.0.0.1", "GAUGER_PORT_8080_TCP": "tcp://x"})


def test_faults_of_file_and_environment_are_told_at_once(written):
    file = written(LEAST + "server: {listen: 8080, max_bodi_bytes: 3}\n")
    assert set(faults(file, {"GAUGER_ADMIN__LISTEN": "nonsense", "GAUGER_BLAH": "1"})) == {
        "environment variable GAUGER_ADMIN__LISTEN: "
        '"nonsense" is not an address to listen on (write host:port, such as 127.0.0.1:8080)',
        'environment variable GAUGER_BLAH: unknown key "blah" (known here: account_header, '
        "accounts, admin, audit, batches, clusters, detector, forwarded_header, geo, ja4_header, "
        "open_paths, policies, secrets, server, state_dir, store, trusted_peers, upstreams, "
        "workers)",
        "gauger.yaml:3:18: server.listen: write a text, found the number 8080 (put it in quotes)",
        'gauger.yaml:3:24: unknown key "max_bodi_bytes" (did you mean "max_body_bytes"?)',
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("state_dir: var\n", '"policies" is missing'),
        (LEAST + "upstreams: {openai: {url: api.example}}\n", "is not a base URL"),
        (LEAST + "upstreams: {openai: {url: 'http://a'}}\n", "the upstream needs credential_env"),
        (
            LEAST + "upstreams: {openai: {url: 'http://a', credential_env: NOPE}}\n",
            "the environment variable NOPE is not set",
        ),
        (LEAST + "trusted_peers: [10.0.0.1/8]\n", '"10.0.0.1/8" is not a network'),
        (LEAST + "account_header: x-account\n", "account_header needs trusted_peers"),
        (LEAST + "ja4_header: x-ja4\n", "ja4_header needs trusted_peers"),
        (LEAST + "secrets: {fingerprint_key: abc}\n", "at least 16 random bytes in hex"),
        (
            LEAST + "admin: {principals: [{name: a, role: root, token_sha256: x}]}\n",
            "write viewer or operator",
        ),
        (LEAST + "server: {drain_s: 0}\n", "write a number above 0"),
        ("policies: [", "not valid YAML"),
    ],
)
def test_each_fault_says_what_to_do(written, text: str, message: str):
    assert any(message in fault for fault in faults(written(text)))


def test_a_secret_is_never_quoted_in_an_error(written):
    secret = "s3cr3t-but-not-hex"
    told = faults(written(LEAST + f"secrets: {{pseudonym_key: {secret}}}\n"))
    assert secret not in "\n".join(told)


def test_a_missing_file_says_how_to_name_one(tmp_path: Path):
    with pytest.raises(ProblemsError, match="name the file with --config"):
        load(tmp_path / "none.yaml", {})


def test_nothing_needs_an_upstream_credential_where_nothing_is_forwarded(written):
    text = LEAST + "upstreams: {openai: {url: 'http://a', credential_env: NOPE}}\n"
    assert load(written(text), {}, upstreams=False).upstreams.openai


def test_keys_are_made_once_and_only_the_owner_can_read_them(written):
    settings = load(written(LEAST), {})
    state_directory(settings)
    first = ensured(settings)
    assert first.made
    assert ensured(settings) == first
    assert stat.S_IMODE((settings.state_dir / "keys.json").stat().st_mode) == 0o600


def test_configured_keys_are_used_as_they_are(written):
    settings = load(
        written(LEAST),
        {
            "GAUGER_SECRETS__FINGERPRINT_KEY": "00" * 16,
            "GAUGER_SECRETS__PSEUDONYM_KEY": "11" * 16,
        },
    )
    keys = ensured(settings)
    assert (keys.fingerprint, keys.pseudonym, keys.made) == (bytes(16), b"\x11" * 16, False)
    assert configured(settings) == keys


def test_keys_that_cannot_be_read_are_never_replaced(written):
    settings = load(written(LEAST), {})
    path = state_directory(settings) / "keys.json"
    path.write_text("{}")
    with pytest.raises(ProblemsError, match="restore the file"):
        ensured(settings)
    assert path.read_text() == "{}"


def test_the_example_in_the_docs_loads():
    environment = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}
    assert load(DOCS / "gauger.yaml", environment).upstreams.anthropic


def paths_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from paths_of(annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_setting_is_documented():
    named = set(re.findall(r"`([a-z0-9_.…]+)`", (DOCS / "settings.md").read_text()))
    assert set(paths_of(Settings)) - named == set()


SECRETS_IN = [
    ("secrets: {pseudonym_key: [s3cr3t]}\n", {}),
    ("secrets: s3cr3t\n", {}),
    ("", {"GAUGER_SECRETS": "s3cr3t"}),
    ("", {"GAUGER_SECRETS": "{fingerprint_key: s3cr3t}"}),
    ("", {"GAUGER_SECRETS__FINGERPRINT_KEY": "s3cr3t: ["}),
    ("upstreams: {openai: {url: 'http://a', credential: s3cr3t}}\n", {}),
    ("upstreams: {openai: {url: 'http://a', credential_env: sk-s3cr3t}}\n", {}),
    ("upstreams: {openai: {url: 'http://a', credential_env: s3cr3t}}\n", {}),
    ("upstreams: {openai: {url: 'https://me:s3cr3t@host'}}\n", {}),
    ("upstreams: {openai: {url: 's3cr3t@host'}}\n", {}),
    ("admin: {principals: [{name: a, role: viewer, token_sha256: s3cr3t}]}\n", {}),
    ("admin: {principals: s3cr3t}\n", {}),
]


@pytest.mark.parametrize(("text", "environment"), SECRETS_IN)
def test_no_error_quotes_what_may_be_a_credential(written, text, environment):
    assert "s3cr3t" not in "\n".join(faults(written(LEAST + text), environment))


@pytest.mark.parametrize(
    "url", ["https://", "http:///v1", "https://a b", "https://a:x", "ftp://a", "https://[::1"]
)
def test_a_url_without_a_host_is_no_upstream(written, url):
    text = LEAST + f"upstreams: {{openai: {{url: '{url}', credential: pass}}}}\n"
    assert "is not a base URL" in faults(written(text))[0]


def test_a_variable_fills_a_section_that_the_file_leaves_empty(written):
    environment = {
        "GAUGER_SERVER__DRAIN_S": "7",
        "GAUGER_UPSTREAMS__OPENAI__URL": "http://a",
        "GAUGER_UPSTREAMS__OPENAI__CREDENTIAL": "pass",
    }
    settings = load(written(LEAST + "server:\nupstreams:\n  openai:\n"), environment)
    assert settings.server.drain_s == 7
    assert settings.upstreams.openai.url == "http://a"


def test_a_variable_below_something_that_has_no_settings_is_a_fault(written):
    told = faults(
        written(LEAST + "trusted_peers: [10.0.0.0/8]\n"), {"GAUGER_TRUSTED_PEERS__0": "x"}
    )
    assert told == [
        "environment variable GAUGER_TRUSTED_PEERS__0: there are no settings below trusted_peers"
    ]


def test_services_of_kubernetes_with_longer_names_are_left_alone_and_typing_errors_are_not(written):
    load(
        written(LEAST),
        {
            "GAUGER_ADMIN_SERVICE_HOST": "10.0.0.1",
            "GAUGER_ADMIN_SERVICE_PORT_HTTP": "9090",
            "GAUGER_ADMIN_PORT": "tcp://10.0.0.1:9090",
            "GAUGER_ADMIN_PORT_9090_TCP_ADDR": "10.0.0.1",
        },
    )
    assert "unknown key" in faults(written(LEAST), {"GAUGER_SERVER__PORT": "8080"})[0]


def test_a_credential_variable_may_have_our_prefix(written):
    text = "upstreams: {openai: {url: 'http://a', credential_env: GAUGER_UPSTREAM_KEY}}\n"
    assert load(written(LEAST + text), {"GAUGER_UPSTREAM_KEY": "k"}).upstreams.openai


def test_an_opened_path_that_no_request_could_have_is_a_fault(written):
    assert '"v1/x" is not a path' in faults(written(LEAST + "open_paths: [v1/x]\n"))[0]


def test_keys_that_are_too_short_are_no_keys(written):
    settings = load(written(LEAST), {})
    path = state_directory(settings) / "keys.json"
    path.write_text('{"fingerprint_key": "", "pseudonym_key": ""}')
    with pytest.raises(ProblemsError, match="fewer than 32 bytes"):
        ensured(settings)


def test_keys_that_cannot_be_written_are_told(written):
    settings = load(written(LEAST), {})
    with pytest.raises(ProblemsError, match="cannot be written"):
        ensured(settings)


def test_delays_take_a_tenth_of_what_is_served_at_once_and_never_all_of_it(written):
    few = load(written(LEAST + "server: {max_streams: 50}\n"), {})
    assert few.server.delayed_at_once == 5
    chosen = load(written(LEAST + "server: {max_streams: 50, max_delayed: 49}\n"), {})
    assert chosen.server.delayed_at_once == 49
    (fault,) = faults(written(LEAST + "server: {max_streams: 50, max_delayed: 50}\n"))
    assert fault == (
        "gauger.yaml:3:40: must be less than max_streams (50), or delays crowd out everybody else"
    )


def test_several_workers_without_a_store_that_they_share_are_a_fault_at_its_place(written):
    told = (
        "workers need a store that they share, or each would count for itself: "
        "add store: {redis: …}, or set workers: 1"
    )
    assert faults(written(LEAST + "workers: 4\n")) == [f"gauger.yaml:3:10: 4 {told}"]
    assert faults(written(LEAST), {"GAUGER_WORKERS": "2"}) == [
        f"environment variable GAUGER_WORKERS: 2 {told}"
    ]
    with pytest.raises(ProblemsError, match="option --workers: 3 workers need a store"):
        load(written(LEAST), {"GAUGER_WORKERS": "1"}, options={"workers": 3})


def test_an_option_wins_over_file_and_environment_where_it_is_given(written):
    file = written(LEAST + "workers: 4\n")
    assert load(file, {"GAUGER_WORKERS": "2"}, options={"workers": 1}).workers == 1
    assert load(file, {"GAUGER_WORKERS": "1"}, options={"workers": None}).workers == 1
    with pytest.raises(ProblemsError, match="option --workers: workers: "):
        load(file, {}, options={"workers": 0})


def test_processes_that_make_the_keys_at_once_all_hold_the_same(written):
    settings = load(written(LEAST), {})
    state_directory(settings)
    begin = threading.Barrier(8)

    def made(_: int) -> Keys:
        begin.wait()
        return ensured(settings)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(made, range(8)))) == 1
