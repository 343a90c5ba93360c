"""Answers under way in a replay: what an admitted exchange used, due at its recorded end."""

import heapq
from dataclasses import replace

from msgspec import structs

from proxy.model.exchange import Prompt
from proxy.model.plan import Readings
from proxy.model.usage import Outcome, Usage
from proxy.pipeline.weigh import Weighed
from proxy.replay.traffic import RecordedExchange
from proxy.replay.usages import Usages

NS_PER_S = 1_000_000_000

Due = tuple[int, int, Weighed, Readings, Outcome]


class Answers:
    """Answers by the time at which they end; those that end together, in the order of arrival."""

    def __init__(self) -> None:
        self._due: list[Due] = []
        self._usages = Usages()
        self._count = 0

    def expect(
        self, recorded: RecordedExchange, weighed: Weighed, readings: Readings
    ) -> tuple[Usage | None, bool]:
        """Note an admitted exchange; its usage, and whether it had to be imputed."""
        response = recorded.response
        model = (weighed.asked.model if weighed.asked else None) or ""
        if response is None:
            usage = self._usages.imputed(model)
            outcome, took_s = Outcome(200, complete=True, usage=usage), 0.0
        else:
            usage = response.read_usage()
            outcome, took_s = response.outcome(usage), response.duration_s
            if usage is not None:
                self._usages.note(model, usage)
        self._count += 1
        ended_ns = weighed.arrival.at_ns + round(took_s * NS_PER_S)
        due = (ended_ns, self._count, _without_text(weighed), readings, outcome)
        heapq.heappush(self._due, due)
        return usage, response is None

    def next(self, to_ns: int | None = None) -> Due | None:
        """The next answer that ends, by `to_ns` where that is given; None where none does."""
        if not self._due or (to_ns is not None and self._due[0][0] > to_ns):
            return None
        return heapq.heappop(self._due)


def _without_text(weighed: Weighed) -> Weighed:
    """The exchange without its text: many answers may be under way, each of a long prompt."""
    asked, arrival = weighed.asked, weighed.arrival
    if arrival.body is None:
        return weighed
    return replace(
        weighed,
        arrival=structs.replace(arrival, headers=(), body=None),
        asked=structs.replace(asked, prompt=Prompt(turns=asked.prompt.turns)) if asked else None,
    )
