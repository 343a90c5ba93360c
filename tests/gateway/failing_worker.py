"""A worker that serves until there is a file of a name; from then on none starts."""

import sys
from pathlib import Path

if __name__ == "__main__":
    if Path(sys.argv[1]).exists():
        sys.exit(3)
    from proxy.cli.worker import main

    sys.exit(main())
