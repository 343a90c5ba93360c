"""How many accounts share a prompt template: counts by sliding window, at fixed steps.

A step is a whole number of `step_s` on the Unix clock. Step s takes in every sighting before its
time and states, for each template and window w, the accounts seen in [s - w, s) (a window is
rounded up to whole steps). What step s states takes effect `delay_s` after it, so that sightings
which arrive a little late, and in any order, still count in their own step. Refused exchanges
count like served ones: an attempt is evidence too. The result depends on the sightings and the
times alone, not on how often `advance` is called.

Invariants: the number of (template, account) pairs is bounded after each step (near the bound,
which of the smallest templates are forgotten may depend on the calls); a step touches only the
templates that were seen or that leave a window in it, and its cost is linear in their accounts.
"""

from bisect import bisect_right
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import TypedDict

import msgspec

from proxy.model.sighting import Sighting
from proxy.model.trait import CODE_BITS, CODE_MASK, Trait

SHARDS = 256
MAX_PAIRS = 250_000
MIN_PAIRS = 4_096
WORK_PER_CALL = 32  # templates
COUNTED_AT_ONCE = 32  # accounts
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
    windows_s: list[int]
    templates: list[tuple[int, list[tuple[str, int]]]]
    counts: list[tuple[int, list[int]]]
    due: list[tuple[int, int]]
    pending: list[tuple[int, int, str, int]]


