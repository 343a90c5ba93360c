"""`gauger serve` with several workers, without the store that they would share.

`python -m tests.gateway.supervised CONFIG WORKERS [COMMAND …]`: settings that were checked for one
process, served by several; each counts for itself. Restarts follow each other quickly.
"""

import os
import sys
from pathlib import Path

from proxy.cli.faults import FAULTS, in_words
from proxy.cli.serve import WORKER
from proxy.gateway.restarts import Pace
from proxy.gateway.supervise import supervise
from proxy.settings.load import load

PACE = Pace(first_s=0.01, most_s=0.05, tries=3)


def main(config: str, workers: str, *command: str) -> int:
    try:
        settings = load(Path(config), os.environ)
        several = settings.model_copy(update={"workers": int(workers)})
        return supervise(several, command or WORKER, PACE)
    except FAULTS as fault:
        sys.stderr.write(in_words(fault) + "\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
