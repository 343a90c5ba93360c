"""How many accounts share a prompt template: counts by sliding window, at fixed steps.

A step is a whole number of `step_s` on the Unix clock. Step s takes in every sighting before its
time and states, for each template and window w, the accounts seen in [s - w, s) (a window is
rounded up to whole steps). What step s states takes effect `delay_s` after it, so that sightings
which arrive a little late, and in any order, still count in their own step. Refused exchanges
count like served ones: an attempt is evidence too. The result depends on the sightings and the
times alone, not on how often `advance` is called.

Invariants: the number of (template, account) pairs is bounded; a step touches only the templates
that were seen or that leave a window in it, and its cost is linear in their accounts.
"""

from bisect import bisect_right
from collections.abc import Mapping
from heapq import heappop, heappush
from operator import itemgetter
from typing import TypedDict
from zlib import crc32

from proxy.model.sighting import Sighting

TRAIT = "template"
SHARDS = 256
MAX_PAIRS = 250_000
MIN_PAIRS = 4_096
MAX_ACCOUNTS = 10_000  # of one template; the count stays there
NS_PER_S = 1_000_000_000
FORMAT = 1

Counts = tuple[int, ...]
Accounts = dict[str, int]  # account → the step in which it was last seen, oldest first


class State(TypedDict):
    """What `save` gives and `load` takes: JSON values only."""

    format: int
    step_s: float
    position: int
    step: int
    version: int
    hand: int
    templates: list[tuple[str, list[tuple[str, int]]]]
    pending: list[tuple[int, str, str, int]]


class SharingIndex:
    """What the request path looks up; never changed once it was handed out.

    `version` is the number of the step that last changed it, 0 while nothing is shared.
    """

    __slots__ = ("_shards", "version", "windows_s")

    def __init__(
        self, version: int, windows_s: tuple[int, ...], shards: tuple[Mapping[str, Counts], ...]
    ) -> None:
        self.version = version
        self.windows_s = windows_s
        self._shards = shards

    def template_accounts(self, token: str) -> dict[int, int]:
        """Accounts that shared a template token, by window in seconds.

        0 in every window where it has not been seen from two accounts in the longest one.
        """
        counts = self._shards[_shard(token)].get(token) if self._shards else None
        if counts is None:
            return dict.fromkeys(self.windows_s, 0)
        return dict(zip(self.windows_s, counts, strict=True))


