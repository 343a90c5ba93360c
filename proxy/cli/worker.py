"""`python -m proxy.cli.worker`: a serving process that `gauger serve` starts with `workers: N`."""

import sys

from proxy.cli.faults import FAULTS, in_words
from proxy.gateway.serve import serve
from proxy.gateway.worker import Worker


def main() -> int:
    """Serve until told to stop; the exit code. Faults are told in their own words."""
    try:
        worker, settings = Worker.started()
        return serve(settings, worker)
    except EOFError:  # the supervisor is gone before the worker began
        return 1
    except FAULTS as fault:
        sys.stderr.write(in_words(fault) + "\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
