"""What is changed in an answer on its way to the client."""

from dataclasses import dataclass

from proxy.model.exchange import Surface
from proxy.wire.cut import can_cut
from proxy.wire.parts import concerns


@dataclass(frozen=True, slots=True)
class Alteration:
    """What is changed in an answer: parts left out, and an end after so many output tokens.

    `reserved` output tokens end it too, unless more are allowed on the way. Where the results of a
    batch are to be fetched is told at `origin` (scheme://host), without the `upstream_path` there.
    """

    strip: tuple[str, ...] = ()
    cut_after: int | None = None
    reserved: int | None = None
    origin: str | None = None
    upstream_path: str = ""

    def of(self, surface: Surface, *, streamed: bool) -> "Alteration":
        """What of it concerns an answer of the surface."""
        strip = self.strip if concerns(surface, self.strip) else ()
        if streamed and can_cut(surface):
            return Alteration(strip, self.cut_after, self.reserved)
        if surface.name == "messages.batches" and not streamed:
            return Alteration(strip, origin=self.origin, upstream_path=self.upstream_path)
        return Alteration(strip)

    def __bool__(self) -> bool:
        return bool(self.strip or self.bounds or self.origin)

    @property
    def bounds(self) -> tuple[int, ...]:
        """The numbers of output tokens that end a stream: the least of them does."""
        return tuple(n for n in (self.cut_after, self.reserved) if n is not None)


UNALTERED = Alteration()
