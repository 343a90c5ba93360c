"""A cluster as a step finds it, before it is named."""

from dataclasses import dataclass

from proxy.detect.assess import Assessment
from proxy.detect.block import Block
from proxy.detect.life import Life


@dataclass(slots=True)
class Candidate:
    """A block with what it amounts to; `life` is the known cluster that it is, or None.

    `swallowed` are known clusters that turned out to be part of it.
    """

    block: Block
    assessment: Assessment
    life: Life | None
    swallowed: tuple[Life, ...] = ()
