"""One line of the account directory: JSON text to a checked account.

An error says what is wrong and what to do, and never repeats the value of a key's hash: where
somebody put a bare key in its place, the key must not reach a log.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from proxy.model.account import Account, AccountStatus, Key, Owner
from proxy.model.verdict import Unit

MAX_LINE_BYTES = 1 << 20
MAX_OWNER_DEPTH = 32
MAX_LIMIT = 10**15  # and of cost a millionth of it, which is counted in millionths
MAX_CREATED_AT_S = 100_000_000_000  # the year 5138; above it the number is in milliseconds

_DECODER = msgspec.json.Decoder(Account)
_SHA256_HEX = re.compile(r"[0-9a-f]{64}\Z")
_HINTS = {
    "status": "use one of: " + ", ".join(AccountStatus),
    "created_at": "give Unix seconds as a number, such as 1774000000",
    "share": "give a number from 0 to 1",
    "keys": 'give a list of {"id": …, "sha256": …}',
    "links": "give an object of names and strings",
    "limits": 'give amounts by rule and unit: {"free-day": {"requests": 500}}',
}


class AccountLineError(ValueError):
    """What is wrong with a line, and what to do; the caller adds file and line number."""


def read_account(line: bytes) -> Account:
    """The account that one JSON line describes; key hashes come back in lower case.

    Unknown fields are ignored, and everything but `account` and `keys` may be missing.
    Raises AccountLineError.
    """
    if len(line) > MAX_LINE_BYTES:
        raise AccountLineError(f"longer than {MAX_LINE_BYTES} bytes; one account goes on one line")
    try:
        account = _DECODER.decode(line)
    except msgspec.ValidationError as error:
        raise AccountLineError(_explained(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AccountLineError(f"not JSON ({error}); write one object on each line") from None
    except RecursionError:
        raise AccountLineError("nested too deeply; flatten its owners") from None
    _check(account)
    if any(key.sha256 != key.sha256.lower() for key in account.keys):
        return replace(account, keys=tuple(map(_lowered, account.keys)))
    return account


def account_line(account: object) -> bytes:
    """The JSON line of an account given as a plain object. Raises AccountLineError."""
    try:
        return msgspec.json.encode(account)
    except (TypeError, ValueError, RecursionError) as error:
        raise AccountLineError(f"cannot be written as JSON ({error})") from None


def _lowered(key: Key) -> Key:
    return replace(key, sha256=key.sha256.lower())


def _explained(message: str) -> str:
    """A msgspec message in the words of the file format, with the likely fix."""
    what, _, place = message.partition(" - at `$.")
    place = place.rstrip("`").replace("[...]", "[]")
    if what.startswith("Invalid enum value"):
        wrong = what.removeprefix("Invalid enum value").strip().strip("'")[:40]
        near = difflib.get_close_matches(wrong, list(AccountStatus), n=1)
        guess = f' (did you mean "{near[0]}"?)' if near else ""
        what = f'unknown value "{wrong}"{guess}'
    parts = re.split(r"[.\[]", place)
    field = parts[-1].rstrip("]") or parts[0]  # of an element that has no name, the whole's
    missing = re.fullmatch(r"Object missing required field `(\w+)`", what)
    if missing:
        what = f"{missing[1]} is missing"
    hint = _HINTS.get(missing[1] if missing else field) or "correct the line"
    return f"{place}: {what}; {hint}" if place else f"{what}; {hint}"


def _check(account: Account) -> None:
    """Raise AccountLineError for what types alone do not say."""
    if not account.account:
        raise AccountLineError("account is empty; give each account its own id")
    seen: set[str] = set()
    for index, key in enumerate(account.keys):
        _check_key(index, key, seen)
    if account.created_at is not None and not 0 <= account.created_at < MAX_CREATED_AT_S:
        raise AccountLineError(f"created_at: {account.created_at:.15g}; {_HINTS['created_at']}")
    _check_owners(account.owners, 1)
    for rule, amounts in account.limits.items():
        check_limits(rule[:60], amounts)


def _check_key(index: int, key: Key, seen: set[str]) -> None:
    if not key.id:
        raise AccountLineError(f"keys[{index}].id is empty; give each key its own id")
    digest = key.sha256.lower()
    if not _SHA256_HEX.match(digest):
        raise AccountLineError(
            f"keys[{index}].sha256 is not 64 hex digits; put the SHA-256 of the bare key there"
        )
    if digest in seen:
        raise AccountLineError(f"keys[{index}] is listed twice; leave one of the two")
    seen.add(digest)


def _check_owners(owners: tuple[Owner, ...], depth: int) -> None:
    if owners and depth > MAX_OWNER_DEPTH:
        raise AccountLineError(f"owners: more than {MAX_OWNER_DEPTH} levels; flatten them")
    for owner in owners:
        if not 0 <= owner.share <= 1:
            raise AccountLineError(
                f'owners: share of "{owner.name[:40]}" is {owner.share:.15g}; {_HINTS["share"]}'
            )
        _check_owners(owner.owners, depth + 1)


def check_limits(rule: str, amounts: Mapping[str, float]) -> None:
    """Raise AccountLineError where limits of an account's own for a rule are no limits."""
    if not rule or not amounts:
        raise AccountLineError(f'limits: nothing stands under "{rule}"; {_HINTS["limits"]}')
    for unit, amount in amounts.items():
        if unit not in list(Unit):
            near = difflib.get_close_matches(unit, list(Unit), n=1)
            guess = f' (did you mean "{near[0]}"?)' if near else ""
            known = ", ".join(Unit)
            raise AccountLineError(
                f'limits: "{rule}" has the unknown unit "{unit[:40]}"{guess}; use one of: {known}'
            )
        wrong = _wrong_amount(unit, amount)
        if wrong:
            raise AccountLineError(f'limits: {unit} of "{rule}" is {amount:.15g}; {wrong}')


def _wrong_amount(unit: str, amount: float) -> str:
    if unit == Unit.COST:
        millionths = amount * 1_000_000
        whole = millionths <= MAX_LIMIT and abs(millionths - round(millionths)) <= 1e-3
        return "" if millionths > 0 and whole else "give an amount above 0, to six decimals"
    whole = amount <= MAX_LIMIT and amount == int(amount)
    return "" if amount > 0 and whole else "give a whole number above 0"
