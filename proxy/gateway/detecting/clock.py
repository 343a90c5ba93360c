"""The time by which the detector steps: the clock's, unless that jumps ahead.

A step that was taken cannot be taken back: after one in a year that is not yet there, nothing would
be looked at until then. So a jump is followed only once it has lasted.
"""

import structlog

NS_PER_S = 1_000_000_000
JUMP_NS = 3600 * NS_PER_S
LASTING_NS = 600 * NS_PER_S

log = structlog.get_logger("gauger.detector")


class Clock:
    """Unix nanoseconds. A clock that goes back is followed: steps wait until it is where it was."""

    def __init__(self) -> None:
        self._ahead_ns: int | None = None  # of the monotonic clock, before the jump
        self._since_ns: int | None = None

    def now_ns(self, wall_ns: int, monotonic_ns: int) -> int:
        """The time, by what both clocks say."""
        ahead_ns = wall_ns - monotonic_ns
        if self._ahead_ns is None or ahead_ns - self._ahead_ns < JUMP_NS:
            self._ahead_ns, self._since_ns = ahead_ns, None
            return wall_ns
        if self._since_ns is None:
            self._since_ns = monotonic_ns
            jump_s = (ahead_ns - self._ahead_ns) // NS_PER_S
            log.error(
                "the clock jumped ahead", seconds=jump_s, followed_in_s=LASTING_NS // NS_PER_S
            )
        if monotonic_ns - self._since_ns < LASTING_NS:
            return monotonic_ns + self._ahead_ns
        self._ahead_ns, self._since_ns = ahead_ns, None
        return wall_ns
