"""What the detector leaves in files and in Redis, sealed: it holds account ids.

AES-256-GCM (NIST SP 800-38D) under a key of its own, made from the deployment's; the name of what
is sealed goes in, so that nothing passes for something else.
"""

import os
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PURPOSE = b"gauger detector"
_NONCE_BYTES = 12


class SealError(ValueError):
    """Something was not sealed with this key, or was changed since."""


class Box:
    """Seals and opens under the key of fingerprints."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(blake2b(key, digest_size=32, person=_PURPOSE).digest())

    def seal(self, name: str, data: bytes) -> bytes:
        """The sealed form of what goes by a name."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """What was sealed under that name. Raises SealError."""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, name.encode())
        except (InvalidTag, ValueError) as error:
            msg = f"the {name} was not written with this deployment's key"
            raise SealError(msg) from error