class SharingIndex:
    """What the request path looks up; never changed once it was handed out.

    `version` is the number of the step that last changed it, 0 while nothing is shared.
    """

    __slots__ = ("shards", "version", "windows_s")

    def __init__(
        self, version: int, windows_s: tuple[int, ...], shards: tuple[Mapping[int, Counts], ...]
    ) -> None:
        self.version = version
        self.windows_s = windows_s
        self.shards = shards

    def template_accounts(self, token: int) -> dict[int, int]:
        """Accounts that shared a template token, by window in seconds.

        0 in every window where it has not been seen from two accounts in the longest one.
        """
        counts = self.shards[_shard(token)].get(token) if self.shards else None
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
        self._roomy_pairs = max_pairs - max_pairs // 16  # above it, room is made little by little
        self._empty()

    def _empty(self) -> None:
        self._templates: list[dict[int, Accounts]] = [{} for _ in range(SHARDS)]
        self._counts: list[dict[int, Counts]] = [{} for _ in range(SHARDS)]
        self._pending: dict[int, dict[int, Accounts]] = {}  # step that takes it in → template
        self._due: dict[int, dict[int, None]] = {}  # step → templates that leave a window in it
        self._due_of: dict[int, int] = {}
        self._steps: list[int] = []  # heap of the steps in which there is something to do
        self._fresh: set[int] = set()  # shards of counts that are not published yet
        # Of the following step: templates of many accounts to be counted, and those done already.
        self._hot: dict[int, None] = {}
        self._worked: dict[int, None] = {}
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
        for token in sighting.tokens:
            if token & CODE_MASK != Trait.TEMPLATE:
                continue
            if seen > self._step + 1:
                self._wait(seen, token, sighting.account, seen)
            else:
                self._see(token, {sighting.account: seen})

    def advance(self, now_ns: int) -> SharingIndex:
        """Take the steps that have taken effect by `now_ns`; the index that holds then.

        The same object comes back while nothing has changed. Each call does a small part of the
        following step's work, so that no single call has to do it all.
        """
        target = (now_ns - self._delay_ns) // self._step_ns
        while self._steps and self._steps[0] <= target:
            self._finish(self._steps[0])
        self._step = max(self._step, target)
        if self._steps and self._steps[0] == self._step + 1:
            self._work(WORK_PER_CALL, over=now_ns >= self._steps[0] * self._step_ns)
            if self._pairs > self._roomy_pairs:
                self._evict()
        return self._index

    def save(self) -> State:
        """The whole state as JSON values. Linear in the pairs: not for the request path."""
        return {
            "format": FORMAT,
            "step_s": self._step_s,
            "windows_s": list(self._windows_s),
            "position": self.position,
            "step": self._step,
            "version": self._index.version,
            "hand": self._hand,
            "templates": [
                (token, list(accounts.items()))
                for shard in self._templates
                for token, accounts in shard.items()
            ],
            "counts": [
                (token, list(counts))
                for shard in self._index.shards
                for token, counts in shard.items()
            ],
            "due": [*self._due_of.items()]
            + [(token, self._step + 1) for tokens in (self._hot, self._worked) for token in tokens],
            "pending": [
                (step, token, account, seen)
                for step, tokens in self._pending.items()
                for token, accounts in tokens.items()
                for account, seen in accounts.items()
            ],
        }

    def load(self, state: object) -> None:
        """Go on from a saved state; sightings that it holds are ignored from now on.

        With other windows than when it was saved, counts begin at the next step. Raises ValueError
        for anything but a state of this version and detector step.
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
        if saved["windows_s"] != list(self._windows_s):
            saved["counts"] = []
            saved["due"] = [(token, self._step + 1) for token, _ in saved["templates"]]
        for token, step in saved["due"]:
            self._undue(token)
            self._dues(token, step)
        for token, counts in saved["counts"]:
            self._state(_shard(token), token, tuple(counts))
        self._publish(saved["version"])

    def with_windows(self, windows_s: frozenset[int]) -> "TemplateSharing":
        """The same sightings, counted over other windows from the next step on."""
        other = TemplateSharing(
            windows_s, self._step_s, self._delay_ns / NS_PER_S, max_pairs=self._max_pairs
        )
        if windows_s:
            other.load(self.save())
        other.position, other._ignored_to = self.position, self._ignored_to
        return other

    def _wait(self, step: int, token: int, account: str, seen: int) -> None:
        """Keep a sighting for a step that is not the following one yet."""
        self._bucket(step)
        accounts = self._pending.setdefault(step, {}).setdefault(token, {})
        if account not in accounts:
            if self._waiting >= self._max_pairs:
                return
            self._waiting += 1
        accounts[account] = max(seen, accounts.get(account, 0))

    def _see(self, token: int, accounts: Accounts) -> None:
        """Take sightings into the following step; a template of many accounts is counted late."""
        held = self._templates[_shard(token)].setdefault(token, {})
        for account, seen in accounts.items():
            before = held.pop(account, None)
            if before is None and len(held) >= MAX_ACCOUNTS:
                del held[next(iter(held))]
            elif before is None:
                self._pairs += 1
            held[account] = max(seen, before or 0)
        self._bucket(self._step + 1)
        if len(held) > COUNTED_AT_ONCE:
            self._hot[token] = None
        else:
            self._count(token)

    def _bucket(self, step: int) -> dict[int, None]:
        """The templates that are due in a step; from now on that step is not passed over."""
        due = self._due.get(step)
        if due is None:
            due = self._due[step] = {}
            heappush(self._steps, step)
        return due

    def _work(self, templates: int | None, *, over: bool) -> None:
        """Do the following step's work for so many templates; no index shows it before the end.

        Templates of many accounts are left until the step is over, as each sighting changes them.
        """
        pending = self._pending.get(self._step + 1, {})
        due = self._due[self._step + 1]
        while templates != 0:
            if pending:
                token, accounts = pending.popitem()
                self._waiting -= len(accounts)
                self._see(token, accounts)
            elif due:
                self._count(due.popitem()[0])
            elif over and self._hot:
                self._count(self._hot.popitem()[0])
            else:
                break
            templates = None if templates is None else templates - 1

    def _finish(self, step: int) -> None:
        """Do what is left of a step, and publish the index that it makes."""
        self._step = step - 1
        self._work(None, over=True)
        self._step = heappop(self._steps)
        self._pending.pop(step, None)
        del self._due[step]
        self._worked.clear()
        while self._pairs > self._max_pairs:
            self._evict()
        self._publish(step)

    def _count(self, token: int) -> None:
        """Count a template's accounts as of the following step, and say when to count again."""
        step, shard = self._step + 1, _shard(token)
        self._worked[token] = None
        held = self._templates[shard].get(token, {})
        self._undue(token)
        if len(held) > 1:
            seen = sorted(held.values())
            past = step - self._windows[-1]
            if seen[0] <= past:
                seen = seen[bisect_right(seen, past) :]
                self._pairs -= len(held) - len(seen)
                held = {account: last for account, last in held.items() if last > past}
                self._templates[shard][token] = held
        if len(held) < 2:
            # One account alone is forgotten when its room is needed: it counts for nothing.
            self._state(shard, token, None)
            if not held:
                self._templates[shard].pop(token, None)
            return
        firsts = [bisect_right(seen, step - window) for window in self._windows]
        self._state(shard, token, tuple(len(seen) - first for first in firsts))
        leaves = zip(firsts, self._windows, strict=True)
        self._dues(token, min(seen[first] + w for first, w in leaves if first < len(seen)))

    def _state(self, shard: int, token: int, counts: Counts | None) -> None:
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

    def _dues(self, token: int, step: int) -> None:
        self._bucket(step)[token] = None
        self._due_of[token] = step

    def _undue(self, token: int) -> None:
        step = self._due_of.pop(token, None)
        if step is not None and step in self._due:
            self._due[step].pop(token, None)

    def _evict(self) -> None:
        """Make room in the next shard: an eighth of its templates go, fewest accounts first.

        Tokens are keyed, so each shard is a fair sample and nobody can choose whose neighbour he
        is. Among equals the one seen longest ago goes.
        """
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


def _shard(token: int) -> int:
    return (token >> CODE_BITS) % SHARDS