class TemplateSharing:
    """The detector: `observe` sightings, `advance` the time, look up in the index it gives."""

    def __init__(
        self,
        windows_s: frozenset[int],
        step_s: float,
        delay_s: float,
        *,
        max_pairs: int = MAX_PAIRS,
    ) -> None:
        if step_s <= 0 or delay_s < 0 or any(window <= 0 for window in windows_s):
            raise ValueError("windows and step are longer than 0 s, the delay not shorter than 0 s")
        if max_pairs < MIN_PAIRS:
            raise ValueError(f"max_pairs is at least {MIN_PAIRS}")
        self._step_s = step_s
        self._step_ns = round(step_s * NS_PER_S)
        self._delay_ns = round(delay_s * NS_PER_S)
        self._windows_s = tuple(sorted(windows_s))
        self._windows = tuple(-(-window * NS_PER_S // self._step_ns) for window in self._windows_s)
        self._max_pairs = max_pairs
        self._empty()

    def _empty(self) -> None:
        self._templates: list[dict[str, Accounts]] = [{} for _ in range(SHARDS)]
        self._counts: list[dict[str, Counts]] = [{} for _ in range(SHARDS)]
        self._pending: dict[int, dict[str, Accounts]] = {}  # step that takes it in → template
        self._due: dict[int, dict[str, None]] = {}  # step → templates that leave a window in it
        self._due_of: dict[str, int] = {}
        self._steps: list[int] = []  # heap of the steps in which there is something to do
        self._fresh: set[int] = set()  # shards of counts that are not published yet
        self._pairs = self._waiting = 0
        self._hand = 0  # the shard in which the next eviction begins
        self._step = 0  # the last step that was taken
        self._ignored_to = -1
        self.position = -1
        self._index = SharingIndex(0, self._windows_s, ())

    @property
    def pairs(self) -> int:
        """(template, account) pairs held, those still waiting for their step included."""
        return self._pairs + self._waiting

    def observe(self, sighting: Sighting) -> None:
        """Note an exchange. One at or below the position of the loaded state is known already."""
        if sighting.position <= self._ignored_to:
            return
        self.position = max(self.position, sighting.position)
        if not self._windows:
            return
        seen = sighting.at_ns // self._step_ns + 1
        for trait, token in sighting.tokens:
            if trait == TRAIT:
                self._wait(max(seen, self._step + 1), token, sighting.account, seen)

    def advance(self, now_ns: int) -> SharingIndex:
        """Take the steps that have taken effect by `now_ns`; the index that holds then.

        The same object comes back while nothing has changed.
        """
        target = (now_ns - self._delay_ns) // self._step_ns
        while self._steps and self._steps[0] <= target:
            step = heappop(self._steps)
            if step in self._pending or step in self._due:
                self._take(step)
        self._step = max(self._step, target)
        return self._index

    def save(self) -> State:
        """The whole state as JSON values. Linear in the pairs: not for the request path."""
        return {
            "format": FORMAT,
            "step_s": self._step_s,
            "position": self.position,
            "step": self._step,
            "version": self._index.version,
            "hand": self._hand,
            "templates": [
                (token, list(accounts.items()))
                for shard in self._templates
                for token, accounts in shard.items()
            ],
            "pending": [
                (step, token, account, seen)
                for step, tokens in self._pending.items()
                for token, accounts in tokens.items()
                for account, seen in accounts.items()
            ],
        }

    def load(self, state: object) -> None:
        """Go on from a saved state; sightings that it holds are ignored from now on.

        The windows may be others than when it was saved. Raises ValueError for anything but a
        state of this version and step.
        """
        saved = msgspec.convert(state, State)
        if saved["format"] != FORMAT or saved["step_s"] != self._step_s:
            raise ValueError("saved with another version or detector step; start from the log")
        self._empty()
        self._step = saved["step"]
        self._hand = saved["hand"] % SHARDS
        self.position = self._ignored_to = saved["position"]
        for step, token, account, seen in saved["pending"]:
            self._wait(step, token, account, seen)
        for token, accounts in saved["templates"]:
            self._templates[_shard(token)][token] = dict(accounts)
            self._pairs += len(accounts)
        for token, _ in saved["templates"] if self._windows else ():
            self._count(token)
        self._publish(saved["version"])

    def _wait(self, step: int, token: str, account: str, seen: int) -> None:
        tokens = self._pending.get(step)
        if tokens is None:
            tokens = self._pending[step] = {}
            heappush(self._steps, step)
        accounts = tokens.setdefault(token, {})
        if account not in accounts:
            if self._waiting >= self._max_pairs:
                return
            self._waiting += 1
        accounts[account] = max(seen, accounts.get(account, 0))

    def _take(self, step: int) -> None:
        """Take one step: what waited for it comes in, what left a window goes out."""
        self._step = step
        touched = self._due.pop(step, {})
        for token, accounts in self._pending.pop(step, {}).items():
            self._merge(token, accounts)
            touched[token] = None
        if self._pairs > self._max_pairs:
            self._evict()
        for token in touched:
            self._count(token)
        self._publish(step)

    def _merge(self, token: str, accounts: Accounts) -> None:
        held = self._templates[_shard(token)].setdefault(token, {})
        self._waiting -= len(accounts)
        for account, seen in sorted(accounts.items(), key=itemgetter(1, 0)):
            before = held.get(account)
            if before is None:
                if len(held) >= MAX_ACCOUNTS:
                    del held[next(iter(held))]
                else:
                    self._pairs += 1
            elif before >= seen:
                continue
            else:
                del held[account]
            held[account] = seen

    def _count(self, token: str) -> None:
        """Count a template's accounts by window, forget those past all, and say when to again."""
        shard = _shard(token)
        held = self._templates[shard].get(token, {})
        self._undue(token)
        seen = sorted(held.values())
        gone = bisect_right(seen, self._step - self._windows[-1])
        if gone:
            kept = {a: last for a, last in held.items() if last > self._step - self._windows[-1]}
            self._pairs -= len(held) - len(kept)
            self._templates[shard][token] = held = kept
        if not held:
            self._templates[shard].pop(token, None)
        if len(held) < 2:
            self._state(shard, token, None)
            return
        firsts = [bisect_right(seen, self._step - window) for window in self._windows]
        self._state(shard, token, tuple(len(seen) - first for first in firsts))
        self._dues(
            token,
            min(
                seen[first] + window
                for first, window in zip(firsts, self._windows, strict=True)
                if first < len(seen)
            ),
        )

    def _state(self, shard: int, token: str, counts: Counts | None) -> None:
        """Enter counts in the next index; what was published stays as it is."""
        if self._counts[shard].get(token) == counts:
            return
        if shard not in self._fresh:
            self._counts[shard] = dict(self._counts[shard])
            self._fresh.add(shard)
        if counts is None:
            del self._counts[shard][token]
        else:
            self._counts[shard][token] = counts

    def _publish(self, version: int) -> None:
        if self._fresh:
            self._index = SharingIndex(version, self._windows_s, tuple(self._counts))
            self._fresh.clear()

    def _dues(self, token: str, step: int) -> None:
        tokens = self._due.get(step)
        if tokens is None:
            tokens = self._due[step] = {}
            heappush(self._steps, step)
        tokens[token] = None
        self._due_of[token] = step

    def _undue(self, token: str) -> None:
        step = self._due_of.pop(token, None)
        if step is not None and step in self._due:
            self._due[step].pop(token, None)

    def _evict(self) -> None:
        """Make room: from shard after shard an eighth of the templates, fewest accounts first.

        Tokens are keyed, so each shard is a fair sample and nobody can choose whose neighbour he
        is. Among equals the one seen longest ago goes.
        """
        enough = self._max_pairs - self._max_pairs // 64
        while self._pairs > enough:
            templates = self._templates[self._hand]
            ranked = sorted(
                (len(accounts), next(reversed(accounts.values())), token)
                for token, accounts in templates.items()
            )
            for accounts, _, token in ranked[: 1 + len(ranked) // 8]:
                del templates[token]
                self._pairs -= accounts
                self._undue(token)
                self._state(self._hand, token, None)
            self._hand = (self._hand + 1) % SHARDS


def _shard(token: str) -> int:
    return crc32(token.encode()) % SHARDS
