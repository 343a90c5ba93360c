"""`gauger record` over a running gateway: what it writes, who may, and what replay makes of it."""

import asyncio
import json
from pathlib import Path

import pytest
import zstandard
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from proxy.audit.read import entries
from proxy.cli.admin import AdminError
from proxy.cli.record import RecordOptions, record
from proxy.demo.world import write_countries
from proxy.gateway.record_action import PATH, SIBLING, RecordAction
from proxy.gateway.recording import Recorder
from proxy.replay.session import Session
from proxy.replay.traffic import read_traffic
from tests.gateway.test_admin import PRINCIPALS
from tests.gateway.test_live_equals_replay import POLICY, SECRETS, fields_of, invented

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPT = "Tell me the secret of the still on the hill"


class Recorded:
    """A recording under way, in a thread, as an operator makes one."""

    def __init__(self, gate, eventually, out: Path, **options):
        self._recorder = gate.server.gateway.recorder
        self._eventually = eventually
        self._options = RecordOptions(
            out=out, config=Path("none"), admin=f"http://{gate.server.admin_address}", **options
        )

    async def __aenter__(self):
        self._task = asyncio.create_task(asyncio.to_thread(record, self._options))
        await self._eventually(lambda: self._recorder.recording or self._task.done())
        return self

    async def __aexit__(self, *_):
        self._recorder.stop()
        self.summary = await self._task


@pytest.fixture
def operator(monkeypatch):
    monkeypatch.setenv("GAUGER_ADMIN_TOKEN", "otto-token")


def lines_of(path: Path) -> list[dict]:
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return [json.loads(text) for text in data.splitlines()]


@pytest.mark.parametrize("capture", [False, True])
async def test_a_recording_replays_to_what_the_gateway_decided(
    open_gate, emulator, tmp_path, eventually, operator, capture
):
    write_countries(tmp_path / "country.mmdb")
    gate = await open_gate(
        url=emulator.url,
        policy=POLICY,
        secrets=SECRETS,
        trusted_peers=["127.0.0.0/8"],
        geo={"databases": [str(tmp_path / "country.mmdb")]},
        detector={"step_s": 0.02},
        admin=PRINCIPALS | {"capture": True},
    )
    out = tmp_path / "traffic.jsonl.zst"
    statuses = []
    async with Recorded(gate, eventually, out, capture=capture, why="to compare") as recorded:
        client = await gate.connect()
        for key, path, sent, address in invented(3):
            fields = [": ".join(field) for field in fields_of(path)]
            fields.append(f"X-Forwarded-For: {address}")
            method = "POST" if sent else "GET"
            request = gate.post(sent.encode(), *fields, key=key, path=path, method=method)
            statuses.append((await client.ask(request)).status)
        await gate.idle()
    assert recorded.summary["exchanges"] == len(statuses)
    assert (recorded.summary["left_out"], recorded.summary["without_answer"]) == (0, 0)
    decided = await gate.records("decision")
    completed = {one.id: one.fields.get("corrections") for one in await gate.records("completion")}
    audit = tmp_path / "replayed"
    with Session(
        gate.directory / "gauger.yaml", environment={}, audit="full", audit_directory=audit
    ) as session:
        again = [session.exchange(exchange) for exchange in read_traffic(out)]
    assert [one["status"] for one in again] == statuses
    assert [one["id"] for one in again] == [entry.id for entry in decided]
    assert [one["verdict"] for one in again] == [entry.fields["verdict"] for entry in decided]
    ruled = {rule["id"] for one in again for rule in one["rules"]}
    assert {"tokens-a-week", "no-large", "shared"} <= ruled
    settled = entries(audit, types={"completion"})
    assert {one.id: one.fields.get("corrections") for one in settled} == completed
    summary = session.summary.as_dict()
    assert summary["facts_lacking"] == {}
    shown = [one.fields["facts"] for one in entries(audit, types={"decision"})]
    assert shown == [entry.fields["facts"] for entry in decided]


async def test_without_capture_no_text_header_address_or_key_is_recorded(
    open_gate, tmp_path, eventually, operator
):
    gate = await open_gate(admin=PRINCIPALS, trusted_peers=["127.0.0.0/8"])
    out = tmp_path / "traffic.jsonl"
    body = {"model": "m-small", "messages": [{"role": "user", "content": PROMPT}], "user": "u-77"}
    key = gate.key()
    async with Recorded(gate, eventually, out) as recorded:
        forwarded = "X-Forwarded-For: 198.51.100.9"
        await gate.ask(gate.post(json.dumps(body).encode(), forwarded, "X-Own: mine", key=key))
        await gate.ask(gate.post(b'{"secret": ', key=key))
        await gate.ask(gate.post(key="sk-nobody"))
        await gate.idle()
    assert recorded.summary["exchanges"] == 3
    text = out.read_text().replace(f"id-{key}", "")  # ids of keys are to be there
    told = (
        "secret of",
        "hill",
        "u-77",
        "198.51",
        "X-Own",
        "mine",
        key,
        "nobody",
        '"secret',
        "127.",
    )
    assert [one for one in told if one in text] == []
    full, unread, unknown = lines_of(out)
    assert full["facts"]["request.model"] == "m-small"
    assert full["facts"]["client.country"] is None
    assert full["input_tokens_estimate"] > 5
    assert {"network", "client", "prompt"} <= set(full["fingerprints"]["tokens"])
    assert full["response"]["usage"]["output_tokens"] > 0
    assert unread["problem"]["kind"] == "bad_request"
    assert ("key" in full, "key" in unknown) == (True, False)
    assert out.stat().st_mode & 0o777 == 0o600


