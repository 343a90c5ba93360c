"""Who is told of what happens to clusters: the webhook, where one is configured."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from proxy.facts.pseudonyms import Pseudonyms
from proxy.gateway.detecting.files import Announce
from proxy.gateway.webhook import OUTBOX, Courier, Webhook
from proxy.gateway.webhook_http import Poster
from proxy.gateway.webhook_outbox import Outbox
from proxy.settings.schema_webhook import Webhook as WebhookSettings
from proxy.settings.schema_webhook import secret_bytes
from proxy.settings.secrets import Keys


class Announcer:
    """The webhook's outbox, and whoever brings its messages away."""

    def __init__(self, settings: WebhookSettings, keys: Keys, directory: Path) -> None:
        outbox = Outbox(directory / OUTBOX)
        secret = secret_bytes(os.environ[settings.secret_env])
        webhook = Webhook(settings, outbox, Pseudonyms(keys.pseudonym).of)
        self._poster = Poster(settings.timeout_s)
        self._courier = Courier(settings, secret, outbox, self._poster.send)
        self._task: asyncio.Task[None] | None = None
        self.tell: Announce = webhook.tell

    def begin(self) -> None:
        """Deliver from now on."""
        self._task = asyncio.create_task(self._courier.run())

    async def close(self) -> None:
        """Deliver no more; what waits is delivered after the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._poster.close()
