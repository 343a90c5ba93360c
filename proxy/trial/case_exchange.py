"""Whole requests of a case, in the format of recorded traffic, to the exchanges that are run."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

import msgspec

from proxy.model.exchange import Arrival
from proxy.policy.schema_texts import duration_s
from proxy.replay.traffic import (
    RecordedExchange,
    RecordedResponse,
    RecordedTls,
    RecordedUsage,
)
from proxy.trial.case import Step
from proxy.trial.case_schema import ExchangeSpec, ResponseSpec
from proxy.trial.expect_schema import ExpectSpec
from proxy.trial.spot import Spot

NS_PER_S = 1_000_000_000


class Sequence:
    """The exchanges of one case. `at_ns` is the case's clock, None where none was given."""

    def __init__(self, defaults: ExchangeSpec | None, at_ns: int | None) -> None:
        self._defaults = {} if defaults is None else defaults.model_dump(exclude_unset=True)
        self._clock_ns = at_ns
        self._now_ns: int | None = None

    def steps(
        self, given: list[tuple[ExchangeSpec, Spot]], last: tuple[ExpectSpec | None, Spot]
    ) -> Iterator[Step]:
        """The exchanges in order; what the case itself expects is expected of the last."""
        for i, (spec, spot) in enumerate(given):
            merged = ExchangeSpec.model_validate(
                laid_over(self._defaults, spec.model_dump(exclude_unset=True))
            )
            expect, place = merged.expect, spot.at("expect")
            if i == len(given) - 1 and last[0] is not None:
                if expect is not None:
                    place.key_fault("expect stands here and in the case itself: leave one of them")
                expect, place = last
            at_ns = self._at_ns(merged, spot)
            arrival = _arrival(merged, f"x-{i + 1}", at_ns or 0, spot)
            if at_ns is not None and arrival is not None:
                yield Step(
                    at_ns,
                    arrival=arrival,
                    response=_response(merged.response),
                    repeat=merged.repeat,
                    expect=expect,
                    path=place.path,
                )

    def _at_ns(self, spec: ExchangeSpec, spot: Spot) -> int | None:
        """When an exchange comes: by its ts, or after the one before it, or by the clock."""
        if spec.ts is not None:
            at_ns = round(spec.ts * 1_000_000) * 1000
        elif spec.after is not None and self._now_ns is None:
            spot.at("after").key_fault("no exchange comes before this one: remove the key")
            return None
        elif self._now_ns is not None:
            at_ns = self._now_ns + (duration_s(spec.after) * NS_PER_S if spec.after else 0)
        elif self._clock_ns is not None:
            at_ns = self._clock_ns
        else:
            spot.fault("say when: at: 2026-12-01T12:00:00Z (in the case, or under defaults)")
            return None
        if spec.ts is not None and spec.after is not None:
            spot.at("after").key_fault("give ts or after, not both")
        if self._now_ns is not None and at_ns < self._now_ns:
            spot.at("ts").fault("this is before the exchange above it")
        self._now_ns = at_ns
        return at_ns


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are joined key by key, at any depth; of anything else the upper value counts."""
    joined = dict(below)
    for key, value in above.items():
        under = joined.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = laid_over(under, value)  # noqa: PLW2901 (what is laid over what is below)
        joined[key] = value
    return joined


def _arrival(spec: ExchangeSpec, id_: str, at_ns: int, spot: Spot) -> Arrival | None:
    """The request as the edge would hand it on; None where something is wrong with it."""
    headers = _headers(spec.headers)
    before = len(spot.document.problems)
    if spec.path is None or not spec.path.startswith("/"):
        spot.at("path").fault("say what is asked: path: /v1/chat/completions")
    if headers is None:
        wrong = "headers are a mapping ({User-Agent: curl}) or a list ([[User-Agent, curl]])"
        spot.at("headers").fault(wrong)
    if spec.body is not None and spec.body_text is not None:
        spot.at("body_text").key_fault("give body or body_text, not both")
    if spec.client_ip is not None and not _is_address(spec.client_ip):
        spot.at("client_ip").fault("this is not an address (write 203.0.113.7)")
    if len(spot.document.problems) > before or spec.path is None or headers is None:
        return None
    recorded = RecordedExchange(
        id=spec.id or id_,
        ts=at_ns / NS_PER_S,
        method=spec.method,
        path=spec.path,
        client_ip=spec.client_ip,
        headers=headers,
        tls=RecordedTls(spec.tls.ja4) if spec.tls else None,
        key=spec.key,
        body=msgspec.Raw() if spec.body is None else msgspec.Raw(msgspec.json.encode(spec.body)),
        body_text=spec.body_text,
    )
    return recorded.arrival()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _headers(given: Any) -> list[tuple[str, str]] | None:
    """Header fields in order; None for anything but a mapping or pairs of texts."""
    if given is None:
        return []
    pairs = list(given.items()) if isinstance(given, dict) else given
    if not isinstance(pairs, list):
        return None
    headers: list[tuple[str, str]] = []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        name, value = pair
        if value is None and isinstance(given, dict):
            continue  # taken away from the defaults
        if not isinstance(name, str) or isinstance(value, bool | list | dict | None):
            return None
        headers.append((name, str(value)))
    return headers


def _response(spec: ResponseSpec | None) -> RecordedResponse | None:
    if spec is None:
        return None
    usage = RecordedUsage(**spec.usage.model_dump()) if spec.usage else None
    return RecordedResponse(spec.status, usage, spec.duration_s)