async def test_a_capture_has_everything_but_the_credentials_and_says_why_in_the_log(
    open_gate, tmp_path, eventually, operator
):
    gate = await open_gate(admin=PRINCIPALS | {"capture": True})
    out = tmp_path / "traffic.jsonl.gz"
    key = gate.key()
    pretty = json.dumps({"model": "m", "messages": []}, indent=1).encode()
    options = {"capture": True, "why": "a bug"}
    async with Recorded(gate, eventually, tmp_path / "traffic.jsonl", **options) as recorded:
        await gate.ask(gate.post(key=key))
        await gate.ask(gate.post(pretty, "Cookie: crumbs", key=key))
        await gate.idle()
    assert not out.exists()
    assert recorded.summary["problems"] == []
    plain, spread = lines_of(tmp_path / "traffic.jsonl")
    assert plain["body"]["messages"] == [{"role": "user", "content": "hi"}]
    assert ["Authorization", ""] in plain["headers"]
    assert spread["body_text"] == pretty.decode()
    text = (tmp_path / "traffic.jsonl").read_text().replace(f"id-{key}", "")
    assert key not in text
    assert "crumbs" not in text
    noted = [one.fields for one in await gate.records("admin")]
    assert [(one["principal"], one["capture"], one["why"]) for one in noted] == [
        ("otto", True, "a bug")
    ] * 2
    assert noted[-1]["result"] == "ended: 2 exchanges, 0 left out"


@pytest.mark.parametrize(
    ("token", "options", "why"),
    [
        ("vera-token", {}, r"\(403\): needs the role operator"),
        ("nobody", {}, r"\(401\): unknown token"),
        ("otto-token", {"capture": True, "why": "a bug"}, r"\(403\): .* set admin.capture: true"),
    ],
)
async def test_only_operators_record_and_texts_only_where_the_settings_allow_it(
    open_gate, tmp_path, monkeypatch, eventually, token, options, why
):
    monkeypatch.setenv("GAUGER_ADMIN_TOKEN", token)
    gate = await open_gate(admin=PRINCIPALS)
    with pytest.raises(AdminError, match=why):
        async with Recorded(gate, eventually, tmp_path / "traffic.jsonl", **options):
            pass
    assert not (tmp_path / "traffic.jsonl").exists()
    assert (await gate.last("admin"))["action"] == "record"


async def test_a_worker_records_for_its_siblings_only_whatever_token_somebody_has():
    recorder = Recorder(b"k" * 32)
    action = RecordAction(recorder, None, lambda _: True, capture=False)
    app = web.Application()
    app.router.add_get(PATH, action.own)
    async with TestClient(TestServer(app)) as client:
        for shown in ({}, {SIBLING: "guessed"}):
            async with client.get(PATH, params={"capture": "yes"}, headers=shown) as answer:
                assert answer.status == 401
        assert recorder.recording is None
        async with client.get(PATH, headers={SIBLING: recorder.sibling}) as answer:
            assert answer.status == 200
            recorder.stop()
            await answer.read()


async def test_a_capture_needs_a_reason_and_one_recording_is_made_at_a_time(
    open_gate, tmp_path, eventually, operator
):
    gate = await open_gate(admin=PRINCIPALS | {"capture": True})
    with pytest.raises(AdminError, match=r"\(400\): say why"):
        async with Recorded(gate, eventually, tmp_path / "a.jsonl", capture=True):
            pass
    async with Recorded(gate, eventually, tmp_path / "b.jsonl"):
        options = RecordOptions(tmp_path / "c.jsonl", Path("none"), admin=gate.server.admin_address)
        with pytest.raises(AdminError, match=r"\(409\): somebody else is recording"):
            await asyncio.to_thread(record, options)


async def test_what_the_queue_has_no_room_for_is_left_out_counted_and_told(
    open_gate, tmp_path, eventually, operator, monkeypatch
):
    monkeypatch.setattr("proxy.gateway.recording.MAX_ITEMS", 0)
    gate = await open_gate(admin=PRINCIPALS)
    out = tmp_path / "traffic.jsonl"
    async with Recorded(gate, eventually, out) as recorded:
        for _ in range(3):
            assert (await gate.ask(gate.post())).status == 200
        await gate.idle()
    assert (recorded.summary["exchanges"], recorded.summary["left_out"]) == (0, 3)
    assert (await gate.last("admin"))["result"] == "ended: 0 exchanges, 3 left out"


async def test_whoever_records_may_leave_and_another_one_begins(
    open_gate, tmp_path, eventually, operator
):
    gate = await open_gate(admin=PRINCIPALS)
    recorder = gate.server.gateway.recorder
    client = await gate.connect(admin=True)
    field = "Authorization: Bearer otto-token"
    begun = f"POST /v1/recording HTTP/1.1\r\nHost: a\r\n{field}\r\nContent-Length: 2\r\n\r\n{{}}"
    client.writer.write(begun.encode())
    await eventually(lambda: recorder.recording)
    client.close()
    await eventually(lambda: recorder.recording is None)
    async with Recorded(gate, eventually, tmp_path / "traffic.jsonl") as recorded:
        await gate.ask(gate.post())
        await gate.idle()
    assert recorded.summary["exchanges"] == 1


async def test_a_gateway_that_records_stops_as_fast_as_any_other(
    opened, upstream, tmp_path, eventually, operator
):
    async with opened(tmp_path / "world", upstream, admin=PRINCIPALS) as gate:
        recorded = Recorded(gate, eventually, tmp_path / "traffic.jsonl")
        await recorded.__aenter__()
        await gate.ask(gate.post())
        await gate.idle()
        began_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began_s < 30
    await recorded.__aexit__()
    assert recorded.summary["exchanges"] == 1
