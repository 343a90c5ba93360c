"""Sightings read again from the audit log: those that the detector's process missed.

A record has the fingerprints that were known before the decision (`traits`), no sketches, and a
pseudonym in place of the account: with the keys and the directory it is known again whose it is.
Accounts that the directory does not have any more are left out.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from proxy.audit.read import Entry, entries
from proxy.facts.directory import Directory, open_index
from proxy.facts.pseudonyms import Pseudonyms
from proxy.facts.relations import Relations
from proxy.gateway.detecting.messages import Seen
from proxy.model.sighting import Described, Sighting
from proxy.model.verdict import Verdict
from proxy.pipeline.records import traits_of

AT_ONCE = 512
REFUSING = frozenset(verdict.word for verdict in Verdict if verdict.refuses)


class People:
    """Whose pseudonym is whose, over the index of the account directory."""

    def __init__(self, index: Path, pseudonyms: Pseudonyms, fingerprint_key: bytes) -> None:
        self._directory = Directory.open(index)
        self._relations = Relations(fingerprint_key)
        self._accounts: Mapping[str, str] = {
            pseudonyms.computed("account", account): account for account in _ids(index)
        }

    def of(self, pseudonym: str) -> Described | None:
        """The account behind a pseudonym; None where nobody has it."""
        account = self._accounts.get(pseudonym)
        caller = None if account is None else self._directory.by_account(account)
        return None if caller is None else self._relations.of(caller.account)

    def close(self) -> None:
        """Let go of the index."""
        self._directory.close()


def missed(log: Path, after: int, before: int, people: People) -> Iterator[list[Seen]]:
    """The sightings between two positions of a log (both left out), in order, some at once.

    Raises AuditDamaged and OSError for a log that cannot be read.
    """
    found = _seen(log, after, before, people)
    while batch := list(islice(found, AT_ONCE)):
        yield batch


def _seen(log: Path, after: int, before: int, people: People) -> Iterator[Seen]:
    for entry in entries(log, types={"decision"}, after=after):
        if entry.seq >= before:
            return
        if "traits" not in entry.fields:
            continue
        described = people.of(str(entry.fields.get("account")))
        if described is not None:
            yield Seen(described, _sighting(entry, described.account))


def _sighting(entry: Entry, account: str) -> Sighting:
    fields: dict[str, Any] = entry.fields
    facts = fields["facts"]
    return Sighting(
        position=entry.seq,
        at_ns=entry.at_ns,
        account=account,
        tokens=traits_of(fields["traits"]),
        served=fields["verdict"] not in REFUSING,
        turns=fields.get("turns", 1),
        input_tokens=facts.get("request.input_tokens", 0),
        requests=facts.get("request.requests", 1),
        honeypot=facts.get("account.honeypot", False),
    )


def _ids(index: Path) -> Iterator[str]:
    db = open_index(index)
    try:
        for (account,) in db.execute("SELECT id FROM accounts"):
            yield account
    finally:
        db.close()
