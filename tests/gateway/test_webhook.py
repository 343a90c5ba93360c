"""The webhook: what is told, that a receiver can verify it, and that nothing gets lost."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.facts.pseudonyms import Pseudonyms
from proxy.gateway.webhook import Courier, Webhook
from proxy.gateway.webhook_http import Poster
from proxy.gateway.webhook_message import headers
from proxy.gateway.webhook_outbox import MOST_WAITING, Outbox
from proxy.model.cluster import ClusterState, EventKind
from proxy.settings.schema_webhook import Webhook as WebhookSettings
from tests.gateway.webhooks import Receiver, receiving
from tests.investigate.made import EVENTS, NS, OPENED, cluster, event, names

SECRET = b"a secret of at least 24 bytes"
PSEUDONYMS = Pseudonyms(bytes(32))
OPEN = EVENTS[0]


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.ns = (OPENED + 60) * NS

    def __call__(self) -> int:
        return self.ns

    def after(self, seconds: float) -> "Clock":
        self.ns += round(seconds * NS)
        return self


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest_asyncio.fixture
async def poster() -> AsyncIterator[Poster]:
    opened = Poster(timeout_s=0.5)
    yield opened
    await opened.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def settings(receiver: Receiver | None = None, **more: object) -> WebhookSettings:
    url = receiver.url if receiver else "http://127.0.0.1:9/hook"
    return WebhookSettings.model_validate({"url": url, "secret_env": "HOOK", **more})


def webhook(outbox: Outbox, **more: object) -> Webhook:
    return Webhook(settings(**more), outbox, PSEUDONYMS.of)


@pytest.fixture
def courier(receiver: Receiver, poster: Poster, outbox: Outbox) -> Callable[..., Courier]:
    def make(**more: object) -> Courier:
        return Courier(settings(receiver, **more), SECRET, outbox, poster.send)

    return make


async def test_a_new_cluster_is_told_with_a_signature_that_standard_webhooks_verify(
    receiver: Receiver, courier, outbox: Outbox
):
    clock = Clock()
    assert webhook(outbox).tell([OPEN], [cluster()], clock()) == 1
    await courier().deliver(clock)
    ((sent, body),) = receiver.came
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
    made = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert sent["webhook-signature"] == f"v1,{made}"
    assert sent["webhook-timestamp"] == str(OPENED + 60)
    assert sent["Content-Type"] == "application/json"
    assert sent["User-Agent"].startswith("gauger/")
    assert outbox.count() == 0


def test_the_signature_is_that_of_the_specification():
    """The example of the reference libraries (standardwebhooks, tests of verify and sign)."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    told = headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1_614_265_330 * NS)
    assert told["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_told_has_numbers_and_words_and_nobodys_name(outbox: Outbox):
    webhook(outbox).tell([OPEN], [cluster()], OPENED * NS)
    ((_, told),) = outbox.waiting()
    assert b"acct-" not in told.body
    said = json.loads(told.body)
    assert (said["type"], said["timestamp"]) == ("cluster.open", "2026-04-22T00:00:00Z")
    data = said["data"]
    assert (data["cluster"], data["state"], data["score"]) == ("c-7f3a", "open", 0.97)
    assert (data["accounts"], len(data["members"]), data["members_left_out"]) == (340, 100, 240)
    assert data["members"][0]["account"] == PSEUDONYMS.of("account", "acct-0000")
    assert data["families"] == ["network", "prompt", "relationship"]
    assert "against 1 in 41,000 of everyone" in data["evidence"][0]["why"]


def test_only_what_was_asked_for_is_told(outbox: Outbox):
    assert webhook(outbox).tell(EVENTS, [cluster()], 1) == 1
    state = event(3, EventKind.STATE, (), state=ClusterState.CONFIRMED)
    more = webhook(outbox, events=["state", "merge"])
    assert more.tell([*EVENTS, state], [cluster()], 2) == 2
    told = [json.loads(one.body) for _, one in outbox.waiting()]
    assert [one["type"] for one in told] == ["cluster.open", "cluster.merge", "cluster.state"]
    merged = told[1]["data"]
    assert (merged["cluster"], merged["into"], merged["accounts"]) == ("c-2b11", "c-7f3a", 100)


async def test_what_waits_survives_a_restart_and_is_not_told_twice(
    receiver: Receiver, courier, outbox: Outbox
):
    clock = Clock()
    webhook(outbox).tell([OPEN], [cluster()], clock())
    again = Outbox(outbox.directory)
    assert webhook(again).tell([OPEN], [cluster()], clock()) == 0
    assert again.count() == 1
    await courier().deliver(clock)
    assert len(receiver.came) == 1


async def test_a_receiver_that_fails_is_asked_again_after_ever_longer_waits(
    receiver: Receiver, courier, outbox: Outbox
):
    receiver.answers = [500, 503, 200]
    clock = Clock()
    webhook(outbox).tell([OPEN], [cluster()], clock())
    bringing = courier()
    for seconds, attempts in ((0, 1), (4.9, 1), (0.2, 2), (9.8, 2), (0.3, 3)):
        await bringing.deliver(clock.after(seconds))
        assert len(receiver.came) == attempts
    assert (bringing.waiting, bringing.delivered) == (0, 1)
    ids = {sent["webhook-id"] for sent, _ in receiver.came}
    stamps = [int(sent["webhook-timestamp"]) for sent, _ in receiver.came]
    assert len(ids) == 1
    assert stamps == sorted(set(stamps))


async def test_a_receiver_that_fails_holds_up_the_rest_so_that_their_order_stays(
    receiver: Receiver, courier, outbox: Outbox
):
    receiver.answers = [500, 200]
    clock = Clock()
    later = event(5, EventKind.OPEN, names(0, 3), "c-later")
    webhook(outbox).tell([OPEN, later], [cluster()], clock())
    bringing = courier()
    await bringing.deliver(clock)
    assert len(receiver.came) == 1
    await bringing.deliver(clock.after(6))
    assert len(receiver.came) == 3
    assert outbox.count() == 0


async def test_a_message_that_is_refused_does_not_hold_up_the_others(
    receiver: Receiver, courier, outbox: Outbox
):
    receiver.answers = [413, 200]
    clock = Clock()
    webhook(outbox).tell([OPEN], [cluster()], clock())
    webhook(outbox).tell([event(5, EventKind.OPEN, (), "c-2")], [], clock.after(1)())
    await courier().deliver(clock)
    assert len(receiver.came) == 2
    assert outbox.count() == 1


async def test_retry_after_is_kept_to(receiver: Receiver, courier, outbox: Outbox):
    receiver.answers = [(429, {"Retry-After": "120"}), 200]
    clock = Clock()
    webhook(outbox).tell([OPEN], [cluster()], clock())
    bringing = courier()
    await bringing.deliver(clock)
    await bringing.deliver(clock.after(119))
    assert len(receiver.came) == 1
    await bringing.deliver(clock.after(2))
    assert bringing.delivered == 1


async def test_a_message_is_given_up_after_its_time(receiver: Receiver, courier, outbox: Outbox):
    receiver.answers = [404]
    clock = Clock()
    webhook(outbox).tell([OPEN], [cluster()], clock())
    bringing = courier(give_up_s=60.0)
    await bringing.deliver(clock)
    assert outbox.count() == 1
    await bringing.deliver(clock.after(61))
    assert (outbox.count(), bringing.given_up) == (0, 1)


async def test_a_receiver_that_is_gone_for_good_is_left_alone_and_the_messages_are_kept(
    receiver: Receiver, courier, outbox: Outbox
):
    receiver.answers = [410]
    clock = Clock()
    webhook(outbox).tell([OPEN], [cluster()], clock())
    bringing = courier()
    await bringing.deliver(clock)
    await bringing.deliver(clock.after(10_000))
    assert (len(receiver.came), outbox.count()) == (1, 1)


async def test_no_answer_no_receiver_and_a_redirect_are_failures(
    receiver: Receiver, poster: Poster
):
    receiver.answers = [(302, {"Location": receiver.url})]
    assert (await poster.send(receiver.url, {}, b"{}")).taken is False
    assert len(receiver.came) == 1
    receiver.waits = 5.0
    late = await poster.send(receiver.url, {}, b"{}")
    assert (late.status, late.taken, late.of_this_message) == (None, False, False)
    nobody = await poster.send("http://127.0.0.1:1/x", {}, b"{}")
    assert nobody.status is None
    assert "127.0.0.1" not in nobody.why


async def test_it_delivers_by_itself_what_is_told_while_it_runs(
    receiver: Receiver, courier, outbox: Outbox, monkeypatch
):
    monkeypatch.setattr("proxy.gateway.webhook.LOOK_EVERY_S", 0.01)
    bringing = courier()
    running = asyncio.create_task(bringing.run())
    try:
        webhook(outbox).tell([OPEN], [cluster()])
        async with asyncio.timeout(10):
            while not bringing.delivered:  # noqa: ASYNC110 (it is another part that is watched)
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert len(receiver.came) == 1


def test_of_too_many_messages_the_oldest_make_room(outbox: Outbox, monkeypatch):
    assert MOST_WAITING >= 1_000
    monkeypatch.setattr("proxy.gateway.webhook_outbox.MOST_WAITING", 3)
    telling = webhook(outbox)
    for number in range(5):
        telling.tell([event(number, EventKind.OPEN, (), f"c-{number}")], [], number + 1)
    told = [json.loads(one.body)["data"]["cluster"] for _, one in outbox.waiting()]
    assert told == ["c-2", "c-3", "c-4"]


def test_messages_are_for_the_gateway_alone_and_a_crash_leaves_them_whole(outbox: Outbox):
    webhook(outbox).tell([OPEN], [cluster()], 1)
    (file,) = outbox.directory.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    (outbox.directory / f"{7:020d}-msg_x.new").write_text('{"half')
    assert outbox.count() == 1
