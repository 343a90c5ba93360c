"""The detector: sightings in, clusters with evidence and an index for the request path out.

A state machine without clock or I/O: `observe` notes an exchange, `advance` takes the steps that
are due by then. A step takes in all sightings of its time whatever their order, lays them out
(`view`), refines the clusters that are known and looks for new ones (`seeds`, `block`), judges what
they amount to (`assess`), and tells what changed (`lives`). The result depends on sightings, times
and the key alone.
"""

from collections.abc import Sequence

import numpy as np

from proxy.detect.accounts import Accounts
from proxy.detect.index import DetectedIndex, nobody
from proxy.detect.intake import Buffer, take_in
from proxy.detect.kinds import Kinds
from proxy.detect.lives import Lives
from proxy.detect.options import HOUR_S, DetectorOptions
from proxy.detect.ordinary import ordinary_day
from proxy.detect.pairs import Pairs
from proxy.detect.saved import packed, unpacked
from proxy.detect.search import of_epoch, search
from proxy.detect.signature import index_of
from proxy.detect.view import view
from proxy.model.cluster import ClusterEvent, FoundCluster
from proxy.model.finding import Action
from proxy.model.sighting import Described, Sighting

NS_PER_S = 1_000_000_000
MANY = 10  # requests from which on an account is no passer-by


class Detector:
    """Links accounts into clusters; the same key and input give the same output.

    `key` is secret: what nobody outside may foresee is derived from it.
    """

    def __init__(self, key: bytes, options: DetectorOptions) -> None:
        self._key = key
        self._options = options
        self._step_ns = options.step_s * NS_PER_S
        self._delay_ns = round(options.delay_s * NS_PER_S)
        self._accounts = Accounts()
        self._pairs = Pairs(options.first_slots)
        self._kinds = Kinds()
        self._lives = Lives(key)
        self._buffers: dict[int, Buffer] = {}
        self._looks = 0  # of this process, so that each index has its own version
        self._step = 0  # the last one that was taken
        self._ignored_to = -1
        self._newcomers: dict[str, dict[str, float]] = {}
        self._seen_ns = 0
        self._index = nobody({})
        self.position = -1

    def observe(self, described: Described, sighting: Sighting, sketch: Sequence[int] = ()) -> None:
        """Note an exchange. One at or below the position of the loaded state is known already."""
        if sighting.position <= self._ignored_to:
            return
        self.position = max(self.position, sighting.position)
        step = max(sighting.at_ns // self._step_ns, self._step) + 1
        buffer = self._buffers.get(step)
        if buffer is None:
            buffer = self._buffers[step] = Buffer()
        buffer.add(described, sighting, sketch)
        index = self._index
        if index.signatures and sighting.account not in index.members:
            for shown in index.of(described, sighting.tokens):
                joining = self._newcomers.setdefault(shown.cluster.id, {})
                joining[sighting.account] = shown.weight
                self._seen_ns = max(self._seen_ns, sighting.at_ns)

    def advance(self, now_ns: int) -> DetectedIndex:
        """Take the steps that have taken effect by `now_ns`; the index that holds then."""
        due = (now_ns - self._delay_ns) // self._step_ns
        if due <= self._step:
            return self._index
        for step in sorted(step for step in self._buffers if step <= due):
            self._take(step)
        self._step = max(self._step, due)
        return self._index

    def clusters(self) -> list[FoundCluster]:
        """The clusters as they stand, with newcomers since the last step."""
        self._join()
        return self._lives.found()

    def events(self) -> list[ClusterEvent]:
        """What happened to clusters since the last call."""
        self._join()
        return self._lives.told()

    def _join(self) -> None:
        newcomers, self._newcomers = self._newcomers, {}
        self._lives.join(newcomers, self._seen_ns // NS_PER_S)

    def decide(self, cluster: str, action: Action, accounts: Sequence[str] = ()) -> None:
        """What an investigator said of a cluster, and of which accounts if he adds or removes.

        It counts at once. KeyError where there is no such cluster.
        """
        self._lives.decide(cluster, action, accounts, self._step * self._options.step_s)
        self._looks += 1
        self._look()

    def save(self) -> bytes:
        """The whole state as bytes; `position` in it is that of the last sighting it holds."""
        return packed(
            {
                "step_s": self._options.step_s,
                "step": self._step,
                "looks": self._looks,
                "position": self.position,
                "buffers": [[step, buffer.saved()] for step, buffer in self._buffers.items()],
                "accounts": self._accounts.saved(),
                "pairs": self._pairs.saved(),
                "links": self._kinds.links,
                "lives": self._lives.saved(),
            }
        )

    def load(self, state: bytes) -> None:
        """Go on from a saved state; sightings that it holds are ignored from now on.

        The index is made anew in the next step. ValueError for anything but a state of this version
        and step length.
        """
        saved = unpacked(state)
        if saved["step_s"] != self._options.step_s:
            msg = f"saved with steps of {saved['step_s']} s; start from the log"
            raise ValueError(msg)
        self._step, self._looks = saved["step"], saved["looks"]
        self.position = self._ignored_to = saved["position"]
        self._accounts.load(saved["accounts"])
        self._pairs.load(saved["pairs"])
        self._kinds.links = saved["links"]
        self._lives.load(saved["lives"])
        self._buffers = {step: Buffer.of_saved(one) for step, one in saved["buffers"]}
        self._look()

    def _take(self, step: int) -> None:
        buffer = self._buffers.pop(step)
        self._newcomers = {}  # the step itself says who is in
        hour = (step - 1) * self._options.step_s // HOUR_S
        take_in(buffer, self._accounts, self._pairs, self._kinds, hour)
        self._step = step
        oldest = (step * self._options.step_s - self._options.horizon_s) // HOUR_S
        self._pairs.forget(oldest, self._options.max_pairs, self._accounts["last"])
        if len(self._accounts) > self._options.max_accounts:
            self._forget()
        self._looks += 1
        self._look()

    def _forget(self) -> None:
        """Make room for accounts: those in no cluster go, of which little was seen, long ago."""
        accounts = self._accounts
        clustered = self._lives.clustered(accounts)
        worth = np.lexsort((accounts["last"], np.minimum(accounts["total"], MANY), clustered))
        kept = np.sort(worth[-self._options.max_accounts * 9 // 10 :])
        self._pairs.move(accounts.keep(kept))

    def _look(self) -> None:
        """Search what is held, and make the index anew."""
        now_s = self._step * self._options.step_s
        clustered = self._lives.clustered(self._accounts)
        seen = view(self._pairs.all(), self._accounts, self._kinds, self._options, now_s, clustered)
        if seen is None:
            return
        key = of_epoch(self._key, now_s)
        found = search(seen, self._accounts, self._kinds, self._lives, key)
        self._lives.update(found, seen, self._accounts, now_s)
        clustered = self._lives.clustered(self._accounts)
        usual = ordinary_day(self._accounts, clustered, now_s, self._options.reference_age_s)
        version = f"{self._step}.{self._looks}"
        self._index = index_of(found, self._lives, seen, usual, version)
