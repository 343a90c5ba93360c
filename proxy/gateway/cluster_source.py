"""The file of clusters while serving: looked at by its stat signature, read by another process.

Until the new index is whole, and after any fault, the last good one serves, over a restart too.
"""

import sys
from pathlib import Path

from proxy.facts.building import BUILD_TIMEOUT_S, built
from proxy.facts.clusters import ClusterMap, ClustersError
from proxy.facts.index_files import Signature, signature
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.build_clusters import BuildReport, index_report


class ClusterSource:
    """A file of clusters, and the place of its index, which belongs to the gateway.

    `late` are the clusters that got a parent, by the last change, after they began to count.
    """

    def __init__(self, path: Path, index_dir: Path) -> None:
        self.path = path
        self.index = index_dir / "clusters.sqlite"
        self.late: tuple[str, ...] = ()
        self._tried: Signature | None = None
        self._looked: Signature | None = None

    def changed(self) -> bool:
        """Whether the file is another than the one last tried, and has held still for a look."""
        before, self._looked = self._looked, signature(self.path)
        return self._looked == before and self._looked != self._tried

    async def refresh(self, timeout_s: float = BUILD_TIMEOUT_S) -> ClusterMap:
        """Build the index of the file as it is now, in another process, and open it.

        ProblemsError names the faults of the file, or why it could not be read.
        """
        self._tried = None
        report = await built(self._command(), self.path, BuildReport, timeout_s)
        if isinstance(report, str):
            raise ProblemsError([Problem("clusters", 0, 0, report)])
        self._tried = report.source
        if report.problems:
            raise ProblemsError(list(report.problems))
        self.late = report.late
        try:
            return ClusterMap.open(self.index)
        except ClustersError as error:
            self._tried = None
            raise ProblemsError([Problem("clusters", 0, 0, str(error))]) from error

    async def start(self) -> tuple[ClusterMap, ProblemsError | None]:
        """The map to begin with: the file's, or else the last good one and the file's faults.

        Raises ProblemsError where there is neither.
        """
        try:
            return await self.refresh(), None
        except ProblemsError as error:
            if index_report(self.index, self.path) is None:
                raise
            return ClusterMap.open(self.index), error

    def _command(self) -> list[str]:
        builder = [sys.executable, "-m", "proxy.settings.build_clusters"]
        return [*builder, str(self.path), str(self.index)]
