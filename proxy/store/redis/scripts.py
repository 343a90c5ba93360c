"""The Lua scripts, by their SHA-1, which is how a server that has seen one knows it.

They keep to the commands of Redis 7.0, ask no clock, and touch keys of one slot only (on Redis
Cluster; a standalone server takes all slots of a plan in one call).
"""

from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Script:
    """One script. Its text is sent where the server does not know the SHA."""

    text: str
    sha: str


def _script(*names: str) -> Script:
    folder = Path(__file__).parent / "scripts"
    text = "".join([(folder / f"{name}.lua").read_text() for name in ("common", *names)])
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


TAKE = _script("sweep", "take")
SETTLE = _script("settle")
RENEW = _script("renew")
HEARTBEAT = _script("heartbeat")
