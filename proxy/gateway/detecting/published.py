"""What the detector's process hands to gateways: the index that requests are looked up in.

One file, sealed and replaced at once, with what an audit record is to say of it: the clusters, what
they rest on, and what investigators said.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from proxy.gateway.detecting.box import Box
from proxy.model.cluster import FoundCluster
from proxy.model.finding import Finding
from proxy.pipeline.detected import Listed

NAME = "index"
CLUSTERS = "clusters.jsonl"
EVENTS = "events.jsonl"
FINDINGS_HELD = 256


class Applied(Struct, frozen=True, array_like=True):
    """A finding that the detector has heard. `source` and `number` name it."""

    source: str
    number: int
    finding: Finding
    result: str


class Published(Struct, frozen=True):
    """An index and what is said of it. `number` grows with each."""

    version: str
    number: int
    at_ns: int
    accounts: int
    clusters: tuple[Listed, ...]
    applied: tuple[Applied, ...]
    index: bytes


_decode = msgspec.msgpack.Decoder(Published).decode


def sealed(published: Published, box: Box) -> bytes:
    """What goes to gateways, sealed."""
    return box.seal(NAME, msgspec.msgpack.encode(published))


def opened(data: bytes, box: Box) -> Published:
    """What was published. Raises ValueError for anything else."""
    try:
        return _decode(box.open(NAME, data))
    except msgspec.DecodeError as error:
        msg = f"the detector's index cannot be read: {error}"
        raise ValueError(msg) from error


def clusters_file(found: list[FoundCluster]) -> bytes:
    """The clusters as JSON, one a line."""
    encode = msgspec.json.Encoder().encode
    return b"".join(encode(cluster) + b"\n" for cluster in found)


def index_path(directory: Path) -> Path:
    """Where gateways look."""
    return directory / NAME
