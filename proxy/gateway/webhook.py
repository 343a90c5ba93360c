"""Telling somebody's webhook that a cluster opened, changed its state or was merged.

Two halves that share a directory: `Webhook.tell` puts messages into the outbox, `Courier.run`
brings them to the address and tries again until they are taken. They may be in one process or in
two; neither is on the request path. A message is delivered at least once, and in order as long as
the receiver takes it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from proxy.gateway.webhook_message import Message, Pseudonym, headers, message
from proxy.gateway.webhook_outbox import Outbox
from proxy.model.cluster import ClusterEvent, EventKind, FoundCluster
from proxy.settings.schema_webhook import Webhook as WebhookSettings

NS_PER_S = 1_000_000_000
OUTBOX = "outbox"  # in the detector's directory
LOOK_EVERY_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 3600.0
GONE = 410
TOO_MANY = 429

log = structlog.get_logger("gauger.webhook")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of an attempt: a status, or None where nobody answered, and why in one word."""

    status: int | None
    why: str = ""
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def of_this_message(self) -> bool:
        """Whether it was this message that was refused, and others may fare better."""
        return self.status is not None and self.status < 500 and self.status != TOO_MANY


# Address, headers and body to what came of it. Raises nothing that an answer can be.
Send = Callable[[str, Mapping[str, str], bytes], Awaitable[Reply]]


class Webhook:
    """Puts what is to be told into the outbox. Synchronous: for whoever steps the detector."""

    def __init__(self, settings: WebhookSettings, outbox: Outbox, pseudonym: Pseudonym) -> None:
        self._kinds = frozenset(EventKind(kind) for kind in settings.events)
        self._outbox = outbox
        self._pseudonym = pseudonym

    def tell(
        self,
        events: Iterable[ClusterEvent],
        clusters: Iterable[FoundCluster],
        now_ns: int | None = None,
    ) -> int:
        """Keep a message for each event that is asked for; how many are new.

        `clusters` are those that stand after the events. Returns once they are on the disk;
        raises OSError where they cannot be: tell all of them again, what waits already is
        not told twice.
        """
        wanted = [event for event in events if event.kind in self._kinds]
        if not wanted:
            return 0
        by_id = {found.cluster.id: found for found in clusters}
        at_ns = time.time_ns() if now_ns is None else now_ns
        # A nanosecond apart, so that their order is that of their files.
        return self._outbox.put(
            message(event, by_id.get(event.cluster), self._pseudonym, at_ns + number)
            for number, event in enumerate(wanted)
        )


@dataclass(slots=True)
class _Tries:
    attempts: int = 0
    due_ns: int = 0

    def failed(self, now_ns: int, retry_after_s: float | None = None) -> float:
        """Seconds until the next attempt: twice as long as the last time, or as was asked for."""
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * float(1 << min(self.attempts, 16)))
        self.attempts += 1
        wait_s = min(LONGEST_WAIT_S, max(wait_s, retry_after_s or 0.0))
        self.due_ns = now_ns + round(wait_s * NS_PER_S)
        return wait_s


class Courier:
    """Brings the messages of the outbox to the address."""

    def __init__(
        self, settings: WebhookSettings, secret: bytes, outbox: Outbox, send: Send
    ) -> None:
        self.delivered = 0
        self.given_up = 0
        self._settings = settings
        self._secret = secret
        self._outbox = outbox
        self._send = send
        self._all = _Tries()  # of the receiver as such
        self._each: dict[str, _Tries] = {}
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many messages are not delivered."""
        return self._outbox.count()

    async def run(self) -> None:
        """Deliver until cancelled; what is told meanwhile is seen within a second."""
        while not self._closed:
            try:
                await self.deliver(time.time_ns)
            except OSError as error:
                log.error("the outbox of the webhook cannot be read", problem=error.strerror)
            await asyncio.sleep(LOOK_EVERY_S)

    async def deliver(self, clock_ns: Callable[[], int]) -> None:
        """One round over what is due. Ends early where the receiver takes nothing now."""
        if self._closed or clock_ns() < self._all.due_ns:
            return
        names = set()
        for name, one in self._outbox.waiting():
            names.add(name)
            tries = self._each.setdefault(name, _Tries())
            if clock_ns() >= tries.due_ns and not await self._try(name, one, tries, clock_ns):
                return
        self._each = {name: tries for name, tries in self._each.items() if name in names}

    async def _try(
        self, name: str, one: Message, tries: _Tries, clock_ns: Callable[[], int]
    ) -> bool:
        """One attempt; whether the next message may follow it."""
        signed = headers(self._secret, one.id, one.body, clock_ns())
        reply = await self._send(self._settings.url, signed, one.body)
        now_ns = clock_ns()
        if reply.taken:
            self._all = _Tries()
            self.delivered += 1
            self._done(name)
            return True
        if now_ns - one.told_ns >= self._settings.give_up_s * NS_PER_S:
            self.given_up += 1
            log.error("webhook message given up", message=one.id, **_why(reply))
            self._done(name)
            return reply.of_this_message
        if reply.status == GONE:
            self._closed = True
            log.error("the webhook is gone; messages are kept, a restart tries again")
            return False
        failing = tries if reply.of_this_message else self._all
        wait_s = failing.failed(now_ns, reply.retry_after_s)
        log.warning("webhook not delivered", message=one.id, next_in_s=wait_s, **_why(reply))
        return reply.of_this_message

    def _done(self, name: str) -> None:
        self._outbox.remove(name)
        self._each.pop(name, None)


def _why(reply: Reply) -> dict[str, str | int]:
    """What the log says: never the address, whose path may hold a secret."""
    return {"status": reply.status} if reply.status is not None else {"problem": reply.why}
