"""Reading ahead: what of a line depends on that line alone, done before it is its turn.

Parsing, what the request asks for, its fingerprints and sketches take a good third of a replay's
time and need no state, so that other processes can do them. What they hand on has no prompt any
more. The result is what the session would have read itself.
"""

from msgspec import Raw, structs

from proxy.facts.batch_sample import BatchSample
from proxy.facts.fingerprints import NOWHERE, fingerprints
from proxy.facts.sketch import sketch
from proxy.model.exchange import Arrival, Asked, BadRequest, BodyKind, Headers, Prompt, Surface
from proxy.pipeline.batched import submits
from proxy.pipeline.given import Given
from proxy.replay.batches import counted
from proxy.replay.told import Prepared
from proxy.wire.credential import CREDENTIAL_HEADERS
from proxy.wire.request import read
from proxy.wire.surfaces import find

# Headers that are asked for after the fingerprints: whose it is, and in which dialect.
STILL_ASKED = CREDENTIAL_HEADERS | {"anthropic-version"}


class Reader:
    """Reads exchanges ahead. `key` is that of fingerprints; `sketches`: whether anybody asks."""

    def __init__(self, key: bytes, max_json_depth: int, *, sketches: bool) -> None:
        self._key = key
        self._depth = max_json_depth
        self._sketches = sketches

    def read(self, prepared: Prepared) -> Prepared:
        """The exchange with all that its text gives, and without the text."""
        recorded, arrival = prepared.recorded, prepared.arrival
        if recorded.told:
            return prepared
        surface = find(arrival.method, arrival.path, arrival.headers)
        asked = self._asked(arrival, surface)
        tokens: tuple[int, ...] = ()
        sketched: tuple[int, ...] = ()
        if isinstance(asked, Asked):
            tokens = fingerprints(arrival, asked, NOWHERE, self._key)
            if self._sketches and surface is not None and surface.generates:
                sketched = sketch(asked.prompt, self._key)
            asked = structs.replace(asked, prompt=Prompt(turns=asked.prompt.turns))
        return Prepared(
            structs.replace(recorded, headers=[], body=Raw(), body_text=None),
            structs.replace(
                arrival,
                headers=_still_asked(arrival.headers),
                # The submission of a batch names a file, and no prompt.
                body=arrival.body if submits(arrival.method, arrival.path) else None,
            ),
            Given(asked, tokens),
            sketched,
            prepared.problem,
            prepared.batch or counted(surface, arrival, BatchSample(self._key)),
        )

    def _asked(self, arrival: Arrival, surface: Surface | None) -> Asked | BadRequest:
        if surface is None or surface.body is not BodyKind.JSON:
            return Asked()
        return read(surface, arrival.body or b"", max_depth=self._depth)


def _still_asked(headers: Headers) -> Headers:
    return tuple([header for header in headers if header[0].lower() in STILL_ASKED])
