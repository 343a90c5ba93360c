"""Where an address is: country and autonomous system from any MMDB files, and anonymizer lists.

Records are read in MaxMind's layout (`country.iso_code`, `autonomous_system_number`) and in the
flat one (`country_code`, `asn`); format: https://maxmind.github.io/MaxMind-DB/. Files are mapped
into memory: replace one by renaming another over it, never by writing into it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Self

import maxminddb

from proxy.facts.address import canonical
from proxy.facts.networks import Networks, packed
from proxy.model.facts import ANONYMIZER_KINDS, NO_ANONYMIZER

CACHED_PLACES = 16_384
MAX_PROBLEMS = 20
PROBED_RECORDS = 20_000
_ASN = re.compile(r"(?:AS)?(\d{1,10})\Z", re.IGNORECASE | re.ASCII)
# What the C reader raises over damaged data; SystemError where it failed and did not notice.
_DAMAGE = (
    maxminddb.InvalidDatabaseError,
    RecursionError,
    SystemError,
    UnicodeDecodeError,
)
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z")

# Addresses of no place: private, shared, loopback, link-local, unspecified (RFC 6890). The
# documentation networks are left to the databases.
_NOWHERE = Networks(
    (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/128",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ),
    "nowhere",
)


class PlacesError(Exception):
    """Why a database or list cannot be used. `problems` name the file and, in a list, the line."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Places:
    """Country and ASN of addresses, from the first database that knows each.

    `damage` says what was wrong with a database whose damage showed only in a look-up; the
    address counts as unknown then.
    """

    def __init__(self, readers: Iterable[tuple[str, maxminddb.Reader]] = ()) -> None:
        self._readers = tuple(readers)
        self.damage: str | None = None
        self._cached = lru_cache(maxsize=CACHED_PLACES)(self._look)

    @classmethod
    def open(cls, paths: Iterable[Path | str]) -> Self:
        """Over these MMDB files, in this order. Raises PlacesError naming each that is no use."""
        readers: list[tuple[str, maxminddb.Reader]] = []
        problems: list[str] = []
        for path in paths:
            try:
                readers.append((str(path), _open(path)))
            except PlacesError as error:
                problems.extend(error.problems)
        if problems:
            for _, reader in readers:
                reader.close()
            raise PlacesError(*problems)
        return cls(readers)

    def country(self, ip: str) -> str | None:
        """ISO 3166-1 alpha-2 code in capitals, or None where it is unknown or nowhere."""
        return self._cached(ip)[0]

    def asn(self, ip: str) -> int | None:
        """Number of the autonomous system, or None where it is unknown."""
        return self._cached(ip)[1]

    def close(self) -> None:
        """Unmap the files."""
        for _, reader in self._readers:
            reader.close()

    def _look(self, ip: str) -> tuple[str | None, int | None]:
        if not self._readers or packed(ip) is None or _NOWHERE.find(ip):
            return (None, None)
        country: str | None = None
        asn: int | None = None
        for name, reader in self._readers:
            record = self._record(name, reader, ip)
            country = country or _country(record)
            asn = asn or _asn(record)
        return (country, asn)

    def _record(self, name: str, reader: maxminddb.Reader, ip: str) -> object:
        try:
            return reader.get(canonical(ip))
        except ValueError:  # an IPv6 address and a database of IPv4
            return None
        except _DAMAGE as error:
            self.damage = f"{name}: damaged, found at a look-up: {error}; fetch it again"
            return None


class Anonymizers:
    """Kinds of anonymizer by network or autonomous system; the most specific entry wins."""

    def __init__(self, *, listed: bool = True) -> None:
        self._listed = listed
        self._networks = Networks()
        self._systems: dict[int, str] = {}

    @classmethod
    def empty(cls) -> Self:
        """There is no list: nothing is known of any address."""
        return cls(listed=False)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """From lines of `CIDR-or-ASN<TAB>kind`; `#` begins a comment.

        Raises PlacesError naming every line that is not so (the first twenty).
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise PlacesError(f"{path}: cannot be read as text: {error}") from error
        anonymizers, problems = cls(), []
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.partition("#")[0].split()
            problem = anonymizers._take(fields) if fields else None
            if problem:
                problems.append(f"{path}:{number}: {problem}")
        if len(problems) > MAX_PROBLEMS:
            problems[MAX_PROBLEMS:] = [f"{path}: and {len(problems) - MAX_PROBLEMS} more bad lines"]
        if problems:
            raise PlacesError(*problems)
        return anonymizers

    def kind(self, ip: str, asn: int | None) -> str | None:
        """What the address belongs to: the smallest network that holds it, or else its ASN.

        NO_ANONYMIZER where the list does not have it. None where there is no list, or where it
        names systems and that of the address is not known.
        """
        found = self._networks.find(ip)
        if found is None and asn is not None:
            found = self._systems.get(asn)
        if found is None and self._listed and (asn is not None or not self._systems):
            return NO_ANONYMIZER
        return found

    def _take(self, fields: list[str]) -> str | None:
        """Enter one line, or say what is wrong with it."""
        if len(fields) != 2:
            return "not `CIDR-or-ASN<TAB>kind`; write one network and one kind on a line"
        where, kind = fields
        if kind not in ANONYMIZER_KINDS:
            return f'unknown kind "{kind[:40]}"; use one of: {", ".join(ANONYMIZER_KINDS)}'
        system = _ASN.match(where)
        try:
            before = (
                self._systems.setdefault(int(system[1]), kind)
                if system
                else self._networks.add(where, kind)
            )
        except ValueError as error:
            return f"{error}; write a network such as 192.0.2.0/24 or a system such as AS64500"
        if before != kind:
            return f'"{where}" is listed as {before} already; leave one of the two'
        return None


def _open(path: Path | str) -> maxminddb.Reader:
    try:
        reader = maxminddb.open_database(path)
    except OSError as error:
        raise PlacesError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except (maxminddb.InvalidDatabaseError, ValueError, RecursionError) as error:
        raise PlacesError(f"{path}: not a readable MMDB file ({error}); fetch it again") from error
    try:
        known = any(_country(found) or _asn(found) for _, found in islice(reader, PROBED_RECORDS))
    except ValueError:  # maxminddb cannot name a network that holds all of IPv4, but finds in it
        known = True
    except _DAMAGE as error:
        reader.close()
        raise PlacesError(f"{path}: a damaged MMDB file ({error}); fetch it again") from error
    if not known:
        reader.close()
        raise PlacesError(
            f"{path}: holds neither countries nor systems; use a country or an ASN database"
        )
    return reader


def _country(record: object) -> str | None:
    if not isinstance(record, dict):
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code")
    return code.upper() if isinstance(code, str) and _COUNTRY.match(code) else None


def _asn(record: object) -> int | None:
    if not isinstance(record, dict):
        return None
    number = record.get("autonomous_system_number", record.get("asn"))
    if isinstance(number, str) and (system := _ASN.match(number)):
        number = int(system[1])
    return number if type(number) is int and 0 < number < 1 << 32 else None
