"""What is remembered, sealed: a state file, or a Redis, must not say who asked for what.

Values hold the names of counters, and these name accounts. They are encrypted and authenticated
(Fernet: https://github.com/fernet/spec, AES-128-CBC and HMAC-SHA256) under the deployment's key.
"""

from base64 import urlsafe_b64encode
from hashlib import blake2b

from cryptography.fernet import Fernet, InvalidToken

from proxy.store.remembered import Remembered

PURPOSE = b"gauger remember"


class Sealed:
    """Remembered through another memory, sealed. What cannot be opened was never put in by us."""

    def __init__(self, memory: Remembered, key: bytes) -> None:
        own_key = blake2b(key, digest_size=32, person=PURPOSE).digest()
        self._box = Fernet(urlsafe_b64encode(own_key))
        self._memory = memory

    async def put(self, name: str, value: bytes) -> None:
        """Remember a value, in place of the one before."""
        await self._memory.put(name, self._box.encrypt(value))

    async def get(self, name: str) -> bytes | None:
        """The value, or None."""
        return self._opened(await self._memory.get(name))

    async def take(self, name: str) -> bytes | None:
        """The value, which is forgotten with it."""
        return self._opened(await self._memory.take(name))

    async def close(self) -> None:
        """Close the memory behind."""
        await self._memory.close()

    def _opened(self, sealed: bytes | None) -> bytes | None:
        try:
            return None if sealed is None else self._box.decrypt(sealed)
        except InvalidToken:
            return None
