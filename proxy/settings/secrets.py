"""Keys of this deployment: from the settings, or made once and kept in the state directory."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from proxy.policy.alone import alone
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.schema import Settings

KEY_BYTES = 32
REPLAY_KEY = bytes(KEY_BYTES)  # for replays without configured secrets: repeatable, not secret


@dataclass(frozen=True, slots=True)
class Keys:
    """`made` says that they were made here: replicas that share nothing would then disagree."""

    fingerprint: bytes
    pseudonym: bytes
    made: bool = False


def configured(settings: Settings, missing: bytes | None = None) -> Keys | None:
    """Keys of the settings; each that is missing is replaced by `missing`, or all is None."""
    given = (settings.secrets.fingerprint_key, settings.secrets.pseudonym_key)
    keys = [bytes.fromhex(k.get_secret_value()) if k else missing for k in given]
    if keys[0] is None or keys[1] is None:
        return None
    return Keys(keys[0], keys[1])


def ensured(settings: Settings) -> Keys:
    """Keys of the settings, or those in state_dir/keys.json, made there at the first start."""
    if keys := configured(settings):
        return keys
    path = settings.state_dir / "keys.json"
    try:
        if not path.exists():
            with alone(settings.state_dir):  # two that made keys at once would disagree
                if not path.exists():
                    _make(path)
    except OSError as error:
        message = f"the keys of a first start cannot be written: {error.strerror}"
        raise ProblemsError([Problem(str(path), 0, 0, message)]) from error
    try:
        held = json.loads(path.read_bytes())
        made = Keys(_held(held["fingerprint_key"]), _held(held["pseudonym_key"]), True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"the keys made at the first start cannot be read ({error}); restore the file"
        raise ProblemsError([Problem(str(path), 0, 0, message)]) from error
    given = settings.secrets
    fingerprint, pseudonym = given.fingerprint_key, given.pseudonym_key
    return Keys(
        bytes.fromhex(fingerprint.get_secret_value()) if fingerprint else made.fingerprint,
        bytes.fromhex(pseudonym.get_secret_value()) if pseudonym else made.pseudonym,
        True,
    )


def _held(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) < KEY_BYTES:
        msg = f"a key has fewer than {KEY_BYTES} bytes"
        raise ValueError(msg)
    return key


def _make(path: Path) -> None:
    """Write new keys so that a crash leaves either no file or a whole one."""
    names = ("fingerprint_key", "pseudonym_key")
    text = json.dumps({name: secrets.token_hex(KEY_BYTES) for name in names})
    aside = path.with_suffix(".new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
