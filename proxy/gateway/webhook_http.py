"""The POST request of a webhook. No redirect is followed, no proxy of the environment used."""

from collections.abc import Mapping

import aiohttp

from proxy import __version__
from proxy.gateway.webhook import Reply

MOST_READ = 65_536  # of an answer, so that its connection can be used again


class Poster:
    """Sends messages over connections of its own. To be closed."""

    def __init__(self, timeout_s: float) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"gauger/{__version__}"},
            trust_env=False,
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One attempt; whatever goes wrong on the way is a reply too."""
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await response.content.read(MOST_READ)
                return Reply(
                    response.status, retry_after_s=_seconds(response.headers.get("Retry-After"))
                )
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # The class alone: its text has the address, whose path may hold a secret.
            return Reply(None, type(error).__name__)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds; a date (RFC 9110, 10.2.3) is left to the backoff."""
    return float(value) if value and value.isascii() and value.isdigit() else None
