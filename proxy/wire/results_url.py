"""Results of Anthropic batches, fetched through the gateway as the batch itself was.

An answer about a batch names the place of its results with the upstream's own host, which SDKs
then ask directly: past every rule, and with the caller's key for the gateway. Here that place
becomes one at the gateway; every other byte stays.

Field: https://docs.anthropic.com/en/api/retrieving-message-batches.
"""

from urllib.parse import urlsplit

import msgspec

from proxy.wire.jsontext import mend_surrogates
from proxy.wire.rewrite import in_each, in_member, in_object

_BATCHES = "/v1/messages/batches/"


def at_gateway(answer: bytes, origin: str, *, upstream_path: str = "") -> bytes:
    """The answer of create, retrieve, list or cancel with each `results_url` at `origin`.

    `origin` is `scheme://host[:port]` as the caller reached the gateway, `upstream_path` what
    stands in front of /v1 at the upstream. The path and the query stay. The same object comes back
    where nothing is to be changed: the answer is no JSON, or names no results of a batch.
    """

    def moved(url: bytes) -> bytes:
        return _moved(url, origin, upstream_path.rstrip("/"))

    def one(batch: bytes) -> bytes:
        return in_member(batch, "results_url", moved)

    try:
        return in_member(one(answer), "data", in_each(in_object(one)))
    except (ValueError, RecursionError):
        return answer


def _moved(url: bytes, origin: str, upstream_path: str) -> bytes:
    if not url.startswith(b'"'):
        return url
    try:
        parts = urlsplit(msgspec.json.decode(mend_surrogates(url), type=str))
    except ValueError:
        return url
    path = parts.path.removeprefix(upstream_path)
    if parts.scheme not in {"http", "https"} or not path.startswith(_BATCHES):
        return url
    query = f"?{parts.query}" if parts.query else ""
    return msgspec.json.encode(origin.rstrip("/") + path + query)
